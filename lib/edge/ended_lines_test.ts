import assert from "node:assert/strict";
import fc from "fast-check";
import type { LogFormat } from "../wire/log_line.ts";
import { stringLogLine } from "../wire/testdata/string_log_line.ts";
import { EndedLines } from "./ended_lines.ts";
import type { ConnectionEnd, RequestEnd } from "./engine.ts";

/** What a client may choose, and what it must not do with it. */
const hostile = fc.oneof(
  fc.domain(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("", " ", 'a" end="closed', "a\nb", "\u001b]0;x\u0007", "\u2028", "\ud800", "x".repeat(20_000)),
);
const bytes = fc.oneof(fc.nat({ max: 2_000 }), fc.maxSafeNat());
const duration = fc.oneof(fc.double({ min: 0, max: 1e7, noNaN: true }), fc.constantFrom(-0.4, 0.5, 2 ** 40));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const protocol = fc.constantFrom("h2", "http/1.1");
const time = fc.nat({ max: 4e12 });

const connection: fc.Arbitrary<ConnectionEnd> = fc.record({
  listener: fc.constantFrom(":443", "[::1]:8443", "a listener"),
  client: fc.constantFrom("192.0.2.1:1", "[2001:db8::1]:65535"),
  serverName: maybe(hostile),
  route: maybe(fc.constantFrom("*", "*.a.test", "a.test")),
  backend: maybe(fc.constantFrom("127.0.0.1:1", "b.test:443")),
  bytesIn: bytes,
  bytesOut: bytes,
  durationMs: duration,
  end: fc.constantFrom("closed", "not_tls", "backend_reset"),
  detail: maybe(hostile),
  http: fc.record({ protocol, requests: fc.nat() }),
}, {
  requiredKeys: [
    "listener",
    "client",
    "serverName",
    "route",
    "backend",
    "bytesIn",
    "bytesOut",
    "durationMs",
    "end",
    "detail",
  ],
});

const request: fc.Arbitrary<RequestEnd> = fc.record({
  listener: fc.constantFrom(":443", "[::1]:8443"),
  route: fc.constantFrom("*", "a.test"),
  client: fc.constantFrom("192.0.2.1:1", "[2001:db8::1]:65535"),
  requestId: hostile,
  protocol,
  method: fc.constantFrom("GET", "-", "M-SEARCH"),
  host: hostile,
  path: hostile,
  userAgent: maybe(hostile),
  status: fc.constantFrom(200, 404, 499),
  grpcStatus: maybe(fc.nat({ max: 16 })),
  bytesIn: bytes,
  bytesOut: bytes,
  durationMs: duration,
  backendMs: maybe(duration),
  error: maybe(hostile),
});

function connectionLine(format: LogFormat, time: number, end: ConnectionEnd): string {
  return stringLogLine(format, time, "info", "connection", {
    listener: end.listener,
    client: end.client,
    sni: end.serverName,
    route: end.route,
    backend: end.backend,
    bytes_in: end.bytesIn,
    bytes_out: end.bytesOut,
    duration_ms: Math.round(end.durationMs),
    end: end.end,
    detail: end.detail,
    protocol: end.http?.protocol,
    requests: end.http?.requests,
  });
}

function requestLine(format: LogFormat, time: number, end: RequestEnd): string {
  return stringLogLine(format, time, "info", "request", {
    listener: end.listener,
    client: end.client,
    route: end.route,
    request_id: end.requestId,
    protocol: end.protocol,
    method: end.method,
    host: end.host,
    path: end.path,
    status: end.status,
    grpc_status: end.grpcStatus,
    bytes_in: end.bytesIn,
    bytes_out: end.bytesOut,
    duration_ms: Math.round(end.durationMs),
    backend_ms: end.backendMs === undefined ? undefined : Math.round(end.backendMs),
    user_agent: end.userAgent,
    error: end.error,
  });
}

for (const format of ["text", "json"] as const) {
  Deno.test(`lines of connections and requests are byte for byte what they are from strings, in ${format}`, () => {
    let now = 0;
    const lines = new EndedLines(format, { time: () => now });
    const each = fc.oneof(
      fc.tuple(time, connection).map(([time, end]) => ({
        time,
        add: () => lines.connectionEnded(end),
        wanted: connectionLine(format, time, end),
      })),
      fc.tuple(time, request).map(([time, end]) => ({
        time,
        add: () => lines.requestEnded(end),
        wanted: requestLine(format, time, end),
      })),
    );
    fc.assert(fc.property(fc.array(each), (ends) => {
      for (const { time, add } of ends) {
        now = time;
        add();
      }
      const wanted = ends.map(({ wanted }) => wanted).join("");
      assert.deepEqual([lines.count, lines.length], [ends.length, wanted.length]);
      const { bytes, count } = lines.take();
      assert.equal(new TextDecoder().decode(bytes), wanted);
      assert.deepEqual([count, lines.count, lines.length], [ends.length, 0, 0]);
    }));
  });
}
