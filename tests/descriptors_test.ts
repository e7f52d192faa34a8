import assert from "node:assert/strict";
import { AdminClient } from "../mod.ts";
import { METRICS, metricsUrl } from "./harness/metrics.ts";
import { Backend, helloFor, readExactly, sayHello } from "./harness/peers.ts";
import { Proxy, type ProxyConfig, testEachEngine } from "./harness/proxy.ts";

// What is left of the program when its descriptors are all in use.

/** Starts the program with so few descriptors that a test can have them all. */
async function startWith(descriptors: number, backend: Backend, more: ProxyConfig = {}) {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const socket = `${folder}/admin.sock`;
  const proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "a.test", backend: backend.addr }] }],
    grpc: { addr: socket },
    metrics: METRICS,
    proxy: { hello_timeout: "1h", workers: 1 },
    ...more,
  }, { folder, wrapper: ["sh", "-c", `ulimit -n ${descriptors} && exec "$0" "$@"`] });
  return { proxy, socket };
}

/** Opens connections that say nothing, more than the program can have. */
function silent({ hostname, port }: Deno.NetAddr, count: number): Promise<Deno.TcpConn[]> {
  return Promise.all(Array.from({ length: count }, () => Deno.connect({ hostname, port })));
}

/** Asks over a connection of its own, as curl does. */
async function readiness(proxy: Proxy): Promise<[status: number, body: string]> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(await metricsUrl(proxy, "/readyz"), { client });
  return [response.status, await response.text()];
}

testEachEngine("out of descriptors, metrics and admin API answer, and all recovers by itself", async () => {
  using backend = new Backend();
  const { proxy, socket } = await startWith(120, backend);
  await using _proxy = proxy;
  const clients = await silent(proxy.address(), 200);
  await proxy.event("accept_failed");
  for (let i = 0; i < 20; i++) {
    const [status, body] = await readiness(proxy);
    assert.equal(status, 503);
    assert.match(body, /^listener 127\.0\.0\.1:0: accepts no connections: .+\n$/);
    using admin = new AdminClient(socket);
    assert.deepEqual(await admin.health(), { isServing: false, problems: [body.trimEnd()] });
    await admin.addRoute("127.0.0.1:0", { hostname: `h${i}.test`, backend: backend.addr });
  }
  for (const client of clients) client.close();
  await proxy.event("accept_recovered");
  using later = await sayHello(proxy.address(), "a.test");
  using served = await backend.accept();
  await readExactly(served, helloFor("a.test").length);
  later.close();
  assert.deepEqual(await readiness(proxy), [200, "ok\n"]);
  assert.equal(proxy.log.seen.filter(({ event }) => event === "accept_failed").length, 1, "it is said once");
});

testEachEngine("a server out of descriptors can be taken over", async () => {
  using backend = new Backend();
  const { proxy, socket } = await startWith(120, backend);
  await using _proxy = proxy;
  const clients = await silent(proxy.address(), 200);
  await proxy.event("accept_failed");
  const next = Proxy.run(["server", "--takeover", "-c", `${proxy.folder}/mc-proxy.toml`], { folder: proxy.folder });
  try {
    await next.event("took_over", { from_pid: proxy.pid });
    await next.event("ready");
    using admin = new AdminClient(socket);
    assert.equal((await admin.getStatus()).listeners.length, 1);
    for (const client of clients) client.close();

    assert.equal((await proxy.exit()).code, 0);
  } finally {
    await next.kill();
  }
});

testEachEngine("however many connections the metrics endpoint has, the next scrape is answered", async () => {
  using backend = new Backend();
  const { proxy, socket } = await startWith(220, backend);
  await using _proxy = proxy;
  const addr = new URL(await metricsUrl(proxy));
  const idle = await silent({ transport: "tcp", hostname: addr.hostname, port: Number(addr.port) }, 400);
  for (let i = 0; i < 10; i++) await readiness(proxy);
  // It is traffic that those descriptors are for.
  using client = await sayHello(proxy.address(), "a.test");
  using served = await backend.accept();
  await readExactly(served, helloFor("a.test").length);
  using admin = new AdminClient(socket);
  await admin.getStatus();
  assert.deepEqual(proxy.log.seen.filter(({ level }) => level === "error"), []);
  for (const conn of idle) conn.close();
  client.close();
});

testEachEngine("an answer that nobody takes keeps no other from being given", async () => {
  using backend = new Backend();
  const routes = Array.from({ length: 2_000 }, (_, i) => ({ hostname: `h${i}.test`, backend: `127.0.0.1:${i + 1}` }));
  const { proxy } = await startWith(300, backend, { listeners: [{ addr: "127.0.0.1:0", routes }] });
  await using _proxy = proxy;
  const addr = new URL(await metricsUrl(proxy));
  const to = { transport: "tcp" as const, hostname: addr.hostname, port: Number(addr.port) };
  const greedy = await silent(to, 20);
  const request = new TextEncoder().encode(`GET /metrics HTTP/1.1\r\nhost: ${addr.host}\r\n\r\n`.repeat(20));
  await Promise.all(greedy.map((conn) => conn.write(request)));
  assert.equal((await readiness(proxy))[0], 200);
  for (const conn of greedy) conn.close();
});
