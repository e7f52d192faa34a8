import assert from "node:assert/strict";
import { Counters, REJECT_REASONS } from "./counters.ts";

Deno.test("each listener has its own counts", () => {
  const counters = new Counters(2);
  const writer = counters.writer(0);
  writer.open(1, 0);
  writer.bytesIn(1, 10);
  writer.bytesIn(1, 2 ** 40);
  writer.bytesOut(1, 5);
  for (const reason of REJECT_REASONS) writer.reject(1, reason);
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
  const writer = counters.writer(0);
  assert.deepEqual([1, 2, 3].map(() => writer.open(0, 2)), [true, true, false]);
  writer.close(0);
  assert.equal(writer.open(0, 2), true);
  const { accepted, active, rejected } = counters.read(0);
  assert.deepEqual({ accepted, active, rejected }, { accepted: 4, active: 2, rejected: { max_connections: 1 } });
});

Deno.test("a limit below what is open refuses until enough have closed, and 0 is no limit", () => {
  const writer = new Counters(1).writer(0);
  for (let i = 0; i < 3; i++) assert.equal(writer.open(0, 0), true);
  assert.equal(writer.open(0, 2), false);
  writer.close(0);
  writer.close(0);
  assert.equal(writer.open(0, 2), true);
});

Deno.test("workers that share the memory share the limit, and their counts add up", () => {
  const counters = new Counters(2, 3);
  const writers = [0, 1, 2].map((worker) => new Counters(2, 3, counters.memory).writer(worker));
  assert.deepEqual(writers.map((writer) => writer.open(1, 2)), [true, true, false]);
  for (const [i, writer] of writers.entries()) writer.bytesOut(1, 10 ** i);
  assert.deepEqual(counters.read(1), {
    accepted: 3,
    active: 2,
    bytesIn: 0,
    bytesOut: 111,
    rejected: { max_connections: 1 },
  });
});

Deno.test("the places of a worker that died are free again, and what it counted stays", () => {
  const counters = new Counters(1, 2);
  const [dead, alive] = [counters.writer(0), counters.writer(1)];
  for (const writer of [dead, dead, alive]) writer.open(0, 3);
  counters.abandon(0);
  assert.deepEqual([counters.read(0).active, counters.read(0).accepted, counters.workerFailures], [1, 3, 1]);
  counters.abandon(0);
  assert.equal(counters.read(0).active, 1);
});
