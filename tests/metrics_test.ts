import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { statsJson } from "../lib/control/metrics/stats_json.ts";
import { ADDR } from "./harness/admin.ts";
import { HttpBackend, L7 } from "./harness/http.ts";
import { METRICS, metricsUrl, scrape, seriesOf } from "./harness/metrics.ts";
import { Backend, connectTls, endSeen, helloFor, readExactly, REFUSING, sayHello, writeAll } from "./harness/peers.ts";
import { type Proxy, runProgram, testEachEngine } from "./harness/proxy.ts";

/** Behind another proxy: it says who its clients are. */
const INNER = "[::1]:0";

/** Answers with the status that is in the path. */
function answerAsAsked({ url }: IncomingMessage, response: ServerResponse): void {
  response.writeHead(Number(url?.slice(1)), { "content-type": "text/plain" });
  response.end("x".repeat(1_000));
}

/** What a load that is known to the byte did. */
class Tally {
  readonly counts: Record<string, number> = {};

  add(series: string, amount = 1): void {
    this.counts[series] = (this.counts[series] ?? 0) + amount;
  }

  /** What was done of a metric, as {@linkcode Scrape.of} tells it. */
  of(name: string): Record<string, number> {
    const found = Object.entries(this.counts).filter(([series]) => series.split("{", 1)[0] === name);
    return Object.fromEntries(found.map(([series, value]) => [series.slice(name.length), value]));
  }
}

/** One L4 connection, there and back. */
async function passThrough(proxy: Proxy, tally: Tally, length: number): Promise<void> {
  const hello = helloFor("pass.test");
  using client = await sayHello(proxy.address(), "pass.test");
  await writeAll(client, new Uint8Array(length));
  await readExactly(client, hello.length + length);
  await client.closeWrite();
  assert.equal(await endSeen(client), "closed");
  await proxy.end(client);
  tally.add(`mcproxy_connections_total{listener="${ADDR}"}`);
  for (const direction of ["in", "out"]) {
    tally.add(`mcproxy_transfer_bytes_total{listener="${ADDR}",direction="${direction}"}`, hello.length + length);
  }
}

/** One connection that ends before it is served. */
async function refused(proxy: Proxy, tally: Tally, bytes: Uint8Array, reason: string): Promise<void> {
  const { hostname, port } = proxy.address();
  using client = await Deno.connect({ hostname, port });
  await writeAll(client, bytes);
  await endSeen(client);
  assert.equal((await proxy.end(client))["end"], reason);
  tally.add(`mcproxy_connections_total{listener="${ADDR}"}`);
  tally.add(`mcproxy_connections_rejected_total{listener="${ADDR}",reason="${reason}"}`);
}

/** One connection that another proxy says is of a client that the firewall blocks. */
async function blocked(proxy: Proxy, tally: Tally, address: string, reason: "ip" | "cidr"): Promise<void> {
  const { hostname, port } = proxy.address(1);
  using client = await Deno.connect({ hostname, port });
  await writeAll(client, new TextEncoder().encode(`PROXY TCP4 ${address} 192.0.2.1 ${client.localAddr.port} 443\r\n`));
  await endSeen(client);
  await proxy.event("connection", { client: `${address}:${client.localAddr.port}`, end: `blocked_${reason}` });
  tally.add(`mcproxy_connections_total{listener="${INNER}"}`);
  tally.add(`mcproxy_connections_rejected_total{listener="${INNER}",reason="blocked_${reason}"}`);
  tally.add(`mcproxy_firewall_blocked_total{reason="${reason}"}`);
}

