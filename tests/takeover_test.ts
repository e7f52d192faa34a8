/** A new process takes the place of a server that runs: nothing is lost, and whatever goes wrong, the old one carries on. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { AdminClient } from "../mod.ts";
import { ADDR } from "./harness/admin.ts";
import { authority, HttpBackend } from "./harness/http.ts";
import { echoOnce, httpClient, Load, LongEcho, requestOnce } from "./harness/load.ts";
import { METRICS, metricsUrl } from "./harness/metrics.ts";
import { Backend } from "./harness/peers.ts";
import { Proxy, runProgram, testEachEngine } from "./harness/proxy.ts";
import { Succession } from "./harness/succession.ts";

/** How often the server is taken over under load; `MC_PROXY_TAKEOVERS` for more, which are then counted on the console. */
const WANTED = Deno.env.get("MC_PROXY_TAKEOVERS");
const TAKEOVERS = Number(WANTED ?? 2);

/** How often a new process is killed while it takes over; `MC_PROXY_KILLS` for more. */
const KILLS = Number(Deno.env.get("MC_PROXY_KILLS") ?? 5);

/**
 * How many new connections one takeover may cost: what comes between the last look into the kernel's queue and the close,
 * with an engine that cannot pass its sockets on.
 */
const LOSSES = { epoll: 0, portable: 3 };

testEachEngine(
  `under load, ${TAKEOVERS} takeovers lose no connection, or on "portable" hardly one`,
  async (engine) => {
    using echo = new Backend();
    void echo.echo();
    const downloads = new Set<() => void>();
    await using web = await HttpBackend.start("h2c", (request, response) => {
      if (request.url === "/") return void response.end("hello");
      // Until the test ends it, with the digest of what was sent behind it.
      const hash = createHash("sha256");
      const timer = setInterval(() => {
        const block = crypto.getRandomValues(Buffer.alloc(16 * 1024));
        hash.update(block);
        response.write(block);
      }, 10);
      downloads.add(() => {
        clearInterval(timer);
        response.end(hash.digest());
      });
    });
    const trusted = await authority();
    const { cert } = trusted;
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const pair = await trusted.issue({ hostnames: ["localhost"] });
    Deno.writeTextFileSync(`${folder}/l7.pem`, pair.cert);
    Deno.writeTextFileSync(`${folder}/l7.key`, pair.key);
    const l7 = { mode: "l7", tls_cert: `${folder}/l7.pem`, tls_key: `${folder}/l7.key` };
    await using servers = await Succession.start(
      [
        { hostname: "l4.test", backend: echo.addr },
        { hostname: "localhost", backend: web.addr, ...l7 },
      ],
      {},
      folder,
    );
    const to = servers.current.address();
    const l4Load = new Load(4, () => echoOnce(to, "l4.test"));
    const url = `https://localhost:${to.port}`;
    const l7Load = new Load(2, () => requestOnce(`${url}/`, cert, "h2"));
    const http1Load = new Load(1, () => requestOnce(`${url}/`, cert, "h1"));
    const loads = [l4Load, l7Load, http1Load];
    const more = () => Promise.all(loads.map((load) => load.more(15)));
    for (let i = 0; i < TAKEOVERS; i++) {
      const transfer = await LongEcho.start(to, "l4.test");
      using client = httpClient(cert, "h2");
      const download = await fetch(`${url}/download`, { client });
      const body = download.bytes();
      await more();
      const before = await servers.takeOver();
      await before.event("draining");
      await more();
      await transfer.end();
      for (const end of downloads) end();
      downloads.clear();
      const bytes = Buffer.from(await body);
      assert.ok(createHash("sha256").update(bytes.subarray(0, -32)).digest().equals(bytes.subarray(-32)));
      assert.ok(transfer.octets > 0 && bytes.length > 32);
      assert.equal((await before.exit()).code, 0);
      assert.deepEqual(
        before.log.seen.filter(({ event, level }) => level === "error" || event === "drain_timeout"),
        [],
      );
    }
    await Promise.all(loads.map((load) => load.stop()));
    const failures = loads.flatMap(({ failures }) => failures);
    const served = loads.reduce((sum, { served }) => sum + served, 0);
    if (WANTED !== undefined) {
      console.log(`${engine}: ${TAKEOVERS} takeovers, ${served} connections served, ${failures.length} lost`);
    }
    assert.ok(failures.length <= LOSSES[engine] * TAKEOVERS, failures.join("\n"));
    for (const failure of failures) assert.match(failure, /^(ConnectionReset|BrokenPipe|TypeError: fetch failed)/);
  },
);

