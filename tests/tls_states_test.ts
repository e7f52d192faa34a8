/** TLS connections of an L7 route, in every state they can be in, when something befalls the server. */
import assert from "node:assert/strict";
import configuration from "../deno.json" with { type: "json" };
import { ROOT, taskCommand } from "../scripts/program.ts";
import { authority, certificateFor } from "./harness/http.ts";
import { endSeen, sayHello } from "./harness/peers.ts";
import { Proxy, type ProxyConfig, testEachEngine } from "./harness/proxy.ts";
import type { Reachable } from "./harness/raw_http.ts";
import { Succession } from "./harness/succession.ts";
import { isInstalled } from "./harness/tools.ts";
import { enter, HalvingBackend, type State, type StateClient, STATES } from "./harness/tls_states.ts";

const NOTE = isInstalled("openssl") ? "" : " (needs openssl)";

/** No time-out ends anything before the server ends. */
const PATIENT = { hello_timeout: "5m", idle_timeout: "5m", shutdown_timeout: "1h" };

/** The states from which a connection ends by itself when the server drains, and how. The others have a request. */
const DRAINED: Partial<Record<State, string>> = {
  "ClientHello partly sent": "hello_timeout",
  "client's Finished withheld": "tls_timeout",
  "idle HTTP/1.1 behind a request": "closed",
  "idle HTTP/2 behind a request": "closed",
};

/** Servers with an L7 route to a backend, and clients in every state. */
class Scene implements AsyncDisposable {
  readonly servers: Succession;
  readonly backend: HalvingBackend;
  readonly to: Reachable;
  readonly clients: StateClient[] = [];

  private constructor(servers: Succession, backend: HalvingBackend, to: Reachable) {
    this.servers = servers;
    this.backend = backend;
    this.to = to;
  }

  static async start(config: ProxyConfig): Promise<Scene> {
    const backend = await HalvingBackend.start();
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const servers = await Succession.start([await routeTo(backend, folder)], config, folder);
    const proxy = { address: () => servers.current.address() };
    return new Scene(servers, backend, { proxy, authority: await authority() });
  }

  /** Brings a client to each state; they are this scene's. */
  async enterAll(): Promise<readonly StateClient[]> {
    const clients: StateClient[] = [];
    for (const state of STATES) clients.push(await this.enter(state));
    return clients;
  }

  /** Brings a client to a state; it is this scene's. */
  async enter(state: State): Promise<StateClient> {
    const client = await enter(state, this.to, this.backend);
    this.clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) await client.close();
    await this.servers[Symbol.asyncDispose]();
    await this.backend[Symbol.asyncDispose]();
  }
}

async function routeTo(backend: HalvingBackend, folder: string): Promise<Record<string, unknown>> {
  return { hostname: "a.test", mode: "l7", ...backend.route, ...await certificateFor(folder, "a.test") };
}

/** What the log says of the ends of these connections: one line each. */
function endsOf({ log }: Proxy, clients: readonly StateClient[]): Map<State, unknown> {
  const lines = log.seen.filter(({ event }) => event === "connection");
  assert.equal(lines.length, clients.length);
  return new Map(clients.map(({ state, gate }) => {
    const { port } = gate.upstream.localAddr as Deno.NetAddr;
    const own = lines.filter(({ client }) => client === `127.0.0.1:${port}`);
    assert.equal(own.length, 1, `${state}: ${JSON.stringify(own)}`);
    return [state, own[0]?.["end"]];
  }));
}

/** Has each connection go on to its end on a server that drains. */
async function drainOut(clients: readonly StateClient[]): Promise<void> {
  await Promise.all(clients.map(async (client) => {
    const { state } = client;
    if (DRAINED[state] === undefined) await client.finish();
    // A WebSocket goes on until one of its ends leaves.
    const end = await (state === "WebSocket open" ? client.leave() : client.readOut());
    const isRefused = state === "ClientHello partly sent" || state === "client's Finished withheld";
    if (!isRefused) assert.equal(end, "in order", state);
    await client.close();
  }));
}

function assertDrained(proxy: Proxy, clients: readonly StateClient[]): void {
  for (const [state, end] of endsOf(proxy, clients)) assert.equal(end, DRAINED[state] ?? "closed", state);
  const wrong = proxy.log.seen.filter(({ event, level }) => level === "error" || event === "drain_timeout");
  assert.deepEqual(wrong, []);
}

testEachEngine("SIGTERM: whoever has a request under way finishes it whole, the others end in order", async () => {
  await using scene = await Scene.start({ proxy: PATIENT });
  const clients = await scene.enterAll();
  const { current } = scene.servers;
  current.signal("SIGTERM");
  await current.event("draining");
  await drainOut(clients);
  assert.equal((await current.exit()).code, 0);
  assertDrained(current, clients);
});

testEachEngine("a second SIGTERM ends a connection in any state at once, and each has its line", async () => {
  await using scene = await Scene.start({ proxy: PATIENT });
  const clients = await scene.enterAll();
  const { current } = scene.servers;
  current.signal("SIGTERM");
  await current.event("draining");
  current.signal("SIGTERM");
  const ends = clients.map(async (client) => [client.state, await client.readOut()] as const);
  assert.equal((await current.exit()).code, 0);
  for (const [state, end] of await Promise.all(ends)) {
    if (DRAINED[state] === undefined) assert.equal(end, "cut", `${state}: half an answer is not taken for a whole one`);
  }
  for (const [state, end] of endsOf(current, clients)) {
    // Between the signals, those without a request may have ended by themselves.
    assert.ok(end === "shutdown" || end === DRAINED[state], `${state}: ${end}`);
  }
});

