import assert from "node:assert/strict";
import { encodeProxyHeaderV2 } from "../lib/wire/proxy_protocol.ts";
import { parseEndpoint } from "../lib/wire/socket_address.ts";
import { HttpBackend, L7, reflect } from "./harness/http.ts";
import { METRICS, type Scrape, scrape } from "./harness/metrics.ts";
import { helloFor, REFUSING, writeAll } from "./harness/peers.ts";
import { type LogEvent, testEachEngine } from "./harness/proxy.ts";
import { headers, pseudo, RawClient, RawHttp2Client } from "./harness/raw_http.ts";

const AT_ONCE = 16;
const NOT_TLS = new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");

/** What a client sees of a reset, by when it comes. */
const GONE = [Deno.errors.ConnectionReset, Deno.errors.BrokenPipe, Deno.errors.NotConnected];

/** Opens so many connections, sends the same on each, and waits for its end. */
async function flood(to: Deno.NetAddr, count: number, bytes: Uint8Array): Promise<void> {
  let begun = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (begun++ < count) await refusedAfter(to, bytes);
  }));
}

/** A client that is reset at once may not even come to know that it was connected. */
async function refusedAfter({ hostname, port }: Deno.NetAddr, bytes: Uint8Array): Promise<void> {
  try {
    using conn = await Deno.connect({ hostname, port });
    await writeAll(conn, bytes);
    const buffer = new Uint8Array(1024);
    while (await conn.read(buffer) !== null);
  } catch (error) {
    assert.ok(GONE.some((gone) => error instanceof gone), String(error));
  }
}

function proxyHeader(client: string): Uint8Array {
  const [source, destination] = [parseEndpoint(client), parseEndpoint("198.51.100.1:443")];
  assert.ok(source !== undefined && destination !== undefined);
  return encodeProxyHeaderV2({ source, destination });
}

/** What was told one by one and in sums, by the listener and what it was. */
function told(log: readonly LogEvent[]): Record<string, { lines: number; suppressed: number }> {
  const all: Record<string, { lines: number; suppressed: number }> = {};
  const count = (key: string, lines: number, suppressed: number) => {
    const known = all[key] ?? { lines: 0, suppressed: 0 };
    all[key] = { lines: known.lines + lines, suppressed: known.suppressed + suppressed };
  };
  for (const line of log) {
    const { event, listener } = line;
    if (event === "connection" && line["end"] !== "closed" && line["end"] !== "client_reset") {
      count(`${listener} ${line["end"]}`, 1, 0);
    }
    if (event === "request") count(`${line["route"]} ${line["status"]}`, 1, 0);
    if (event !== "lines_suppressed") continue;
    const sum = Number(line["lines"]);
    count(line["of"] === "connection" ? `${listener} ${line["reason"]}` : `${line["route"]} ${line["status"]}`, 0, sum);
  }
  return all;
}

/** The same as the metrics have it. */
function counted(metrics: Scrape): Record<string, number> {
  const find = (name: string, labels: RegExp) =>
    Object.entries(metrics.of(name)).map(([series, value]) => {
      const [, ...found] = labels.exec(series) ?? [];
      return [found.join(" "), value] as const;
    });
  return Object.fromEntries([
    ...find("mcproxy_connections_rejected_total", /listener="(.*)",reason="(.*)"/),
    ...find("mcproxy_l7_responses_total", /hostname="(.*)",code="(.*)"/),
  ]);
}