testEachEngine("the database, the admin socket and the metrics change hands, each at once", async () => {
  using echo = new Backend();
  void echo.echo();
  await using servers = await Succession.start([{ hostname: "l4.test", backend: echo.addr }], { metrics: METRICS });
  const { admin, socket, current: first } = servers;
  const { startedAt } = await admin.getStatus();
  const url = await metricsUrl(first, "/readyz");
  const files = () => Array.from(Deno.readDirSync(servers.folder), ({ name }) => name).sort();
  const before = files();
  // Whoever opens the socket finds a server behind it, at every moment.
  const asking = new Load(1, async () => (await Deno.connect({ transport: "unix", path: socket })).close());
  await asking.more(1);
  await admin.addRoute(ADDR, { hostname: "last.test", backend: echo.addr });
  await servers.takeOver();
  assert.equal((await first.exit()).code, 0);
  await asking.more(1);
  await asking.stop();
  assert.deepEqual(asking.failures, []);

  const status = await admin.getStatus();
  assert.ok(status.startedAt > startedAt && !status.draining);
  assert.deepEqual([servers.current.address(), await metricsUrl(servers.current, "/readyz")], [first.address(), url]);
  assert.equal(await (await fetch(url)).text(), "ok\n");
  await echoOnce(first.address(), "last.test");
  await admin.removeRoute(ADDR, "last.test");
  assert.deepEqual((await admin.listRoutes(ADDR)).map(({ hostname }) => hostname), ["l4.test"]);
  assert.equal((Deno.lstatSync(socket).mode ?? 0) & 0o777, 0o600);
  assert.deepEqual(files(), before, "nothing is left of how it was done");
});

testEachEngine(
  "until the new process is ready the old one serves, and changes nothing; if it goes, all is as before",
  async () => {
    using echo = new Backend();
    void echo.echo();
    await using servers = await Succession.start([{ hostname: "l4.test", backend: echo.addr }], { metrics: METRICS });
    const { admin, current: old, folder } = servers;
    const url = await metricsUrl(old, "/readyz");
    const abort = new AbortController();
    const request = { pid: 4242, version: "9.9.9", database: `${folder}/mc-proxy.db`, descriptorsPath: "" };
    const offers = admin.beginHandover(request, abort.signal);
    const { value } = await offers.next();
    assert.ok(value);
    assert.deepEqual([value.pid, value.metrics?.addr], [old.pid, METRICS.addr]);
    const added = admin.addRoute(ADDR, { hostname: "new.test", backend: echo.addr });
    await assert.rejects(added, {
      code: "UNAVAILABLE",
      message: "the server is being handed over to process 4242; try again in a moment",
    });
    await echoOnce(old.address(), "l4.test");
    assert.equal(await (await fetch(url)).text(), "ok\n");
    assert.deepEqual(
      await runProgram(["server", "--takeover", "-c", servers.file]),
      {
        code: 1,
        stdout: "",
        stderr: `mc-proxy: cannot take over from the server at ${servers.socket}, which carries on: ` +
          "process 4242 is taking over already; wait for it, or end it\n",
      },
    );
    const ended = assert.rejects(offers.next());
    abort.abort();
    await ended;
    await old.event("carrying_on");
    await admin.addRoute(ADDR, { hostname: "new.test", backend: echo.addr });
    await assert.rejects(admin.finishHandover(value.token, 0), { code: "INVALID_ARGUMENT", field: "token" });
    await assert.rejects(
      admin.beginHandover({ ...request, database: servers.file }, new AbortController().signal).next(),
      {
        code: "FAILED_PRECONDITION",
        message: /^database\.path is ".*", and the server's is ".*"; both must be the same$/,
      },
    );
    assert.deepEqual((await old.event("handover_failed"))["to_pid"], 4242);

    await servers.takeOver();
    await echoOnce(old.address(), "new.test");
    assert.equal((await old.exit()).code, 0);
  },
);

