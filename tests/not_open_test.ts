import assert from "node:assert/strict";
import { stringify } from "smol-toml";
import { AdminClient } from "../mod.ts";
import { administered } from "./harness/admin.ts";
import { METRICS, metricsUrl, scrape } from "./harness/metrics.ts";
import { Backend, sayHello } from "./harness/peers.ts";
import { Proxy, type ProxyConfig, runProgram, testEachEngine } from "./harness/proxy.ts";
import { Succession } from "./harness/succession.ts";

const OPEN = "127.0.0.1:0";
/** An address that no host has, RFC 5737. */
const FOREIGN = "192.0.2.99:8443";

function portOf(addr: string): number {
  return Number(addr.split(":").at(-1));
}

/** A connection to `port` that is served by `backend`, to its end. */
async function served(port: number, hostname: string, backend: Backend): Promise<void> {
  using client = await sayHello({ transport: "tcp", hostname: "127.0.0.1", port }, hostname);
  using accepted = await backend.accept();
  await accepted.read(new Uint8Array(16));
  assert.ok(client);
}

testEachEngine("a listener that cannot be opened keeps no other from serving, and opens once it can", async () => {
  using backend = new Backend();
  const other = new Backend(); // has the port of the second listener
  const routes = [{ hostname: "a.test", backend: backend.addr }];
  const listeners = [{ addr: OPEN, routes }, { addr: other.addr, routes }];
  await using test = await administered([], { listeners, metrics: METRICS });
  const { proxy, admin } = test;
  const { reason, level } = await proxy.event("listen_failed", { listener: other.addr });
  assert.deepEqual([level, reason], [
    "error",
    "the address is in use; stop the program that has it, or choose another port",
  ]);
  assert.equal((await proxy.event("ready"))["not_open"], 1);
  await served(proxy.address().port, "a.test", backend);

  const [open, closed] = (await admin.getStatus()).listeners;
  assert.deepEqual([open?.problem, closed?.problem, closed?.boundAddr], [undefined, reason, ""]);
  const ready = async () => {
    const response = await fetch(await metricsUrl(proxy, "/readyz"));
    return [response.status, await response.text()];
  };
  const problem = `listener ${other.addr}: not open: ${reason}`;
  assert.deepEqual(await ready(), [503, `${problem}\n`]);
  assert.deepEqual(await runProgram(["ctl", "health", "--addr", test.socket]), {
    code: 1,
    stdout: "NOT_SERVING\n",
    stderr: `${problem}\n`,
  });
  assert.equal(await admin.isServing(), false);
  await proxy.event("unhealthy", { reasons: problem });
  const up = async () => {
    const values = await scrape(proxy);
    return [OPEN, other.addr].map((addr) => values.value(`mcproxy_listener_up{listener="${addr}"}`));
  };
  assert.deepEqual(await up(), [1, 0]);
  assert.match(
    (await runProgram(["status", "--addr", test.socket])).stdout,
    /^LISTENER +NOT OPEN *\n127\.0\.0\.1:\d+ +the address is in use/m,
  );
  // What is changed meanwhile holds when it opens.
  await admin.addRoute(other.addr, { hostname: "late.test", backend: backend.addr });

  other[Symbol.dispose]();
  await proxy.event("listening", { listener: other.addr });
  for (const hostname of ["a.test", "late.test"]) await served(portOf(other.addr), hostname, backend);
  assert.deepEqual(await ready(), [200, "ok\n"]);
  assert.deepEqual(await admin.health(), { isServing: true, problems: [] });
  assert.deepEqual(await up(), [1, 1]);
  assert.equal((await admin.getStatus()).listeners[1]?.boundAddr, other.addr);
  assert.equal(proxy.log.seen.filter(({ event }) => event === "listen_failed").length, 1, "it is said once");
  proxy.signal("SIGTERM");
  assert.equal((await proxy.exit()).code, 0);
});

testEachEngine("a server that stops while a listener is not open ends as any other", async () => {
  await using proxy = await Proxy.start({ listeners: [{ addr: OPEN }, { addr: FOREIGN }] });
  assert.match(String((await proxy.event("listen_failed"))["reason"]), /^this machine has no such address/);
  proxy.signal("SIGTERM");
  assert.equal((await proxy.exit()).code, 0);
});

testEachEngine("listeners that cannot be bound together: the first serves, and the reason names it", async () => {
  using backend = new Backend();
  await using first = await Proxy.start({ listeners: [{ addr: OPEN }] });
  const { port } = first.address();
  await first.kill();
  const routes = [{ hostname: "a.test", backend: backend.addr }];
  const listeners = [`127.0.0.1:${port}`, `:${port}`].map((addr) => ({ addr, routes }));
  await using proxy = await Proxy.start({ listeners });
  const { listener, reason } = await proxy.event("listen_failed");
  assert.deepEqual([listener, reason], [
    `:${port}`,
    `listener "127.0.0.1:${port}" of this server has the port; remove one of the two, or give one another port`,
  ]);
  await served(port, "a.test", backend);
});

