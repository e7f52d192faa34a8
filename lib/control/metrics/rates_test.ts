import assert from "node:assert/strict";
import { quantile, ratesBetween } from "./rates.ts";
import { routeStats, type Stats } from "./stats.ts";
import { measured } from "./testdata/measured.ts";

function stats(uptimeMs: number, more: Partial<Stats>): Stats {
  return {
    time: new Date(0),
    uptimeMs,
    startedAt: new Date(0),
    version: "",
    engine: "epoll",
    threads: { wanted: 1, up: 1 },
    workerRestarts: 0,
    internalErrors: 0,
    listeners: [],
    firewallBlocked: {},
    dialBounds: [1],
    backends: [],
    requestBounds: [1],
    hostnames: [],
    certificates: [],
    ...more,
  };
}

function backend(name: string, dials: number) {
  return { backend: name, dials: { buckets: [dials, 0], sum: dials }, dialErrors: 0 };
}

Deno.test("rates are by the clock that nobody sets", () => {
  const before = stats(1_000, { time: new Date(9e9), backends: [backend("a:1", 5)] });
  const now = stats(1_500, { time: new Date(1e9), backends: [backend("a:1", 8)] });
  assert.equal(ratesBetween(before, now).backends[0]?.dials, 6);
});

Deno.test("what was not there before began at 0, and what went is not told any more", () => {
  const before = stats(0, { backends: [backend("a:1", 5)] });
  const now = stats(1_000, { backends: [backend("b:1", 3)] });
  assert.deepEqual(ratesBetween(before, now).backends.map(({ backend, dials }) => [backend, dials]), [["b:1", 3]]);
});

Deno.test("counts that began anew are no negative rates, and no time is no rate", () => {
  const before = stats(0, { backends: [backend("a:1", 5)] });
  const now = stats(1_000, { backends: [backend("a:1", 2)] });
  const [anew] = ratesBetween(before, now).backends;
  assert.deepEqual([anew?.dials, anew?.p50], [0, undefined]);
  assert.equal(ratesBetween(now, now).backends[0]?.dials, 0);
  assert.equal(ratesBetween(before, { ...now, uptimeMs: 0 }).backends[0]?.dials, 0);
});

Deno.test("status codes are told by their class, and those without one are in none", () => {
  const responses = { 101: 1, 200: 2, 204: 3, 304: 4, 404: 5, 499: 6, 503: 7, other: 8, 999: 9 };
  const now = stats(1_000, {
    hostnames: [{ hostname: "a.test", requests: { buckets: [45, 0], sum: 1 }, responses, policyBlocks: {} }],
  });
  const [rates] = ratesBetween(stats(0, {}), now).hostnames;
  assert.deepEqual(rates?.classes, [17, 1, 5, 4, 11, 7]);
  assert.equal(rates?.requests, 45);
});

Deno.test("a quantile is within its bucket, and grows with the share", () => {
  const bounds = [1, 2, 4];
  for (const buckets of [[3, 0, 1, 0], [0, 0, 5, 2], [1, 1, 1, 1], [0, 7, 0, 0]]) {
    let last = 0;
    for (let share = 0; share <= 1; share += 0.01) {
      const value = quantile(bounds, buckets, share) ?? NaN;
      assert.ok(value >= last && value <= 4, `${buckets} ${share}: ${value}`);
      last = value;
    }
  }
});

Deno.test("a route that is removed and added again has no rate but that of what happened since", () => {
  const route = { hostname: "a.test", backend: "b.test:1", mode: "l7" } as const;
  const { routeCounts, writers } = measured([route]);
  const happen = (times: number) => {
    const { backend, hostname } = routeCounts.rows(route);
    for (let i = 0; i < times; i++) {
      for (const writer of writers) {
        writer.dialled(backend, 0.1);
        writer.dialFailed(backend);
        writer.request(hostname, i % 2 === 0 ? 200 : 503, 0.1);
        writer.policyBlock(hostname, "require_header");
      }
    }
  };
  const look = (uptimeMs: number) => stats(uptimeMs, routeStats(routeCounts));
  happen(1_000);
  for (let time = 0; time < 3; time++) {
    routeCounts.remove(route);
    const without = look(1_000);
    routeCounts.add(route);
    const { hostnames: [idle] } = ratesBetween(without, look(2_000));
    assert.equal(idle, undefined);
    happen(2);
    const { backends: [backend], hostnames: [hostname] } = ratesBetween(without, look(2_000));
    const times = 2 * writers.length;
    assert.deepEqual([backend?.dials, backend?.dialErrors], [times, times]);
    assert.deepEqual([hostname?.requests, hostname?.policyBlocks], [times, times]);
    assert.deepEqual(hostname?.classes, [0, 0, times / 2, 0, 0, times / 2]);
  }
});

Deno.test("what comes out of the sum of the others has no rate until it is looked at again", () => {
  const first = stats(0, { backends: [backend("a:1", 5), backend("(other)", 900)] });
  const second = stats(1_000, { backends: [backend("a:1", 6), backend("b:1", 800), backend("(other)", 101)] });
  const third = stats(2_000, { backends: [backend("a:1", 7), backend("b:1", 803), backend("(other)", 102)] });
  const dialsOf = (before: Stats, now: Stats) => ratesBetween(before, now).backends.map(({ dials }) => dials);
  assert.deepEqual(dialsOf(first, second), [1, 0, 0]);
  assert.equal(ratesBetween(stats(0, { backends: [backend("(other)", 9)] }), second).backends[1]?.p50, undefined);
  assert.deepEqual(dialsOf(second, third), [1, 3, 1]);
});

Deno.test("a hundred thousand routes make no more figures than a thousand do, and all is in them", () => {
  const routes = Array.from({ length: 100_000 }, (_, i) => ({
    hostname: `h${i}.test`,
    backend: `b${i}.test:1`,
    mode: "l7" as const,
  }));
  const { routeCounts, writers: [writer] } = measured(routes);
  for (const [i, route] of routes.entries()) {
    const { backend, hostname } = routeCounts.rows(route);
    for (let n = 0; n <= i % 5; n++) writer?.dialled(backend, 0.1);
    writer?.request(hostname, i % 2 === 0 ? 200 : 404, 0.1);
  }
  const { backends, hostnames } = routeStats(routeCounts);
  assert.deepEqual([backends.length, hostnames.length], [1_001, 1_001]);
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  assert.equal(sum(backends.flatMap(({ dials }) => dials.buckets)), 300_000);
  assert.equal(sum(hostnames.flatMap(({ requests }) => requests.buckets)), 100_000);
  assert.equal(sum(hostnames.flatMap(({ responses }) => Object.values(responses))), 100_000);
  assert.ok(backends.slice(0, -1).every(({ dials }) => sum(dials.buckets) === 5));
});
