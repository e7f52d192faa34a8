import assert from "node:assert/strict";
import { FakeTurn } from "./testdata/fake_transport.ts";
import { WasteLimit } from "./waste_limit.ts";

Deno.test("500 at once are borne, and 100 a second, for as long as one likes", () => {
  const turn = new FakeTurn();
  turn.pass(0);
  const limit = new WasteLimit(turn);
  for (let i = 0; i < 500; i++) assert.equal(limit.count(), false, `${i}`);
  assert.equal(limit.count(), true);
  turn.pass(1_000);
  for (let i = 0; i < 99; i++) assert.equal(limit.count(), false, `${i}`);
  for (let second = 0; second < 1_000; second++) {
    turn.pass(1_000);
    for (let i = 0; i < 100; i++) assert.equal(limit.count(), false, `${second} ${i}`);
  }
  turn.pass(1_000_000);
  for (let i = 0; i < 500; i++) assert.equal(limit.count(), false, "no more than the burst is saved up");
  assert.equal(limit.count(), true);
});