/** One connection of HTTP/1.1 with one request on it, whose octets are all counted here. */
async function request(test: L7, tally: Tally, path: string, status: number, fields = ""): Promise<void> {
  const client = await connectTls(test.proxy.address(), "www.test", test.authority.cert, ["http/1.1"]);
  const head = new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nhost: www.test\r\n${fields}connection: close\r\n\r\n`);
  await writeAll(client, head);
  const answer = await new Response(client.readable).bytes();
  assert.match(new TextDecoder().decode(answer), new RegExp(`^HTTP/1.1 ${status} `));
  await test.proxy.end(client);
  tally.add(`mcproxy_connections_total{listener="${ADDR}"}`);
  tally.add(`mcproxy_transfer_bytes_total{listener="${ADDR}",direction="in"}`, head.length);
  tally.add(`mcproxy_transfer_bytes_total{listener="${ADDR}",direction="out"}`, answer.length);
  tally.add(`mcproxy_l7_responses_total{hostname="www.test",code="${status}"}`);
}

/** Some requests on one connection of HTTP/2, whose octets are those that the log tells. */
async function requests(test: L7, tally: Tally, statuses: readonly number[]): Promise<void> {
  const before = test.proxy.log.seen.filter(({ protocol }) => protocol === "h2").length;
  {
    using peer = await test.connect("h2", "www.test");
    await Promise.all(statuses.map(async (status) => {
      assert.equal((await peer.ask({ path: `/${status}`, headers: { "user-agent": "good" } })).status, status);
      tally.add(`mcproxy_l7_responses_total{hostname="www.test",code="${status}"}`);
    }));
  }
  const isEnd = ({ event, protocol }: { event: string; [field: string]: unknown }) =>
    event === "connection" && protocol === "h2";
  assert.equal(before, 0, "there is one connection of HTTP/2 in a test");
  const end = await test.proxy.log.find(isEnd);
  tally.add(`mcproxy_connections_total{listener="${ADDR}"}`);
  for (const direction of ["in", "out"]) {
    tally.add(
      `mcproxy_transfer_bytes_total{listener="${ADDR}",direction="${direction}"}`,
      Number(end[`bytes_${direction}`]),
    );
  }
}

testEachEngine("requests are counted where none is logged", async () => {
  await using origin = await HttpBackend.start("h2c", answerAsAsked);
  await using test = await L7.start([{ hostname: "www.test", backend: origin.addr }], {
    metrics: METRICS,
    log: { level: "info", format: "json", access: false },
  });
  const tally = new Tally();
  await request(test, tally, "/200", 200);
  await request(test, tally, "/404", 404);
  const name = "mcproxy_l7_responses_total";
  assert.deepEqual((await scrape(test.proxy)).of(name), tally.of(name));
  assert.deepEqual(test.proxy.log.seen.filter(({ event }) => event === "request"), []);
});

testEachEngine(
  "after a known load, metrics, status, WatchStats, stats.json and whoever made the load agree to the byte",
  async () => {
    using echo = new Backend();
    void echo.echo();
    await using origin = await HttpBackend.start("h2c", answerAsAsked);
    const routes = [
      { hostname: "www.test", backend: origin.addr, l7_policies: [{ type: "block_user_agent", value: "bad" }] },
      { hostname: "pass.test", backend: echo.addr, mode: "l4" },
      { hostname: "refusing.test", backend: REFUSING, mode: "l4" },
    ];
    await using test = await L7.start(routes, {
      metrics: { ...METRICS, dashboard: true },
      listeners: [{ addr: INNER, proxy_protocol: true }],
      firewall: { blocked_ips: ["192.0.2.66"], blocked_cidrs: ["198.51.100.0/24"] },
    });
    const { proxy } = test;
    const tally = new Tally();

    await Promise.all([
      ...[0, 1, 10_000, 300_000].map((length) => passThrough(proxy, tally, length)),
      ...Array.from({ length: 3 }, () => refused(proxy, tally, helloFor("unknown.test"), "no_route")),
      ...Array.from(
        { length: 2 },
        () => refused(proxy, tally, new TextEncoder().encode("GET / HTTP/1.1\r\n"), "not_tls"),
      ),
      refused(proxy, tally, helloFor("refusing.test"), "backend_refused"),
      blocked(proxy, tally, "192.0.2.66", "ip"),
      blocked(proxy, tally, "192.0.2.66", "ip"),
      blocked(proxy, tally, "198.51.100.7", "cidr"),
      ...[200, 200, 201, 404, 500].map((status) => request(test, tally, `/${status}`, status, "user-agent: good\r\n")),
      request(test, tally, "/200", 403, "user-agent: bad\r\n"),
      requests(test, tally, [200, 204, 418, 503, 200]),
    ]);
    tally.add(`mcproxy_l7_policy_blocks_total{hostname="www.test",type="block_user_agent"}`);
    tally.add(`mcproxy_backend_dial_errors_total{backend="${REFUSING}"}`);
    tally.add(`mcproxy_l7_request_duration_seconds_count{hostname="www.test"}`, 11);
    tally.add(`mcproxy_backend_dial_duration_seconds_count{backend="${echo.addr}"}`, 4);
    tally.add(`mcproxy_backend_dial_duration_seconds_count{backend="${origin.addr}"}`, origin.connections);

    const scraped = await scrape(proxy);
    for (const name of new Set(Object.keys(tally.counts).map((series) => series.split("{", 1)[0] ?? ""))) {
      assert.deepEqual(scraped.of(name), tally.of(name), name);
    }
    assert.deepEqual(scraped.of("mcproxy_connections_active"), {});

    const { stdout } = await runProgram(["ctl", "--addr", `${proxy.folder}/admin.sock`, "--json", "status"]);
    const listeners: Record<string, unknown>[] = JSON.parse(stdout).listeners;
    assert.equal(listeners.length, 2);
    for (
      const { addr, total_connections, active_connections, bytes_in, bytes_out, rejected_connections } of listeners
    ) {
      const of = (name: string, more = "") => tally.counts[`mcproxy_${name}{listener="${addr}"${more}}`] ?? 0;
      assert.deepEqual({ total_connections, active_connections, bytes_in, bytes_out, rejected_connections }, {
        total_connections: of("connections_total"),
        active_connections: 0,
        bytes_in: of("transfer_bytes_total", ',direction="in"'),
        bytes_out: of("transfer_bytes_total", ',direction="out"'),
        rejected_connections: Object.fromEntries(
          ["backend_refused", "blocked_cidr", "blocked_ip", "no_route", "not_tls"]
            .map((reason) => [reason, of("connections_rejected_total", `,reason="${reason}"`)] as const)
            .filter(([, count]) => count > 0),
        ),
      });
    }

    const { time: _, uptime_seconds: __, ...document } = await (await fetch(await metricsUrl(proxy, "/stats.json")))
      .json();
    const series = Object.entries(seriesOf(document));
    for (const name of new Set(series.map(([each]) => each.split("{", 1)[0] ?? ""))) {
      const found = series.filter(([each]) => each.split("{", 1)[0] === name);
      assert.deepEqual(
        Object.fromEntries(found.map(([each, value]) => [each.slice(name.length), value])),
        scraped.of(name),
      );
    }
    const watcher = test.admin.watchStats();
    const { value: watched } = await watcher.next();
    assert.ok(watched);
    await watcher.return();
    const { time: ___, uptime_seconds: ____, ...streamed } = statsJson(watched);
    assert.deepEqual(JSON.parse(JSON.stringify(streamed)), document);
  },
);
