import assert from "node:assert/strict";
import type { Stats } from "../../admin/client.ts";
import { ratesBetween } from "../../control/metrics/rates.ts";
import { INITIAL, type TopState } from "./top_state.ts";
import { topLine, topLines } from "./top_view.ts";

const DIAL_BOUNDS = [0.001, 0.01];

/** A server at a moment: `n` times of everything. */
function statsAt(uptimeMs: number, n: number, more: Partial<Stats> = {}): Stats {
  return {
    time: new Date("2026-01-31T09:30:00.000Z"),
    uptimeMs,
    startedAt: new Date("2026-01-30T09:30:00.000Z"),
    version: "1.2.3",
    engine: "epoll",
    threads: { wanted: 3, up: 3 },
    workerRestarts: 0,
    internalErrors: 0,
    listeners: [
      {
        addr: ":443",
        maxConnections: 100,
        routeCount: 4,
        counts: { accepted: 10 * n, active: 7, bytesIn: 2048 * n, bytesOut: 4096 * n, rejected: { no_route: n } },
        acceptFailures: 0,
      },
      {
        addr: ":8443",
        maxConnections: 0,
        routeCount: 4,
        counts: { accepted: n, active: 9, bytesIn: 8192 * n, bytesOut: 0, rejected: {} },
        acceptFailures: 0,
      },
    ],
    firewallBlocked: {},
    dialBounds: DIAL_BOUNDS,
    backends: [{ backend: "127.0.0.1:18443", dials: { buckets: [n, n, 0], sum: n }, dialErrors: 2 * n }],
    requestBounds: [0.1],
    hostnames: [
      {
        hostname: "a.test",
        requests: { buckets: [9 * n, 0], sum: n },
        responses: { 200: 8 * n, 404: n },
        policyBlocks: {},
      },
      {
        hostname: "b.test",
        requests: { buckets: [0, 2 * n], sum: n },
        responses: { 200: n, 503: n },
        policyBlocks: { require_header: n },
      },
    ],
    certificates: [{ hostname: "a.test", notAfter: new Date("2026-03-01T00:00:00Z") }],
    ...more,
  };
}

/** The view after ten seconds. */
function view(
  state: Partial<TopState> = {},
  size: { columns: number; rows: number } = { columns: 80, rows: 24 },
  more: Partial<Stats> = {},
  hasColours = false,
): string[] {
  const stats = statsAt(11_000, 200, more);
  const rates = ratesBetween(statsAt(1_000, 100), stats);
  return topLines({ stats, rates }, { ...INITIAL, ...state }, { ...size, hasColours });
}

Deno.test("top shows what happened a second, by listener, host name, backend and reason", () => {
  assert.deepEqual(view().map((line) => line.trimEnd()), [
    "mc-proxy 1.2.3  up 11s  epoll, 3 threads",
    "110 conn/s  16 active  100 KiB/s in  40.0 KiB/s out  110 req/s",
    "",
    "LISTENER         ACTIVE  CONN/S  REJ/S      IN/S     OUT/S",
    ":443              7/100     100   10.0  20.0 KiB  40.0 KiB",
    ":8443                 9    10.0      0  80.0 KiB       0 B",
    "",
    "HOST (L7)        REQ/S    2XX    3XX    4XX    5XX  BLOCK     P50     P99",
    "a.test            90.0   80.0      0   10.0      0      0    50ms    99ms",
    "b.test            20.0   10.0      0      0   10.0   10.0   100ms   100ms",
    "",
    "BACKEND          DIAL/S  ERR/S     P50     P99",
    "127.0.0.1:18443    20.0   20.0   1.0ms   9.8ms",
    "",
    "REJECTED         REJ/S  TOTAL  LISTENER",
    "no_route          10.0    200      :443",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "q quit  / filter  sort: [r rate] a active b bytes e errors l latency n name",
  ]);
});

/** The names of the rows under a header. */
function namesUnder(header: string, lines: readonly string[]): string[] {
  const start = lines.findIndex((line) => line.startsWith(header));
  const rows = lines.slice(start + 1);
  return rows.slice(0, rows.indexOf("")).map((line) => line.split(" ")[0] ?? "");
}

