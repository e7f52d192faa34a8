import assert from "node:assert/strict";
import { LeakyBucket } from "./leaky_bucket.ts";
import { FakeTurn } from "./testdata/fake_transport.ts";

Deno.test("the level rises by each that is added and falls by the rate, never below nothing", () => {
  const turn = new FakeTurn();
  turn.pass(0);
  const bucket = new LeakyBucket(turn, 10);
  assert.deepEqual([bucket.add(), bucket.add(), bucket.add()], [1, 2, 3]);
  turn.pass(100);
  assert.equal(bucket.add(), 3);
  turn.pass(50);
  assert.equal(bucket.add(), 3.5);
  turn.pass(1_000_000);
  assert.deepEqual([bucket.add(), bucket.add()], [1, 2], "time in which it is empty does not count");
});

Deno.test("what is taken out is as much as there is at most", () => {
  const turn = new FakeTurn();
  turn.pass(0);
  const bucket = new LeakyBucket(turn, 10);
  for (let i = 0; i < 7; i++) bucket.add();
  bucket.take(4);
  assert.equal(bucket.add(), 4);
  bucket.take(40);
  assert.equal(bucket.add(), 1);
});
