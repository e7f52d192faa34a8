import assert from "node:assert/strict";
import { buildClientHello } from "../../wire/testdata/build_client_hello.ts";
import type { LogLines } from "../../wire/log_line.ts";
import { ipv4 } from "../../wire/ip_address.ts";
import { Counters } from "../counters.ts";
import type { EngineEvents } from "../engine.ts";
import type { EdgeSnapshot } from "../snapshot.ts";
import { DEFAULT_TLS } from "../tls_settings.ts";
import { incoming } from "../listen.ts";
import { NOTHING_INHERITED } from "../inherited.ts";
import { EpollEngine } from "./engine.ts";

const onLinux = Deno.build.os === "linux";

/** An echo on a free port. */
function startEcho() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns = new Set<Deno.Conn>();
  const serving = (async () => {
    for await (const conn of incoming(listener)) {
      conns.add(conn);
      void conn.readable.pipeTo(conn.writable).catch(() => {}).finally(() => conns.delete(conn));
    }
  })();
  return {
    port: listener.addr.port,
    async close() {
      listener.close();
      await serving;
      for (const conn of conns) conn.close();
    },
  };
}

const ROWS = { backend: 1, hostname: 0 };

function snapshotFor(port: number): EdgeSnapshot {
  return {
    listeners: [{
      addr: "127.0.0.1:0",
      hostname: "127.0.0.1",
      port: 0,
      proxyProtocol: false,
      maxConnections: 0,
      routes: [{ hostname: "*", backend: "echo", sendProxyProtocol: false, rows: ROWS, http: undefined }],
    }],
    firewall: {
      rules: { blockedIps: [], blockedCidrs: [], blockedCountries: [] },
      geoip: undefined,
      rateLimit: 60_000,
      rateWindowMs: 60_000,
    },
    backends: new Map([["echo", [{ address: ipv4(127, 0, 0, 1), port }]]]),
    timeouts: { proxyHeaderMs: 1000, helloMs: 10_000, connectMs: 1000, idleMs: 60_000 },
    certificates: new Map(),
    tls: DEFAULT_TLS,
    ticketKeys: [],
    logFormat: "json",
    logPriorities: false,
    reportsConnections: true,
    reportsRequests: true,
  };
}

class Recorder implements EngineEvents {
  linesSuppressed(): void {}
  /** Of the log. */
  readonly lines: string[] = [];
  readonly failures: string[] = [];
  readonly failed = Promise.withResolvers<void>();
  linesWritten({ bytes, count }: LogLines): void {
    const lines = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
    assert.equal(lines.length, count);
    this.lines.push(...lines);
  }
  dialFailed(): void {}
  acceptFailed(): void {}
  acceptRecovered(): void {}
  internalError(stack: string): void {
    this.failures.push(stack);
  }
  workerFailed(worker: number, stack: string): void {
    this.failures.push(`worker ${worker}: ${stack}`);
    this.failed.resolve();
  }
}

const HELLO = buildClientHello({ serverName: "a.test" });

async function open(port: number, hello = HELLO): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(hello);
  return conn;
}

/** Sends some bytes and reads as many back; `false` where the connection is broken. */
async function echoes(conn: Deno.Conn, length: number): Promise<boolean> {
  try {
    const buffer = new Uint8Array(length);
    for (let got = 0; got < length;) {
      const n = await conn.read(buffer.subarray(got));
      if (n === null) return false;
      got += n;
    }
    return true;
  } catch (error) {
    assert.ok(error instanceof Deno.errors.ConnectionReset, String(error));
    return false;
  }
}

Deno.test({
  name: "a worker that dies takes its own connections with it, is replaced, and the other worker's go on",
  ignore: !onLinux,
  async fn() {
    const echo = startEcho();
    const counters = new Counters(1, 2);
    counters.routes.reserve("backend", ROWS.backend);
    const recorder = new Recorder();
    const faulty = new URL("./testdata/faulty_worker.ts", import.meta.url);
    const engine = new EpollEngine(snapshotFor(echo.port), 2, counters, recorder, NOTHING_INHERITED, faulty);
    await engine.start();
    const port = Number(engine.addresses[0]?.split(":")[1]);

    const conns = await Promise.all(Array.from({ length: 60 }, () => open(port)));
    assert.deepEqual(await Promise.all(conns.map((conn) => echoes(conn, HELLO.length))), conns.map(() => true));
    assert.equal(counters.read(0).active, 60);
    assert.deepEqual(engine.threads, { wanted: 2, up: 2 });

    using fatal = await open(port, buildClientHello({ serverName: "fault.test" }));
    await recorder.failed.promise;
    assert.deepEqual(engine.threads, { wanted: 2, up: 1 });
    assert.match(recorder.failures.join("\n"), /^worker [01]: Error: injected fault\n +at .*faults\.ts/);
    assert.equal(await echoes(fatal, 1), false);

    for (const conn of conns) await conn.write(Uint8Array.of(1)).catch(() => {});
    const alive = await Promise.all(conns.map((conn) => echoes(conn, 1)));
    const survivors = alive.filter((lives) => lives).length;
    assert.ok(survivors > 0 && survivors < 60, `${survivors} of 60 were the other worker's`);
    assert.equal(counters.read(0).active, survivors, "the dead worker's places are free");

    // The kernel goes on spreading connections over both sockets: those of the dead worker wait for the new one.
    const later = await Promise.all(Array.from({ length: 40 }, () => open(port)));
    assert.deepEqual(await Promise.all(later.map((conn) => echoes(conn, HELLO.length))), later.map(() => true));
    assert.deepEqual(engine.threads, { wanted: 2, up: 2 });
    assert.equal(counters.routes.backend(ROWS.backend).dials.count, 100, "what the dead worker counted stays");

    for (const conn of [...conns, ...later]) conn.close();
    await engine.stop(true);
    await engine.drained();
    assert.equal(counters.read(0).active, 0);
    assert.deepEqual([recorder.failures.length, counters.workerFailures], [1, 1]);
    await echo.close();
  },
});

