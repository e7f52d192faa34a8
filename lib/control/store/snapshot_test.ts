import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { StoredState } from "../config_types.ts";
import { snapshotDatabase } from "./snapshot.ts";
import { Store, StoreError } from "./store.ts";

const STATE: StoredState = {
  listeners: [{ addr: ":443", proxyProtocol: false, maxConnections: 5, routes: [] }],
  firewall: { blockedIps: ["192.0.2.1"], blockedCidrs: [], blockedCountries: [] },
};

/** Runs `use` with a folder that holds the database `x.db` of a server that runs. */
async function withServer(use: (folder: string, server: Store) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  const store = Store.open(`${folder}/x.db`);
  try {
    store.prepare(STATE);
    store.commit();
    store.prepare(STATE); // SQLite makes the -wal and -shm files with the first use after the switch to WAL
    store.commit();
    await use(folder, store);
  } finally {
    store.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

function stateOf(path: string): StoredState {
  const store = Store.open(path);
  try {
    return store.prepare({ ...STATE, listeners: [] }).state;
  } finally {
    store.discard();
  }
}

async function refusal(folder: string, path: string, out: string): Promise<string> {
  const before = filesIn(folder);
  let message = "";
  await assert.rejects(snapshotDatabase(path, out), (error) => {
    assert.ok(error instanceof StoreError);
    message = error.message.replaceAll(folder, "DIR");
    return true;
  });
  assert.deepEqual(filesIn(folder), before);
  return message;
}

Deno.test("a snapshot is taken while a server runs, with what it committed last", async () => {
  await withServer(async (folder) => {
    const other = new DatabaseSync(`${folder}/x.db`);
    other.exec("UPDATE listeners SET max_connections = 6");
    other.close();
    const size = await snapshotDatabase(`${folder}/x.db`, `${folder}/out.db`);
    assert.equal(size, Deno.statSync(`${folder}/out.db`).size);
    assert.equal(stateOf(`${folder}/out.db`).listeners[0]?.maxConnections, 6);
    assert.deepEqual(filesIn(folder), ["out.db", "x.db", "x.db-shm", "x.db-wal"]);
  });
});

Deno.test("a snapshot waits for nobody: an open transaction is simply not in it", async () => {
  await withServer(async (folder, server) => {
    server.prepare(STATE);
    await snapshotDatabase(`${folder}/x.db`, `${folder}/out.db`);
    assert.deepEqual(stateOf(`${folder}/out.db`), STATE);
  });
});

Deno.test("a snapshot is taken while no server runs, and nothing is left beside the database", async () => {
  await withServer(async (folder, server) => {
    server.close();
    await snapshotDatabase(`${folder}/x.db`, `${folder}/out.db`);
    assert.deepEqual(filesIn(folder), ["out.db", "x.db"]);
    assert.deepEqual(stateOf(`${folder}/out.db`), STATE);
  });
});

Deno.test("a snapshot has what a crashed server left in its write-ahead log", async () => {
  await withServer(async (folder) => {
    const other = new DatabaseSync(`${folder}/x.db`);
    other.exec("DELETE FROM listeners");
    other.close();
    Deno.mkdirSync(`${folder}/crashed`);
    for (const suffix of ["", "-wal"]) {
      Deno.copyFileSync(`${folder}/x.db${suffix}`, `${folder}/crashed/x.db${suffix}`);
    }
    await snapshotDatabase(`${folder}/crashed/x.db`, `${folder}/out.db`);
    assert.deepEqual(stateOf(`${folder}/out.db`).listeners, []);
  });
});

Deno.test("an existing file is not overwritten", async () => {
  await withServer(async (folder) => {
    Deno.writeTextFileSync(`${folder}/out.db`, "precious");
    assert.equal(
      await refusal(folder, `${folder}/x.db`, `${folder}/out.db`),
      "DIR/out.db: exists already; name a new file",
    );
    assert.equal(Deno.readTextFileSync(`${folder}/out.db`), "precious");
  });
});

Deno.test("a database that is not there, empty, or another's is refused, and none is made", async () => {
  await withServer(async (folder) => {
    Deno.writeTextFileSync(`${folder}/empty.db`, "");
    Deno.writeTextFileSync(`${folder}/text.db`, "x".repeat(5000));
    const other = new DatabaseSync(`${folder}/other.db`);
    other.exec("CREATE TABLE t (x)");
    other.close();
    for (
      const [name, reason] of [
        ["none.db", "does not exist; the server makes it when it first starts"],
        ["empty.db", "is empty; the server fills it when it first starts"],
        [
          "text.db",
          "is not a SQLite database, or its first page is damaged; set database.path to another file, or restore a snapshot",
        ],
        ["other.db", "is a database of another program; set database.path to another file"],
      ] as const
    ) assert.equal(await refusal(folder, `${folder}/${name}`, `${folder}/out.db`), `DIR/${name}: ${reason}`);
  });
});

Deno.test("a target that cannot be written to is refused", async () => {
  await withServer(async (folder) => {
    const refusalOf = (out: string) => refusal(folder, `${folder}/x.db`, out);
    assert.equal(await refusalOf(`${folder}/none/out.db`), "DIR/none/out.db: its folder DIR/none does not exist");
    assert.equal(
      await refusalOf(`${folder}/x.db/out.db`),
      "DIR/x.db/out.db: does not exist: part of its path is not a folder",
    );
  });
});

Deno.test("a corrupt database gives no snapshot", async () => {
  await withServer(async (folder, server) => {
    server.close();
    const octets = Deno.readFileSync(`${folder}/x.db`);
    Deno.writeFileSync(`${folder}/x.db`, octets.fill(0xff, 2 * 4096));
    assert.match(
      await refusal(folder, `${folder}/x.db`, `${folder}/out.db`),
      /^DIR\/x\.db: is corrupt; restore a snapshot$/,
    );
  });
});
