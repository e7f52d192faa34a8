import assert from "node:assert/strict";
import { AdminClient } from "../mod.ts";
import { Disk, mayMount } from "./harness/disk.ts";
import { METRICS, metricsUrl } from "./harness/metrics.ts";
import { REFUSING, sayHello } from "./harness/peers.ts";
import { Proxy, type ProxyConfig, runProgram } from "./harness/proxy.ts";

// With a disk that is full or read-only, a server that only routes starts and serves from what it has.

const ADDR = "127.0.0.1:0";

/** What a disk can do to a database, and how it is undone. */
const DISKS = {
  full: { spoil: (disk: Disk) => disk.fill(), mend: (disk: Disk) => disk.free() },
  "read-only": { spoil: (disk: Disk) => disk.remount("ro"), mend: (disk: Disk) => disk.remount("rw") },
};

function diskTest(name: string, fn: () => Promise<void>): void {
  const ignore = !mayMount();
  Deno.test({ name: ignore ? `${name} (needs the right to mount)` : name, ignore, fn });
}

/** A server whose database is on a disk of its own; its configuration is on another one. */
class Served implements AsyncDisposable {
  readonly disk = Disk.mount();
  readonly folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  readonly #all: Proxy[] = [];
  /** Where the admin socket is. */
  socket = `${this.folder}/admin.sock`;

  async start(change: ProxyConfig = {}): Promise<Proxy> {
    const proxy = Proxy.spawn({
      listeners: [{ addr: ADDR, routes: [{ hostname: "a.test", backend: REFUSING }] }],
      database: { path: `${this.disk.path}/mc-proxy.db` },
      grpc: { addr: this.socket },
      metrics: METRICS,
      ...change,
    }, { folder: this.folder });
    this.#all.push(proxy);
    await proxy.event("ready");
    return proxy;
  }

  /** Whether there is a route for a host name. */
  async serves(proxy: Proxy, hostname: string): Promise<boolean> {
    using client = await sayHello(proxy.address(), hostname);
    const { end } = await proxy.end(client);
    assert.ok(end === "backend_refused" || end === "no_route", String(end));
    return end === "backend_refused";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#all) await proxy.kill();
    Deno.removeSync(this.folder, { recursive: true });
    this.disk[Symbol.dispose]();
  }
}

async function readiness(proxy: Proxy): Promise<readonly [status: number, body: string]> {
  const response = await fetch(await metricsUrl(proxy, "/readyz"));
  return [response.status, await response.text()];
}

function addRoute(admin: AdminClient, hostname: string) {
  return admin.addRoute(ADDR, { hostname, backend: REFUSING });
}

for (const [kind, { spoil, mend }] of Object.entries(DISKS)) {
  for (const end of ["SIGTERM", "SIGKILL"] as const) {
    diskTest(
      `a ${kind} disk keeps no server from starting whose last one ended by ${end}; it recovers by itself`,
      async () => {
        await using served = new Served();
        const { disk, socket } = served;
        const first = await served.start();
        {
          using admin = new AdminClient(socket);
          await addRoute(admin, "b.test"); // by SIGKILL it is left in the write-ahead log
        }
        first.signal(end);
        await first.exit();
        spoil(disk);

        const proxy = await served.start();
        assert.equal(await served.serves(proxy, "a.test"), true);
        assert.equal(await served.serves(proxy, "b.test"), true);
        const [status, body] = await readiness(proxy);
        assert.equal(status, 503);
        assert.match(body, /^database: degraded, changes are refused: .*mc-proxy\.db: .*(full|read-only).*\n$/);
        assert.deepEqual(await runProgram(["ctl", "health", "--addr", socket]), {
          code: 1,
          stdout: "NOT_SERVING\n",
          stderr: body,
        });
        await proxy.event("unhealthy", { reasons: body.trimEnd() });
        using admin = new AdminClient(socket);
        assert.deepEqual((await admin.getStatus()).problems, [body.trimEnd()]);
        assert.deepEqual((await admin.listRoutes(ADDR)).map(({ hostname }) => hostname), ["a.test", "b.test"]);
        await assert.rejects(addRoute(admin, "c.test"), {
          code: "UNAVAILABLE",
          message: /mc-proxy\.db: .*(full|read-only)/,
        });
        assert.equal(await served.serves(proxy, "c.test"), false);

        mend(disk);
        await proxy.event("healthy");
        assert.deepEqual(await readiness(proxy), [200, "ok\n"]);
        assert.equal((await runProgram(["ctl", "health", "--addr", socket])).code, 0);
        await addRoute(admin, "c.test");
        assert.equal(await served.serves(proxy, "c.test"), true);
        proxy.signal("SIGTERM");
        assert.equal((await proxy.exit()).code, 0);

        const next = await served.start();
        assert.equal(await served.serves(next, "c.test"), true);
      },
    );
  }
}