Deno.test({
  name: "a change holds for every connection that is opened once it is acknowledged",
  ignore: !onLinux,
  async fn() {
    const [first, second] = [startEcho(), Deno.listen({ hostname: "127.0.0.1", port: 0 })];
    const engine = new EpollEngine(snapshotFor(first.port), 2, new Counters(1, 2), new Recorder());
    await engine.start();
    const port = Number(engine.addresses[0]?.split(":")[1]);
    const addresses = [{ address: ipv4(127, 0, 0, 1), port: second.addr.port }];
    await engine.apply([{ kind: "set_backend", name: "echo", addresses }]);
    for (let i = 0; i < 20; i++) {
      using _client = await open(port);
      using _served = await second.accept();
    }
    second.close();
    await engine.stop(true);
    engine.abort();
    await engine.drained();
    await first.close();
  },
});

Deno.test({
  name: "a change that is made while a worker dies holds in the one that takes its place",
  ignore: !onLinux,
  async fn() {
    const [first, second] = [startEcho(), Deno.listen({ hostname: "127.0.0.1", port: 0 })];
    const recorder = new Recorder();
    const faulty = new URL("./testdata/faulty_worker.ts", import.meta.url);
    const engine = new EpollEngine(
      snapshotFor(first.port),
      2,
      new Counters(1, 2),
      recorder,
      NOTHING_INHERITED,
      faulty,
    );
    await engine.start();
    const port = Number(engine.addresses[0]?.split(":")[1]);
    const change = (port: number) =>
      engine.apply([{ kind: "set_backend", name: "echo", addresses: [{ address: ipv4(127, 0, 0, 1), port }] }]);

    using fatal = await open(port, buildClientHello({ serverName: "fault.test" }));
    // Before, at and after its death: each is acknowledged, if only by those that live.
    const changes = [change(first.port), recorder.failed.promise.then(() => change(second.addr.port))];
    assert.equal(await echoes(fatal, 1), false);
    await Promise.all(changes);
    for (let i = 0; i < 20; i++) {
      using _client = await open(port);
      using _served = await second.accept();
    }
    second.close();
    await engine.stop(true);
    engine.abort();
    await engine.drained();
    await first.close();
  },
});

Deno.test({
  name: "no change is acknowledged while a worker hangs, not even an empty one, and the other worker serves on",
  ignore: !onLinux,
  async fn() {
    const folder = await Deno.makeTempDir();
    Deno.env.set("HANG_FOLDER", folder);
    const echo = startEcho();
    const faulty = new URL("./testdata/faulty_worker.ts", import.meta.url);
    const engine = new EpollEngine(
      snapshotFor(echo.port),
      2,
      new Counters(1, 4),
      new Recorder(),
      NOTHING_INHERITED,
      faulty,
    );
    await engine.start();
    await engine.apply([]);
    const port = Number(engine.addresses[0]?.split(":")[1]);
    const begun = Deno.watchFs(folder);
    using _hanging = await open(port, buildClientHello({ serverName: "hang.test" }));
    for await (const { paths } of begun) if (paths.some((path) => path.endsWith("/begin"))) break;

    let acknowledged = false;
    const applied = engine.apply([]).then(() => acknowledged = true);
    // Of so many, some come to the worker that is left; by then it has acknowledged long since.
    const conns = await Promise.all(Array.from({ length: 40 }, () => open(port)));
    const echoed = conns.map((conn) => echoes(conn, HELLO.length));
    assert.equal(await Promise.any(echoed), true);
    assert.equal(acknowledged, false);

    await Deno.writeTextFile(`${folder}/end`, "");
    await applied;
    assert.deepEqual(await Promise.all(echoed), conns.map(() => true), "who hung goes on");
    for (const conn of conns) conn.close();
    await engine.stop(false);
    engine.abort();
    await engine.drained();
    await echo.close();
    await Deno.remove(folder, { recursive: true });
  },
});
