import assert from "node:assert/strict";
import { Counters, REJECT_REASONS } from "./counters.ts";

Deno.test("each listener has its own counts", () => {
  const counters = new Counters(2);
  counters.open(1, 0);
  counters.bytesIn(1, 10);
  counters.bytesIn(1, 2 ** 40);
  counters.bytesOut(1, 5);
  for (const reason of REJECT_REASONS) counters.reject(1, reason);
  assert.deepEqual(counters.read(0), { accepted: 0, active: 0, bytesIn: 0, bytesOut: 0, rejected: {} });
  assert.deepEqual(counters.read(1), {
    accepted: 1,
    active: 1,
    bytesIn: 2 ** 40 + 10,
    bytesOut: 5,
    rejected: Object.fromEntries(REJECT_REASONS.map((reason) => [reason, 1])),
  });
});

Deno.test("a listener takes as many connections as its limit, and another when one closes", () => {
  const counters = new Counters(1);
  assert.deepEqual([1, 2, 3].map(() => counters.open(0, 2)), [true, true, false]);
  counters.close(0);
  assert.equal(counters.open(0, 2), true);
  const { accepted, active, rejected } = counters.read(0);
  assert.deepEqual({ accepted, active, rejected }, { accepted: 4, active: 2, rejected: { max_connections: 1 } });
});

Deno.test("a limit below what is open refuses until enough have closed, and 0 is no limit", () => {
  const counters = new Counters(1);
  for (let i = 0; i < 3; i++) assert.equal(counters.open(0, 0), true);
  assert.equal(counters.open(0, 2), false);
  counters.close(0);
  counters.close(0);
  assert.equal(counters.open(0, 2), true);
});