Deno.test("rows are sorted by what the view says, highest first, and by name where they are alike", () => {
  assert.deepEqual(namesUnder("LISTENER", view({ sorting: "rate" })), [":443", ":8443"]);
  assert.deepEqual(namesUnder("LISTENER", view({ sorting: "active" })), [":8443", ":443"]);
  assert.deepEqual(namesUnder("LISTENER", view({ sorting: "bytes" })), [":8443", ":443"]);
  assert.deepEqual(namesUnder("LISTENER", view({ sorting: "latency" })), [":443", ":8443"], "as by rate");
  assert.deepEqual(namesUnder("HOST", view({ sorting: "errors" })), ["b.test", "a.test"]);
  assert.deepEqual(namesUnder("HOST", view({ sorting: "latency" })), ["b.test", "a.test"]);
  assert.deepEqual(namesUnder("HOST", view({ sorting: "name" })), ["a.test", "b.test"]);
});

Deno.test("a filter leaves the rows whose names have it, and the columns where they are", () => {
  const filtered = view({ filter: "b.te" });
  assert.deepEqual(namesUnder("HOST", filtered), ["b.test"]);
  assert.ok(!filtered.some((line) => line.startsWith("LISTENER")));
  const header = (lines: readonly string[]) => lines.find((line) => line.startsWith("HOST"));
  assert.equal(header(filtered), header(view()));
  assert.match(filtered.at(-1) ?? "", /^q quit {2}\/ "b\.te" {2}sort:/);
  const none = view({ filter: "nobody", isTyping: true });
  assert.equal(none[3], 'nothing has "nobody" in its name');
  assert.match(none.at(-1) ?? "", /^\/nobody_/);
});

Deno.test("whatever the size of the screen, the view has as many lines, and none is wider", () => {
  const many = {
    hostnames: Array.from({ length: 50 }, (_, i) => ({
      hostname: `${"long-".repeat(i)}${i}.test`,
      requests: { buckets: [i, 0], sum: 1 },
      responses: { 200: i },
      policyBlocks: {},
    })),
  };
  for (const columns of [1, 2, 13, 40, 79, 80, 120, 300]) {
    for (const rows of [1, 2, 3, 7, 14, 24, 40, 100]) {
      const lines = view({}, { columns, rows }, many);
      assert.equal(lines.length, rows);
      for (const line of lines) assert.ok(line.length <= columns, `${columns} columns: ${line}`);
    }
  }
  const lines = view({}, { columns: 80, rows: 24 }, many);
  assert.ok(lines.some((line) => /^… 4\d more$/.test(line)), "what does not fit is counted");
  for (const header of ["LISTENER", "HOST", "BACKEND", "REJECTED"]) {
    assert.ok(lines.some((line) => line.startsWith(header)), `${header} has a place beside many host names`);
  }
});

Deno.test("there is colour where the screen has it, and none elsewhere", () => {
  // deno-lint-ignore no-control-regex -- what begins a colour
  const escapes = /\x1b\[\d*m/g;
  const coloured = view({}, { columns: 80, rows: 24 }, {}, true);
  assert.ok(coloured.some((line) => line.includes("\x1b[31m20.0\x1b[m")), "dials that fail are red");
  assert.deepEqual(coloured.map((line) => line.replaceAll(escapes, "")), view());
});

Deno.test("a certificate that ends soon, threads that are missing and those that died are told", () => {
  const certificates = [
    { hostname: "later.test", notAfter: new Date("2026-02-20T00:00:00Z") },
    { hostname: "soon.test", notAfter: new Date("2026-02-03T10:00:00Z") },
  ];
  const lines = view({}, undefined, { certificates, threads: { wanted: 3, up: 2 }, workerRestarts: 1 });
  assert.equal(lines[0], "mc-proxy 1.2.3  up 11s  epoll, 2 of 3 threads, 1 replaced");
  assert.equal(lines[2], "the certificate of soon.test expires in 3 days");
  const expired = { certificates: [{ hostname: "old.test", notAfter: new Date("2026-01-31T09:29:59Z") }] };
  assert.equal(view({}, undefined, expired)[2], "the certificate of old.test has expired");
});

Deno.test("without a screen there is one line", () => {
  const stats = statsAt(11_000, 200);
  assert.equal(
    topLine({ stats, rates: ratesBetween(statsAt(1_000, 100), stats) }),
    "2026-01-31T09:30:00.000Z  active 16  conn/s 110  rejected/s 10.0  in/s 100 KiB  out/s 40.0 KiB  " +
      "dial p50 1.0ms  p99 9.8ms  req/s 110  2xx 90.0  3xx 0  4xx 10.0  5xx 10.0  p50 61ms  p99 100ms",
  );
});
