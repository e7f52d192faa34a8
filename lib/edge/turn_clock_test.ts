import assert from "node:assert/strict";
import { turnTime } from "./turn_clock.ts";

/** Waits until `performance.now()` is another. */
function spin(): void {
  for (const start = performance.now(); performance.now() === start;);
}

Deno.test("time stands still within a turn, and has moved by the next", async () => {
  const before = performance.now();
  const first = turnTime();
  assert.ok(first >= before);
  spin();
  assert.equal(turnTime(), first);
  await new Promise((resolve) => setTimeout(resolve));
  assert.ok(turnTime() > first);
});
