import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import type { Stats } from "../control/metrics/stats.ts";
import { durationOf, millisecondsOf, statsMessage, statsOfMessage } from "./convert_stats.ts";
import { WatchStatsResponseSchema } from "./gen/mc_proxy/v1/admin_pb.ts";
import { encode } from "./grpc.ts";

const STATS: Stats = {
  time: new Date("2026-01-31T09:30:00.123Z"),
  uptimeMs: 99_000.25,
  startedAt: new Date("2026-01-30T06:00:00Z"),
  version: "0.1.0",
  engine: "epoll",
  threads: { wanted: 3, up: 2 },
  workerRestarts: 1,
  internalErrors: 4,
  listeners: [{
    addr: ":443",
    maxConnections: 5_000,
    routeCount: 3,
    counts: { accepted: 2 ** 52 + 1, active: 12, bytesIn: 2 ** 53 - 1, bytesOut: 7, rejected: { no_route: 7 } },
    acceptFailures: 2,
  }],
  firewallBlocked: { ip: 3, rate_limit: 1 },
  dialBounds: [0.001, 1],
  backends: [{ backend: "[::1]:443", dials: { buckets: [1, 2, 0], sum: 0.123 }, dialErrors: 5 }],
  requestBounds: [0.01],
  hostnames: [{
    hostname: "*.example.net",
    requests: { buckets: [7, 1], sum: 12.5 },
    responses: { 200: 7, 499: 1, other: 2 },
    policyBlocks: { require_header: 1 },
  }],
  certificates: [{ hostname: "*.example.net", notAfter: new Date("2026-06-01T00:00:00Z") }],
};

Deno.test("what was counted is the same after its way over the wire", () => {
  const bytes = encode(WatchStatsResponseSchema, create(WatchStatsResponseSchema, statsMessage(STATS)));
  assert.deepEqual(statsOfMessage(fromBinary(WatchStatsResponseSchema, bytes)), STATS);
});

Deno.test("a message without what every server sends has empty values", () => {
  const empty = statsOfMessage(create(WatchStatsResponseSchema, { backends: [{}], hostnames: [{}] }));
  assert.deepEqual([empty.uptimeMs, empty.startedAt, empty.listeners], [0, new Date(0), []]);
  assert.deepEqual(empty.backends, [{ backend: "", dials: { buckets: [], sum: 0 }, dialErrors: 0 }]);
});

Deno.test("milliseconds are the same after they were a duration, and its nanoseconds are fewer than a second's", () => {
  for (const ms of [0, 0.5, 100, 999.999_999, 1_000, 59_999.5, 1e9 + 0.25, -1, -1_500]) {
    assert.equal(millisecondsOf(durationOf(ms)), ms);
  }
  assert.equal(durationOf(999.999_999_9).nanos, 999_999_999);
});