testEachEngine("a new process that cannot start says why, and the old one carries on", async (engine) => {
  using echo = new Backend();
  void echo.echo();
  await using servers = await Succession.start([{ hostname: "l4.test", backend: echo.addr }]);
  const { current: old, admin, socket } = servers;
  const sound = Deno.readTextFileSync(servers.file);
  const cases: readonly (readonly [from: string, to: string, lines: RegExp])[] = [
    ["[database]", "[databse]", /: databse: is not a known key here/],
    [
      `[grpc]\naddr = "${socket}"`,
      "",
      /: grpc: is missing: --takeover finds the server that runs by its admin socket\n$/,
    ],
    [
      "[grpc]",
      `[metrics]\naddr = "${echo.addr}"\n[grpc]`,
      /^mc-proxy: cannot listen on .* \(metrics\.addr\): the address is/m,
    ],
    ['"mc-proxy.db"', '"other.db"', /which carries on: database\.path is ".*other\.db", and the server's is/],
  ];
  for (const [from, to, lines] of cases) {
    assert.ok(sound.includes(from), from);
    const file = `${servers.folder}/wrong.toml`;
    Deno.writeTextFileSync(file, sound.replace(from, to));
    const failed = Proxy.run(["server", "--takeover", "-c", file], { folder: servers.folder });
    assert.equal((await failed.exit()).code, 1, to);
    const text = failed.log.seen.map(({ line }) => `${line}\n`).join("");
    assert.match(text, lines);
    await echoOnce(old.address(), "l4.test");
  }
  await old.event("carrying_on");
  await admin.addRoute(ADDR, { hostname: "new.test", backend: echo.addr });
  assert.equal(old.log.seen.filter(({ event }) => event === "handing_over").length, 1, "of these, one began");
  Deno.writeTextFileSync(servers.file, sound);
  await servers.takeOver();
  await echoOnce(old.address(), "new.test");
  assert.equal((await old.exit()).code, 0);
  assert.equal((await admin.getStatus()).engine, engine);
});

testEachEngine(`of ${KILLS} new processes that are killed at some moment, none takes anything with it`, async () => {
  using echo = new Backend();
  void echo.echo();
  await using servers = await Succession.start([{ hostname: "l4.test", backend: echo.addr }]);
  const { admin } = servers;
  let old = servers.current;
  let to = old.address();
  for (let kill = 0, failed = 0; kill < KILLS; kill++) {
    const hostname = `h${kill}.test`;
    await admin.addRoute(ADDR, { hostname, backend: echo.addr });
    const begun = old.log.seen.filter(({ event }) => event === "handing_over").length;
    const next = servers.run(["--takeover"]);
    await old.log.findAll(begun + 1, ({ event }) => event === "handing_over");
    // From here to its end a takeover takes about 300 ms.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 400));
    await next.kill();
    const outcome = await Promise.race([
      old.log.findAll(failed + 1, ({ event }) => event === "carrying_on").then(() => "failed", () => "over"),
      old.exit().then(() => "over"),
    ]);
    if (outcome === "failed") {
      failed++;
    } else {
      // It was killed as the server that it was by then.
      assert.equal((await old.exit()).code, 0);
      old = servers.run([]);
      await old.event("ready");
      to = old.address();
      failed = 0;
    }
    assert.ok(await admin.isServing());
    assert.ok((await admin.listRoutes(ADDR)).some((route) => route.hostname === hostname));
    await echoOnce(to, hostname);
  }
  const last = servers.run(["--takeover"]);
  await last.event("took_over");
  assert.equal((await old.exit()).code, 0);
  assert.equal((await admin.listRoutes(ADDR)).length, KILLS + 1);
});

testEachEngine("when the old server dies while it hands over, the new one goes on without it, or says so", async () => {
  for (let kill = 0; kill < 3; kill++) {
    await using servers = await Succession.start([]);
    const old = servers.current;
    const next = servers.run(["--takeover"]);
    await old.event("handing_over");
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
    await old.kill();
    const isUp = await next.event("ready").then(() => true, () => false);
    if (isUp) {
      assert.equal(await servers.admin.isServing(), true);
    } else {
      const text = next.log.seen.map(({ line }) => line).join("\n");
      assert.match(text, /^mc-proxy: cannot take over from the server at .*: it ended meanwhile$/m);
    }
  }
});

Deno.test({
  name: "a takeover may change the engine and the number of workers",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using echo = new Backend();
    void echo.echo();
    await using servers = await Succession.start([{ hostname: "l4.test", backend: echo.addr }]);
    const to = servers.current.address();
    for (
      const [engine, workers] of [["epoll", 3], ["epoll", 1], ["portable", 0], ["epoll", 2], ["epoll", 5]] as const
    ) {
      const before = await servers.takeOver({ change: { proxy: { engine, workers } } });
      assert.equal((await before.exit()).code, 0);
      const status = await servers.admin.getStatus();
      assert.deepEqual([status.engine, status.workers], [engine, workers || 1]);
      await Promise.all(Array.from({ length: 40 }, () => echoOnce(to, "l4.test")));
    }
  },
});