testEachEngine("of a flood of refusals a few lines are written, and with the sums all are accounted for", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start(
    [
      { hostname: "a.test", backend: backend.addr },
      { hostname: "refused.test", mode: "l4", backend: REFUSING },
    ],
    {
      metrics: METRICS,
      proxy: { workers: 3, hello_timeout: "300s" },
      firewall: { blocked_ips: ["192.0.2.7"], blocked_cidrs: ["198.51.100.0/24"] },
      listeners: [{ addr: "[::1]:0", proxy_protocol: true }, { addr: "localhost:0", max_connections: 1 }],
    },
  );
  const { proxy } = l7;
  const [plain, proxied, limited] = [proxy.address(0), proxy.address(1), proxy.address(2)];
  const one = await Deno.connect({ hostname: limited.hostname, port: limited.port });
  await writeAll(one, helloFor("a.test").subarray(0, 10));
  const floods: readonly (readonly [kind: string, count: number, make: (count: number) => Promise<void>])[] = [
    ["127.0.0.1:0 not_tls", 1_000, (count) => flood(plain, count, NOT_TLS)],
    ["127.0.0.1:0 no_route", 600, (count) => flood(plain, count, helloFor("other.test"))],
    ["127.0.0.1:0 backend_refused", 600, (count) => flood(plain, count, helloFor("refused.test"))],
    ["127.0.0.1:0 tls_failed", 600, (count) => flood(plain, count, helloFor("a.test"))],
    ["[::1]:0 blocked_ip", 600, (count) => flood(proxied, count, proxyHeader("192.0.2.7:1"))],
    ["[::1]:0 blocked_cidr", 600, (count) => flood(proxied, count, proxyHeader("198.51.100.7:1"))],
    ["[::1]:0 proxy_header_malformed", 600, (count) => flood(proxied, count, NOT_TLS)],
    ["localhost:0 max_connections", 600, (count) => flood(limited, count, new Uint8Array(0))],
    ["a.test 400", 900, (count) => malformedHeads(l7, count)],
    ["a.test 431", 3, (count) => largeHeads(l7, count)],
  ];
  const made: Record<string, number> = {};
  for (const [kind, count, make] of floods) {
    made[kind] = count;
    await make(count);
  }
  let metrics = counted(await scrape(proxy));
  // A client may see the end of its connection before that is counted.
  while (sumOf(metrics) < sumOf(made)) metrics = counted(await scrape(proxy));
  assert.deepEqual(metrics, made);
  one.close();
  proxy.signal("SIGTERM");
  assert.equal((await proxy.exit()).code, 0);

  const { seen } = proxy.log;
  const all = told(seen);
  const { ["localhost:0 client_gone"]: _, ...rest } = all;
  assert.deepEqual(mapOf(rest, ({ lines, suppressed }) => lines + suppressed), made);
  // How many lines each window has is a matter of its clock; here it is enough that most of such floods are sums.
  for (const kind of ["127.0.0.1:0 not_tls", "a.test 400"]) assert.ok((rest[kind]?.suppressed ?? 0) > 0, kind);
  for (const line of seen.filter(({ event }) => event === "lines_suppressed")) {
    assert.ok(Date.parse(String(line["first"])) <= Date.parse(String(line["last"])));
    assert.match(String(line["clients"]), /^\S+:\d+( \S+:\d+)*$/);
    if (line["reason"] === "blocked_ip") assert.match(String(line["clients"]), /^192\.0\.2\.7:1/);
    if (line["reason"] === "backend_refused") assert.equal(line["backend"], REFUSING);
  }
});

/** A connection is ended for more than 500 of them at once: docs/HTTP.md. */
const BROKEN_HEADS = 300;

/** Requests whose heads cannot be read, so many to a connection that none is ended for them. */
async function malformedHeads(l7: L7, count: number): Promise<void> {
  for (let left = count; left > 0; left -= BROKEN_HEADS) {
    using client = await RawHttp2Client.connect(l7);
    const now = Math.min(left, BROKEN_HEADS);
    for (let i = 0; i < now; i++) await client.send(headers(2 * i + 1, pseudo({ ":path": "no path" })));
    assert.equal(await client.outcome(2 * now - 1), "RST_STREAM PROTOCOL_ERROR");
  }
}

async function largeHeads(l7: L7, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    using client = await RawClient.open(l7);
    await client.send(`GET / HTTP/1.1\r\nhost: a.test\r\nx: ${"y".repeat(70_000)}\r\n\r\n`);
    assert.match(await client.readToEnd(), /^HTTP\/1\.1 431 /);
  }
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function mapOf<T, U>(all: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, map(value)]));
}