testEachEngine("a server with a listener that is not open can be replaced, and the new one opens it", async () => {
  using backend = new Backend();
  const other = new Backend();
  const routes = [{ hostname: "a.test", backend: backend.addr }];
  await using servers = await Succession.start(routes, {
    listeners: [{ addr: OPEN, routes }, { addr: other.addr, routes }],
  });
  await servers.current.event("listen_failed");
  const old = await servers.takeOver();
  await old.exit();
  await servers.current.event("listen_failed", { listener: other.addr });
  await served(servers.current.address().port, "a.test", backend);
  other[Symbol.dispose]();
  await servers.current.event("listening", { listener: other.addr });
  await served(portOf(other.addr), "a.test", backend);
});

testEachEngine("a listener that takes the port of one that closes opens once the old server has left it", async () => {
  using backend = new Backend();
  const routes = [{ hostname: "a.test", backend: backend.addr }];
  const first = await Proxy.start({ listeners: [{ addr: OPEN }] });
  const { port } = first.address();
  await first[Symbol.asyncDispose]();
  const listenersWith = (addr: string) => ({ listeners: [OPEN, addr].map((addr) => ({ addr, routes })) });
  await using servers = await Succession.start(routes, listenersWith(`:${port}`));
  const next = `${servers.folder}/next.toml`;
  Deno.writeTextFileSync(next, stringify({ database: { path: "mc-proxy.db" }, ...listenersWith(`127.0.0.1:${port}`) }));
  const applied = await runProgram(["ctl", "--addr", servers.socket, "apply", "--prune", next]);
  assert.equal(applied.code, 0, applied.stderr);
  await servers.takeOver();
  await servers.current.event("listening", { listener: `127.0.0.1:${port}` });
  await served(port, "a.test", backend);
});

/** Has a database hold what a file says, which another file then says otherwise. */
async function stored(folder: string, listeners: ProxyConfig["listeners"]): Promise<void> {
  const proxy = await Proxy.start({ listeners: listeners ?? [], grpc: { addr: `${folder}/admin.sock` } }, { folder });
  proxy.signal("SIGTERM");
  assert.equal((await proxy.exit()).code, 0);
}

Deno.test("what is stored and cannot be bound is told as such, with the command that is the way back", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  using _end = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
  const file = `${folder}/mc-proxy.toml`;
  const config = { listeners: [{ addr: OPEN }, { addr: FOREIGN }] };
  await stored(folder, config.listeners);
  assert.equal((await runProgram(["apply", "-c", file])).stdout, "nothing to change\n");
  // Only the listener that cannot be bound is left in the database, and the file says otherwise.
  const foreign = `${folder}/foreign.toml`;
  Deno.writeTextFileSync(
    foreign,
    `database.path = "mc-proxy.db"\nlog.format = "json"\n[[listeners]]\naddr = "${FOREIGN}"\n`,
  );
  const made = await runProgram(["apply", "--prune", "-c", foreign]);
  assert.deepEqual([made.code, made.stdout], [0, `- listener ${OPEN}\n0 added, 0 changed, 1 removed\n`], made.stderr);

  const failed = await runProgram(["server", "-c", file]);
  assert.deepEqual([failed.code, failed.stderr], [
    1,
    `mc-proxy: cannot listen on ${FOREIGN}: this machine has no such address; use one of its own, or none (:port) for ` +
    `all of them (the address is stored in the database ${folder}/mc-proxy.db, which the server goes by: correct it in ` +
    `${file}, then run mc-proxy apply -c ${file} --prune)\n`,
  ]);

  Deno.writeTextFileSync(file, Deno.readTextFileSync(file).replace(FOREIGN, "127.0.0.2:0"));
  const [, command = ""] = /then run mc-proxy (.*)\)\n$/.exec(failed.stderr) ?? [];
  const cured = await runProgram(command.split(" "));
  assert.deepEqual([cured.code, cured.stderr], [0, ""]);
  assert.match(cured.stdout, new RegExp(`^- listener ${FOREIGN.replaceAll(".", "\\.")}$`, "m"));
  await using proxy = Proxy.run(["server", "-c", file], { folder: Deno.makeTempDirSync({ prefix: "mc-proxy-" }) });
  await proxy.event("ready", { listeners: 2 });
  using admin = new AdminClient(`${folder}/admin.sock`);
  assert.deepEqual((await admin.getStatus()).listeners.map(({ addr, problem }) => [addr, problem]), [
    [OPEN, undefined],
    ["127.0.0.2:0", undefined],
  ]);
});
