import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { ADDR, administered } from "./harness/admin.ts";
import { L7 } from "./harness/http.ts";
import { METRICS, metricsUrl, scrape } from "./harness/metrics.ts";
import { Backend, connectRefused, endSeen, REFUSING, sayHello } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

const LISTENERS = [{ addr: ADDR, routes: [{ hostname: "a.test", backend: REFUSING }] }];

async function get(proxy: Proxy, path: string, init: RequestInit = {}): Promise<[status: number, body: string]> {
  const response = await fetch(await metricsUrl(proxy, path), init);
  return [response.status, await response.text()];
}

Deno.test("there are the metrics, two health checks, and nothing else", async () => {
  await using proxy = await Proxy.start({ listeners: LISTENERS, metrics: { ...METRICS, path: "/m" } });
  assert.deepEqual(await get(proxy, "/healthz"), [200, "ok\n"]);
  assert.deepEqual(await get(proxy, "/readyz?verbose"), [200, "ok\n"]);
  assert.deepEqual(await get(proxy, "/metrics"), [404, "there are /m, /healthz and /readyz\n"]);
  assert.deepEqual(await get(proxy, "/m", { method: "POST" }), [405, "only GET is answered\n"]);
  const [status, text] = await get(proxy, "/m");
  assert.equal(status, 200);
  assert.match(text, /^mcproxy_connections_total\{listener="127\.0\.0\.1:0"\} 0$/m);
  const head = await fetch(await metricsUrl(proxy, "/healthz"), { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length"), await head.text()], [200, "3", ""]);
});

Deno.test("a scraper that asks for OpenMetrics gets it, and the next one text as before", async () => {
  await using proxy = await Proxy.start({ listeners: LISTENERS, metrics: METRICS });
  const before = await scrape(proxy);
  const response = await fetch(await metricsUrl(proxy), { headers: { accept: "application/openmetrics-text" } });
  assert.equal(response.headers.get("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
  const text = await response.text();
  assert.match(text, /^# TYPE mcproxy_connections counter\nmcproxy_connections_total\{/m);
  assert.ok(text.endsWith("\n# EOF\n"));
  const after = await scrape(proxy);
  assert.deepEqual(after.names, before.names);
});

Deno.test("a port that is taken is one line, and no database is left", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const addr = `127.0.0.1:${other.addr.port}`;
  await using proxy = Proxy.spawn({ listeners: LISTENERS, metrics: { addr } });
  assert.equal((await proxy.exit()).code, 1);
  const message =
    `mc-proxy: cannot listen on ${addr} (metrics.addr): the address is in use; stop the program that has ` +
    `it, or choose another port (the address comes from ${proxy.folder}/mc-proxy.toml)`;
  assert.deepEqual(proxy.log.seen.map((line) => line["line"]), [message]);
  assert.deepEqual([...Deno.readDirSync(proxy.folder)].map(({ name }) => name), ["mc-proxy.toml"]);
});

testEachEngine("while it drains, the program is alive, not ready, and can be scraped", async () => {
  using backend = new Backend();
  const listeners = [{ addr: ADDR, routes: [{ hostname: "a.test", backend: backend.addr }] }];
  await using proxy = await Proxy.start({ listeners, metrics: METRICS });
  using client = await sayHello(proxy.address(), "a.test");
  using _served = await backend.accept();
  proxy.signal("SIGTERM");
  await proxy.event("draining");
  assert.deepEqual(await get(proxy, "/healthz"), [200, "ok\n"]);
  assert.deepEqual(await get(proxy, "/readyz"), [503, "shutting down\n"]);
  assert.deepEqual((await scrape(proxy)).of("mcproxy_connections_active"), { [`{listener="${ADDR}"}`]: 1 });
  proxy.signal("SIGTERM");
  await endSeen(client);
  assert.equal((await proxy.exit()).code, 0);
});

Deno.test("a database that another program has locked is no ready one, until it lets go", async () => {
  await using proxy = await Proxy.start({ listeners: LISTENERS, metrics: METRICS });
  const other = new DatabaseSync(`${proxy.folder}/mc-proxy.db`);
  other.exec("BEGIN IMMEDIATE");
  const [status, body] = await get(proxy, "/readyz");
  assert.equal(status, 503);
  assert.match(body, /^database: .*mc-proxy\.db: is locked by another process; stop what else writes to it\n$/);
  other.exec("ROLLBACK");
  other.close();
  assert.deepEqual(await get(proxy, "/readyz"), [200, "ok\n"]);
});

testEachEngine("the series of a route begin with it, end with it, and go on when it returns", async () => {
  using backend = new Backend();
  await using test = await administered([], { metrics: METRICS });
  const { proxy, admin, addr } = test;
  const dials = async () => (await scrape(proxy)).of("mcproxy_backend_dial_duration_seconds_count");
  const route = { hostname: "a.test", backend: backend.addr };
  const connect = async () => {
    const client = await sayHello(proxy.address(), "a.test");
    (await backend.accept()).close();
    client.close();
    await proxy.end(client);
  };
  const errors = `mcproxy_backend_dial_errors_total{backend="${backend.addr}"}`;
  assert.equal((await scrape(proxy)).value(errors), undefined);
  await admin.addRoute(addr, route);
  assert.equal((await scrape(proxy)).value(errors), 0);
  await connect();
  await connect();
  assert.deepEqual(await dials(), { [`{backend="${backend.addr}"}`]: 2 });
  await admin.removeRoute(addr, "a.test");
  assert.deepEqual(await dials(), {});
  await admin.addRoute(addr, { hostname: "b.test", backend: REFUSING }); // whose row is another
  await admin.addRoute(addr, route);
  await connect();
  assert.deepEqual(await dials(), { [`{backend="${backend.addr}"}`]: 3 });
  using refused = await sayHello(proxy.address(), "b.test");
  await proxy.end(refused);
  assert.deepEqual((await scrape(proxy)).of("mcproxy_backend_dial_errors_total"), { [`{backend="${REFUSING}"}`]: 1 });
});

testEachEngine("a backend that comes behind more than a thousand others is counted as they are", async () => {
  using backend = new Backend();
  const routes = Array.from(
    { length: 1_200 },
    (_, i) => ({ hostname: `h${i}.test`, backend: `127.0.1.${i % 250}:${i + 1}` }),
  );
  await using test = await administered(routes.slice(0, 1_000), { metrics: METRICS });
  const { proxy, admin, addr } = test;
  await Promise.all(routes.slice(1_000).map((route) => admin.addRoute(addr, route)));
  await admin.addRoute(addr, { hostname: "last.test", backend: backend.addr });
  const client = await sayHello(proxy.address(), "last.test");
  (await backend.accept()).close();
  client.close();
  await proxy.end(client);
  const dialled = (await scrape(proxy)).of("mcproxy_backend_dial_duration_seconds_count");
  assert.deepEqual(dialled, { [`{backend="${backend.addr}"}`]: 1 });
});

testEachEngine("limits, routes, rules and certificates are told as they are now", async () => {
  await using test = await L7.start([{ hostname: "www.test", backend: REFUSING }], { metrics: METRICS });
  const { proxy, admin } = test;
  await admin.setListenerMaxConnections(ADDR, 1);
  await admin.addRoute(ADDR, { hostname: "a.test", backend: REFUSING });
  await admin.addFirewallRule({ type: "ip", value: "192.0.2.1" });
  using _first = await Deno.connect({ hostname: "127.0.0.1", port: proxy.address().port });
  while ((await scrape(proxy)).value(`mcproxy_connections_active{listener="${ADDR}"}`) !== 1);
  await connectRefused(proxy.address());
  await proxy.event("connection", { end: "max_connections" });
  const scraped = await scrape(proxy);
  const listener = `{listener="${ADDR}"}`;
  assert.deepEqual(scraped.of("mcproxy_connections_limit"), { [listener]: 1 });
  assert.deepEqual(scraped.of("mcproxy_routes"), { [listener]: 2 });
  assert.deepEqual(scraped.of("mcproxy_firewall_rules"), { "": 1 });
  assert.deepEqual(scraped.of("mcproxy_connections_rejected_total"), {
    [`{listener="${ADDR}",reason="max_connections"}`]: 1,
  });
  const expiry = scraped.value('mcproxy_tls_certificate_expiry_timestamp_seconds{hostname="www.test"}') ?? 0;
  assert.ok(expiry > Date.now() / 1000, String(expiry));
  assert.equal(scraped.value("mcproxy_worker_threads"), scraped.value("mcproxy_worker_threads_up"));
  assert.ok((scraped.value("process_resident_memory_bytes") ?? 0) > 1e6);
  const started = scraped.value("process_start_time_seconds") ?? 0;
  assert.ok(Math.abs(Date.now() / 1000 - started) < 600, String(started));
});

testEachEngine("what a client sends is never a label", async () => {
  await using proxy = await Proxy.start({ listeners: LISTENERS, metrics: METRICS });
  const before = await scrape(proxy);
  for (const name of ["evil.test", "a.test", "x".repeat(60)]) {
    using client = await sayHello(proxy.address(), name);
    await proxy.end(client);
  }
  const after = await scrape(proxy);
  const series = (text: string) => text.replaceAll(/ \S+$/gm, "");
  assert.equal(series(after.text), series(before.text));
});
