/** What an acknowledged change survives, and what a failed one leaves behind. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { AdminError } from "../mod.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { Backend, readExactly, sayHello } from "./harness/peers.ts";

/** How often the server is killed; `MC_PROXY_KILLS` for more. */
const KILLS = Number(Deno.env.get("MC_PROXY_KILLS") ?? 12);

Deno.test(`killed ${KILLS} times under a stream of changes, the server has every change that it acknowledged`, async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const database = `${folder}/mc-proxy.db`;
  /** The backend of each route by its host name, as last acknowledged; `undefined`: removed. */
  const acknowledged = new Map<string, string | undefined>();
  /** What was asked for and not answered: it may be there or not. */
  let unsure: { readonly hostname: string; readonly backend: string | undefined } | undefined;
  let changes = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const { proxy, admin } = await administered([], {}, { folder });
    const routes = new Map((await admin.listRoutes(ADDR)).map(({ hostname, backend }) => [hostname, backend]));
    if (unsure !== undefined && routes.get(unsure.hostname) === unsure.backend) {
      acknowledged.set(unsure.hostname, unsure.backend);
    }
    for (const [hostname, backend] of acknowledged) assert.equal(routes.get(hostname), backend, hostname);
    unsure = undefined;

    // Killed at a random moment: after some changes, and up to 4 ms into the next one, which takes about 2.
    const last = Math.floor(Math.random() * 20);
    for (let i = 0;; i++) {
      const hostname = `h${changes % 7}.test`;
      const backend = changes % 5 === 4 && acknowledged.get(hostname) !== undefined
        ? undefined
        : `127.0.0.1:${changes % 60_000 + 1}`;
      changes++;
      unsure = { hostname, backend };
      const call = backend === undefined
        ? admin.removeRoute(ADDR, hostname)
        : admin.addRoute(ADDR, { hostname, backend });
      if (i === last) {
        const killed = new Promise((resolve) => setTimeout(resolve, Math.random() * 4)).then(() => proxy.kill());
        const outcome = await call.then(() => true, (error) => error);
        assert.ok(outcome === true || outcome instanceof AdminError, String(outcome));
        if (outcome === true) acknowledged.set(hostname, backend);
        await killed;
        break;
      }
      await call;
      acknowledged.set(hostname, backend);
    }
    admin.close();
    const db = new DatabaseSync(database);
    assert.deepEqual({ ...db.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
    db.close();
  }
  Deno.removeSync(folder, { recursive: true });
});

/** Runs a command with files of at most so many blocks of 512 octets: what is written beyond fails, as on a full disk. */
function withFilesUpTo(blocks: number): readonly [string, ...string[]] {
  // SIGXFSZ would end the program; ignored, it leaves write(2) to fail with EFBIG.
  return ["bash", "-c", `trap '' XFSZ; ulimit -f ${Math.ceil(blocks / 2)}; exec "$@"`, "bash"];
}

Deno.test({
  name: "on a full disk a change fails in clear words, nothing of it is in effect, and traffic goes on",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using backend = new Backend();
    // Room for the schema and a few changes in the write-ahead log.
    await using test = await administered([{ hostname: "a.test", backend: backend.addr }], {}, {
      wrapper: withFilesUpTo(400),
    });
    const { admin, proxy } = test;
    using client = await sayHello(proxy.address(), "a.test");
    using served = await backend.accept();
    let added = 0;
    const error: unknown = await (async () => {
      for (; added < 2000; added++) {
        const { hostname } = { hostname: `${"x".repeat(60)}.${added}.test` };
        await admin.addRoute(ADDR, { hostname, backend: "127.0.0.1:1" });
      }
    })().then(() => undefined, (error) => error);
    assert.ok(error instanceof AdminError, `${added} changes were taken`);
    assert.equal(error.code, "UNAVAILABLE");
    assert.match(error.message, /mc-proxy\.db: (the disk is full|.*I\/O error)/);
    assert.equal((await admin.listRoutes(ADDR)).length, added + 1);
    using refused = await sayHello(proxy.address(), `${"x".repeat(60)}.${added}.test`);
    assert.equal((await proxy.end(refused)).end, "no_route");

    await served.write(new Uint8Array(1000));
    await readExactly(client, 1000);
    using _another = await sayHello(proxy.address(), "a.test");
    using _its = await backend.accept();
  },
});

Deno.test({
  name: "while another program holds the lock of the database, a change fails in clear words, and traffic goes on",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using backend = new Backend();
    await using test = await administered([{ hostname: "a.test", backend: backend.addr }]);
    const { admin, proxy } = test;
    // Another program holds the write lock, as long as it likes.
    const other = new DatabaseSync(`${proxy.folder}/mc-proxy.db`);
    other.exec("BEGIN IMMEDIATE");
    await assert.rejects(admin.addRoute(ADDR, { hostname: "b.test", backend: "127.0.0.1:1" }), {
      code: "UNAVAILABLE",
      message: /mc-proxy\.db: is locked by another process/,
    });
    other.exec("ROLLBACK");
    other.close();
    using _client = await sayHello(proxy.address(), "a.test");
    using _served = await backend.accept();
    assert.equal((await admin.listRoutes(ADDR)).length, 1);
    await admin.addRoute(ADDR, { hostname: "b.test", backend: "127.0.0.1:1" });
  },
});
