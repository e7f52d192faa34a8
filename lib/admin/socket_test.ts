/** What tests/admin_socket_test.ts cannot see from outside. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { AdminSocket, AdminSocketError } from "./socket.ts";

/** Runs `use` with a folder, and what listens in it. */
async function withFolder(use: (folder: string, listen: (path: string) => Promise<void>) => Promise<void>) {
  const folder = Deno.makeTempDirSync();
  const listeners: Deno.Listener[] = [];
  try {
    await use(folder, (path) => {
      listeners.push(Deno.listen({ transport: "unix", path }));
      return Promise.resolve();
    });
  } finally {
    for (const listener of listeners) listener.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** Leaves a socket at `path` that nobody listens on any more, as a process does that was killed. */
async function leaveSocket(path: string): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} }); Deno.kill(Deno.pid, "SIGKILL");`,
    ],
  }).output();
  assert.deepEqual([success, Deno.lstatSync(path).isSocket], [false, true]);
}

Deno.test("the socket is made where nobody else may enter, and a dead one stays until it is ready", async () => {
  await withFolder(async (folder, listen) => {
    const path = `${folder}/s.sock`;
    await leaveSocket(path);
    const { ino: dead } = Deno.lstatSync(path);
    await AdminSocket.open(path, async (made) => {
      assert.equal(dirname(dirname(made)), folder);
      assert.equal((Deno.lstatSync(dirname(made)).mode ?? 0) & 0o777, 0o700);
      assert.equal(Deno.lstatSync(path).ino, dead);
      await listen(made);
    });
    const { ino, mode } = Deno.lstatSync(path);
    assert.deepEqual([ino === dead, (mode ?? 0) & 0o777, filesIn(folder)], [false, 0o600, ["s.sock"]]);
    const conn = await Deno.connect({ transport: "unix", path });
    conn.close();
  });
});

Deno.test("where nothing can listen, the reason is told, nothing is left, and a dead socket is still there", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/s.sock`;
    await leaveSocket(path);
    await assert.rejects(
      AdminSocket.open(path, () => Promise.reject(new Error("no more descriptors"))),
      (error) => {
        assert.ok(error instanceof AdminSocketError);
        assert.equal(error.message, `grpc.addr ${path}: no more descriptors`);
        return true;
      },
    );
    assert.deepEqual(filesIn(folder), ["s.sock"]);
  });
});

Deno.test("removing takes the own socket away, once, and leaves one that took its place", async () => {
  await withFolder(async (folder, listen) => {
    const path = `${folder}/s.sock`;
    const first = await AdminSocket.open(path, listen);
    first.remove();
    assert.deepEqual(filesIn(folder), []);
    first.remove();
    const second = await AdminSocket.open(path, listen);
    first.remove();
    assert.deepEqual(filesIn(folder), ["s.sock"]);
    Deno.removeSync(path);
    Deno.writeTextFileSync(path, "an operator's");
    second.remove();
    assert.equal(Deno.readTextFileSync(path), "an operator's");
  });
});

Deno.test("a path whose folder is a file, and one that leads nowhere, are told as such", async () => {
  await withFolder(async (folder, listen) => {
    Deno.writeTextFileSync(`${folder}/file`, "");
    await assert.rejects(AdminSocket.open(`${folder}/file/s.sock`, listen), {
      message: `grpc.addr ${folder}/file/s.sock: does not exist: part of its path is not a folder`,
    });
    Deno.symlinkSync(`${folder}/none`, `${folder}/link`);
    await assert.rejects(AdminSocket.open(`${folder}/link`, listen), {
      message: `grpc.addr ${folder}/link: there is something else that is not a socket; remove it, or use another path`,
    });
    assert.deepEqual(filesIn(folder), ["file", "link"]);
  });
});