for (const [kind, { spoil, mend }] of Object.entries(DISKS)) {
  diskTest(
    `on a ${kind} disk, check says what is stored, and apply refuses a change rather than to lose it`,
    async () => {
      await using served = new Served();
      const first = await served.start();
      first.signal("SIGTERM");
      await first.exit();
      const file = `${first.folder}/mc-proxy.toml`;
      Deno.writeTextFileSync(file, Deno.readTextFileSync(file).replace("a.test", "b.test"));
      spoil(served.disk);

      const checked = await runProgram(["check", "-c", file]);
      assert.deepEqual([checked.code, checked.stdout], [0, `${file}: OK (1 listener, 1 route)\n`]);
      assert.match(
        checked.stderr,
        /^.*: warning: the database .* the file has 1 more, 1 fewer and 0 that differ: .*\n$/,
      );
      const tried = await runProgram(["apply", "-c", file, "--dry-run"]);
      assert.deepEqual([tried.code, tried.stderr], [0, ""]);
      assert.match(tried.stdout, /^\+ route b\.test on /);
      const refused = await runProgram(["apply", "-c", file]);
      assert.deepEqual([refused.code, refused.stdout], [1, ""]);
      assert.match(refused.stderr, /mc-proxy\.db.*: .*(full|read-only).*\n$/);

      mend(served.disk);
      assert.equal((await runProgram(["apply", "-c", file])).code, 0);
      const proxy = await served.start();
      assert.equal(await served.serves(proxy, "b.test"), true);
    },
  );
}

diskTest("a disk that fills while the server runs is told at once, and so is that there is room again", async () => {
  await using served = new Served();
  const proxy = await served.start();
  using admin = new AdminClient(served.socket);
  await addRoute(admin, "b.test");
  assert.deepEqual(await readiness(proxy), [200, "ok\n"]);
  // Until the log has to grow, a change finds room within it: that is no full disk.
  served.disk.fill();
  let added = 0;
  for (let problem = ""; problem === ""; added++) {
    problem = await addRoute(admin, `${"x".repeat(60)}.${added}.test`).then(() => "", String);
  }
  // One page may find room where the several of a change do not: then the next one does not either.
  let [status, body] = await readiness(proxy);
  for (let i = 0; i < 8 && status === 200; i++) {
    await assert.rejects(addRoute(admin, `${"x".repeat(60)}.test`));
    [status, body] = await readiness(proxy);
  }
  assert.equal(status, 503);
  assert.match(body, /^database: degraded, changes are refused: .*: the disk is full\n$/);
  assert.equal(await admin.isServing(), false);
  assert.equal(await served.serves(proxy, "b.test"), true);
  served.disk.free();
  assert.deepEqual(await readiness(proxy), [200, "ok\n"]);
  assert.equal(await admin.isServing(), true);
  await addRoute(admin, "c.test");
});

diskTest("where the admin socket cannot be made, the server serves, and can be administered once it can", async () => {
  await using served = new Served();
  const first = await served.start();
  first.signal("SIGTERM");
  await first.exit();
  served.disk.remount("ro");
  served.socket = `${served.disk.path}/admin.sock`;
  const proxy = await served.start();
  assert.equal(await served.serves(proxy, "a.test"), true);
  await proxy.event("admin_socket_unavailable");
  const [status, body] = await readiness(proxy);
  assert.equal(status, 503);
  assert.match(body, /^admin API: grpc\.addr .*Read-only file system.*\ndatabase: degraded, .*\n$/);
  served.disk.remount("rw");
  await proxy.event("admin_listening");
  using admin = new AdminClient(served.socket);
  await addRoute(admin, "b.test");
  assert.deepEqual(await readiness(proxy), [200, "ok\n"]);
});

diskTest("what another program stored while the disk took no write is not overwritten", async () => {
  await using served = new Served();
  const first = await served.start();
  first.signal("SIGTERM");
  await first.exit();
  served.disk.remount("ro");
  const proxy = await served.start();
  served.disk.remount("rw");
  // Before the server looks again, as a snapshot that is put back would be.
  const { DatabaseSync } = await import("node:sqlite");
  const other = new DatabaseSync(`${served.disk.path}/mc-proxy.db`);
  other.exec("UPDATE routes SET hostname = 'other.test'");
  other.close();
  using admin = new AdminClient(served.socket);
  await assert.rejects(addRoute(admin, "b.test"), {
    code: "UNAVAILABLE",
    message: /mc-proxy\.db: was changed while its disk took no write; restart the server/,
  });
  assert.equal(await served.serves(proxy, "a.test"), true);
  assert.match((await readiness(proxy))[1], /was changed while its disk took no write/);
});

diskTest("a first start needs a disk that takes writes", async () => {
  await using served = new Served();
  served.disk.remount("ro");
  const proxy = Proxy.spawn({
    listeners: [{ addr: ADDR, routes: [] }],
    database: { path: `${served.disk.path}/mc-proxy.db` },
  }, { folder: served.folder });
  assert.equal((await proxy.exit()).code, 1);
  assert.match(String(proxy.log.seen[0]?.["line"]), /mc-proxy\.db.*: cannot be used: Read-only file system$/);
});
