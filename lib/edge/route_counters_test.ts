import assert from "node:assert/strict";
import fc from "fast-check";
import { CODE_PLACES, DIAL_BOUNDS, REQUEST_BOUNDS, RouteCounters, RouteCounterWriter } from "./route_counters.ts";

/** Counters of `writers` threads, with room for the rows 0 to 3, and what each of the threads has of them. */
function counting(writers = 1) {
  const counters = new RouteCounters(writers);
  for (const kind of ["backend", "hostname"] as const) for (let row = 0; row < 4; row++) counters.reserve(kind, row);
  return { counters, writers: counters.memory.map((memory) => new RouteCounterWriter(memory)) };
}

Deno.test("a duration falls into the first bucket whose bound it does not exceed", () => {
  const { counters, writers: [writer] } = counting();
  for (const bound of DIAL_BOUNDS) writer?.dialled(2, bound);
  for (const seconds of [0, 1e-6, 6, 7]) writer?.dialled(2, seconds);
  const { buckets, sum } = counters.backend(2).dials;
  assert.deepEqual(buckets, [3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
  assert.ok(Math.abs(sum - (DIAL_BOUNDS.reduce((a, b) => a + b) + 13 + 1e-6)) < 1e-9);
  assert.deepEqual({ ...counters.backend(1) }, {
    dials: { buckets: buckets.map(() => 0), count: 0, sum: 0 },
    dialErrors: 0,
  });
});

Deno.test("what threads count adds up, whichever code each of them met first", () => {
  const { counters, writers: [one, two] } = counting(2);
  one?.request(1, 200, 0.002);
  one?.request(1, 404, 0.002);
  two?.request(1, 404, 20);
  two?.request(1, 200, 0.002);
  two?.policyBlock(1, "require_header");
  one?.dialFailed(1);
  two?.dialFailed(1);
  const { codes, requests, policyBlocks } = counters.hostname(1);
  assert.deepEqual(codes, new Map([[200, 2], [404, 2]]));
  assert.deepEqual([requests.buckets[1], requests.buckets[REQUEST_BOUNDS.length], requests.sum], [3, 1, 20.006]);
  assert.deepEqual(policyBlocks, { block_user_agent: 0, block_user_agent_any_case: 0, require_header: 1 });
  assert.equal(counters.backend(1).dialErrors, 2);
});

Deno.test("codes beyond those that there is room for are counted together", () => {
  const { counters, writers: [writer] } = counting();
  for (let code = 200; code < 200 + CODE_PLACES + 5; code++) writer?.request(3, code, 0);
  writer?.request(3, 200, 0);
  const { codes } = counters.hostname(3);
  assert.deepEqual([codes.size, codes.get("other"), codes.get(200)], [CODE_PLACES + 1, 5, 2]);
});

Deno.test("requests, durations and codes of a host name always agree", () => {
  const request = fc.record({ row: fc.nat(3), writer: fc.nat(2), code: fc.integer({ min: 200, max: 599 }) });
  fc.assert(fc.property(fc.array(request, { maxLength: 200 }), (requests) => {
    const { counters, writers } = counting(3);
    for (const { row, writer, code } of requests) writers[writer]?.request(row, code, code / 100);
    for (let row = 0; row < 4; row++) {
      const expected = requests.filter((request) => request.row === row).length;
      const { codes, requests: { buckets } } = counters.hostname(row);
      assert.equal(buckets.reduce((a, b) => a + b), expected);
      assert.equal([...codes.values()].reduce((a, b) => a + b, 0), expected);
    }
  }));
});

Deno.test("a row that is cleared begins anew in every thread", () => {
  const { counters, writers } = counting(2);
  for (const writer of writers) {
    writer.request(1, 200, 1);
    writer.request(2, 200, 1);
  }
  counters.clear("hostname", 1);
  for (const writer of writers) writer.request(1, 302, 1);
  assert.deepEqual(counters.hostname(1).codes, new Map([[302, 2]]));
  assert.deepEqual(counters.hostname(2).codes, new Map([[200, 2]]));
});
