import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { ServerLock } from "./lock.ts";
import { StoreError } from "./store_error.ts";

const HOLDER = fileURLToPath(new URL("testdata/hold_lock.ts", import.meta.url));

/** Runs `use` with the path of a database in a folder of its own. */
async function withDatabase(use: (database: string, folder: string) => void | Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await use(`${folder}/x.db`, folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** Another process that holds the lock of `database`. */
async function holder(database: string): Promise<Deno.ChildProcess> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-read", "--allow-write", HOLDER, database],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  for await (const _ of process.stdout) break;
  return process;
}

function refusal(database: string): string {
  let message = "";
  assert.throws(() => ServerLock.take(database), (error) => {
    assert.ok(error instanceof StoreError);
    message = error.message.replaceAll(dirname(database), "DIR");
    return true;
  });
  return message;
}

const TAKEN = "DIR/x.db: is served by another mc-proxy; stop that one, or use another database.path";

Deno.test("one process at a time may serve from a database; the next one when it is over, however it ended", async () => {
  await withDatabase(async (database, folder) => {
    for (const end of ["input", "SIGKILL"] as const) {
      const process = await holder(database);
      assert.equal(refusal(database), TAKEN);
      assert.deepEqual(filesIn(folder), ["x.db.lock"]);
      if (end === "SIGKILL") process.kill(end);
      await process.stdin.close();
      await process.status;
      ServerLock.take(database)[Symbol.dispose]();
    }
  });
});

Deno.test("a lock that was given back can be taken again; other databases have their own", async () => {
  await withDatabase((database) => {
    {
      using _lock = ServerLock.take(database);
      assert.equal(refusal(database), TAKEN);
      using _other = ServerLock.take(`${database}2`);
    }
    using _again = ServerLock.take(database);
  });
});

Deno.test("the lock file is the user's alone, and that of a dead process is no obstacle", async () => {
  await withDatabase((database, folder) => {
    ServerLock.take(database)[Symbol.dispose]();
    assert.equal((Deno.statSync(`${database}.lock`).mode ?? 0) & 0o777, 0o600);
    Deno.writeTextFileSync(`${database}.lock`, "left by whoever");
    using _lock = ServerLock.take(database);
    assert.deepEqual(filesIn(folder), ["x.db.lock"]);
  });
});

Deno.test("discarding removes a lock file that was made, and leaves one that was there", async () => {
  await withDatabase((database, folder) => {
    ServerLock.take(database).discard();
    assert.deepEqual(filesIn(folder), []);
    ServerLock.take(database)[Symbol.dispose]();
    ServerLock.take(database).discard();
    assert.deepEqual(filesIn(folder), ["x.db.lock"]);
    ServerLock.take(database).discard();
  });
});

Deno.test("a lock file that cannot be made is told as what it is", async () => {
  await withDatabase((database, folder) => {
    assert.equal(refusal(`${folder}/none/x.db`), "DIR/x.db: its folder DIR does not exist");
    Deno.mkdirSync(`${database}.lock`);
    assert.match(refusal(database), /^DIR\/x\.db\.lock: is a folder, not a file$/);
  });
});