testEachEngine(
  "--drain says how long connections of the old server may go on, in place of its shutdown_timeout",
  async () => {
    using echo = new Backend();
    void echo.echo();
    await using servers = await Succession.start([{ hostname: "l4.test", backend: echo.addr }], {
      proxy: { shutdown_timeout: "1ms" },
    });
    const to = servers.current.address();
    const long = await LongEcho.start(to, "l4.test");
    const first = await servers.takeOver({ options: ["--drain", "1h"] });
    assert.equal((await first.event("draining"))["timeout_ms"], 3_600_000);
    const short = await LongEcho.start(to, "l4.test");
    const second = await servers.takeOver({ options: ["--drain", "20ms"] });
    assert.equal((await second.event("connection", { end: "shutdown" }))["route"], "l4.test");
    await assert.rejects(short.over);
    assert.equal((await second.exit()).code, 0);
    await long.end();
    assert.equal((await first.exit()).code, 0);
    // A signal to one that drains ends its connections, as a second signal does.
    const last = await LongEcho.start(to, "l4.test");
    const third = await servers.takeOver({ options: ["--drain", "1h"] });
    await third.event("draining");
    third.signal("SIGTERM");
    await assert.rejects(last.over);
    assert.equal((await third.exit()).code, 0);
  },
);

testEachEngine("without --takeover, a second server does not share the ports of the first", async () => {
  await using servers = await Succession.start([], { metrics: METRICS });
  const { hostname, port } = servers.current.address();
  const metrics = new URL(await metricsUrl(servers.current)).host;
  const other = { database: { path: "other.db" }, grpc: { addr: `${servers.folder}/other.sock` } };
  const inUse = /: the address is in use; stop the program that has it, or choose another port/m;
  for (
    const change of [{ listeners: [{ addr: `${hostname}:${port}` }] }, {
      listeners: [{ addr: ADDR }],
      metrics: { addr: metrics },
    }]
  ) {
    const second = servers.run([], { ...other, ...change });
    assert.equal((await second.exit()).code, 1);
    assert.match(second.log.seen.map(({ line }) => line).join("\n"), inUse);
  }
});

Deno.test("where no server runs, --takeover starts one", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  Deno.listen({ transport: "unix", path: `${folder}/admin.sock` }).close(); // of a server that was killed
  await using servers = await Succession.start([], {}, folder);
  await servers.current.kill();
  const next = servers.run(["--takeover"]);
  await next.event("ready");
  assert.equal(await servers.admin.isServing(), true);
  assert.deepEqual(next.log.seen.filter(({ event }) => event === "took_over"), []);
});

Deno.test("a server of a version that cannot be taken over is named as the reason, and left alone", async () => {
  await using servers = await Succession.start([]);
  await servers.current.kill();
  Deno.removeSync(servers.socket);
  const older = new Server();
  const { promise, resolve } = Promise.withResolvers<void>();
  older.bindAsync(`unix:${servers.socket}`, ServerCredentials.createInsecure(), () => resolve());
  await promise;
  try {
    assert.deepEqual(await runProgram(["server", "--takeover", "-c", servers.file]), {
      code: 1,
      stdout: "",
      stderr: `mc-proxy: cannot take over from the server at ${servers.socket}, which carries on: ` +
        "it is of a version that cannot be taken over; stop it, then start this one\n",
    });
  } finally {
    older.forceShutdown();
  }
});

Deno.test({
  name: "another user, root included, is refused (needs root)",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    await using servers = await Succession.start([]);
    Deno.chownSync(servers.socket, 65_534, null);
    assert.deepEqual(await runProgram(["server", "--takeover", "-c", servers.file]), {
      code: 1,
      stdout: "",
      stderr: `mc-proxy: cannot take over from the server at ${servers.socket}, which carries on: ` +
        "it runs as user 65534; run this as the same user\n",
    });
  },
});

Deno.test("a signal to the old server while it is handed over ends it, and the new process is told", async () => {
  await using servers = await Succession.start([]);
  const { current: old, folder, socket } = servers;
  using admin = new AdminClient(socket);
  const request = { pid: 4242, version: "9.9.9", database: `${folder}/mc-proxy.db`, descriptorsPath: "" };
  const offers = admin.beginHandover(request, new AbortController().signal);
  await offers.next();
  old.signal("SIGTERM");
  await assert.rejects(offers.next(), { code: "UNAVAILABLE", message: "the server is shutting down" });
  assert.equal((await old.exit()).code, 0);
  assert.throws(() => Deno.lstatSync(socket), Deno.errors.NotFound);
});