testEachEngine(
  "a takeover: what is under way finishes on the old server, and who comes meanwhile is the new one's",
  async () => {
    await using scene = await Scene.start({ proxy: PATIENT });
    const clients = await scene.enterAll();
    const before = await scene.servers.takeOver();
    await before.event("draining");
    const { current } = scene.servers;
    const isGoing = ({ state }: StateClient) => DRAINED[state] === undefined;
    const ending = drainOut(clients.filter((client) => !isGoing(client)));
    const later = await enterAndFinish(scene);
    await drainOut(clients.filter(isGoing));
    await ending;
    assert.equal((await before.exit()).code, 0);
    assertDrained(before, clients);
    for (const { gate } of later) assert.equal((await current.end(gate.upstream))["end"], "closed");
  },
);

/**
 * Whether a client goes on from a session that it has, or else gets one; asked as openssl asks, which keeps it.
 *
 * @param file Where it is kept.
 */
async function resumes({ port }: Deno.NetAddr, file: string): Promise<boolean> {
  const isKept = await Deno.lstat(file).then(() => true, () => false);
  const client = new Deno.Command("openssl", {
    args: [
      ...["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "a.test", "-ign_eof"],
      ...["-sess_out", file, ...isKept ? ["-sess_in", file] : []],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const request = client.stdin.getWriter();
  await request.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n"));
  const { stdout, stderr } = await client.output();
  const said = new TextDecoder().decode(stdout);
  assert.match(said, /\r\n\r\nhello/, said + new TextDecoder().decode(stderr));
  await request.close().catch(() => {}); // it has ended
  return /^Reused, /m.test(said);
}

Deno.test({
  name: `a takeover: a session of the old server resumes on the new one while the old one drains${NOTE}`,
  ignore: Deno.build.os !== "linux" || NOTE !== "",
  async fn() {
    await using scene = await Scene.start({ proxy: { ...PATIENT, engine: "epoll" } });
    const { servers, clients } = scene;
    const session = `${servers.folder}/session.pem`;
    assert.equal(await resumes(servers.current.address(), session), false);
    const going = await scene.enter("answer half read");
    const before = await servers.takeOver();
    await before.event("draining");
    assert.equal(await resumes(servers.current.address(), session), true);
    await servers.current.event("connection", { sni: "a.test" });
    await going.finish();
    assert.equal(await going.readOut(), "in order");
    for (const client of clients) await client.close();
    assert.equal((await before.exit()).code, 0);
  },
});

/**
 * Has a client come to each state, and go on from there to its end. Who ends first is not told of the other end with
 * "portable": node:tls of Deno 2.9.6 closes what is under it before that is sent.
 */
async function enterAndFinish(scene: Scene): Promise<readonly StateClient[]> {
  const clients: StateClient[] = [];
  for (const state of STATES) {
    const client = await scene.enter(state);
    clients.push(client);
    await client.finish();
    await client.leave();
  }
  return clients;
}

/** How many clients come to each state: with two workers, some of each come to either. */
const OF_EACH = 4;

Deno.test({
  name: "a worker that dies takes its TLS connections with it in any state; the other's go on, and new ones are served",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using backend = await HalvingBackend.start();
    await using proxy = await startDying(backend);
    const to = { proxy, authority: await authority() };
    const sockets = socketsOf(proxy);
    const clients: StateClient[] = [];
    for (let i = 0; i < OF_EACH; i++) {
      for (const state of STATES) clients.push(await enter(state, to, backend));
    }
    using fatal = await sayHello(proxy.address(), "fault.test");
    const failed = await proxy.event("worker_failed");
    assert.match(JSON.stringify(failed), /injected fault/);
    assert.equal(await endSeen(fatal), "reset");

    // By the time that these are served, in part by the worker that takes its place, the resets have come.
    for (const state of STATES) {
      const client = await enter(state, to, backend);
      await client.finish();
      await client.close();
    }
    const dead = clients.filter(({ gate }) => gate.ended !== undefined);
    assert.ok(dead.length > 0 && dead.length < clients.length, `${dead.length} of ${clients.length}`);
    for (const { state, gate, readOut } of dead) {
      assert.equal(gate.ended, "reset", state);
      assert.equal(await readOut(), "cut", state);
    }
    for (const client of clients) {
      if (!dead.includes(client)) {
        await client.finish();
        assert.equal(await client.leave(), "in order", client.state);
        assert.equal((await proxy.end(client.gate.upstream))["end"], "closed", client.state);
      }
      await client.close();
    }
    await backend.http.stop(); // and the connections that are kept for the next request
    await socketsAreBack(proxy, sockets);
    assert.equal(proxy.log.seen.filter(({ event }) => event === "worker_failed").length, 1);
    proxy.signal("SIGTERM");
    assert.equal((await proxy.exit()).code, 0);
  },
});

/** The program with two workers, each of which dies when it is asked for `fault.test`. */
async function startDying(backend: HalvingBackend): Promise<Proxy> {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const { executable, args } = taskCommand(configuration, ROOT);
  return await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes: [await routeTo(backend, folder)] }],
    proxy: { ...PATIENT, engine: "epoll", workers: 2 },
  }, {
    folder,
    command: { executable, args: [...args.slice(0, -1), `${ROOT}tests/testdata/dying_program.ts`] },
  });
}

/** Nothing tells when the last of them is closed. */
async function socketsAreBack(proxy: Proxy, wanted: number): Promise<void> {
  for (let left = 3_000; socketsOf(proxy) !== wanted; left--) {
    assert.ok(left > 0, `${socketsOf(proxy)} sockets in place of ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** How many sockets the process has: proc(5). */
function socketsOf({ pid }: Proxy): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].filter(({ name }) => linkOf(pid, name).startsWith("socket:")).length;
}

function linkOf(pid: number, name: string): string {
  try {
    return Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
  } catch {
    return ""; // it was closed meanwhile
  }
}
