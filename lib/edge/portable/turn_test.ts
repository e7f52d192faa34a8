import assert from "node:assert/strict";
import { TimedDeadlines } from "../timed_deadlines.ts";
import { EventLoopTurn } from "./turn.ts";

/** Lets the event loop come round until the clock has moved. */
async function laterThan(time: number): Promise<void> {
  do await new Promise((resolve) => setTimeout(resolve)); while (performance.now() === time);
}

Deno.test("time stands still within a turn, and has moved by the next", async () => {
  const turn = new EventLoopTurn(new TimedDeadlines());
  const first = turn.now;
  while (performance.now() === first);
  assert.equal(turn.now, first);
  await laterThan(first);
  assert.ok(turn.now > first);
});

Deno.test("tasks run when the turn is over, those that are put off in the one after it", async () => {
  const turn = new EventLoopTurn(new TimedDeadlines());
  const ran: string[] = [];
  const done = Promise.withResolvers<void>();
  turn.atNextEnd({ endTurn: () => (ran.push("put off"), done.resolve()) });
  turn.atEnd({ endTurn: () => ran.push("at the end") });
  ran.push("under way");
  await done.promise;
  assert.deepEqual(ran, ["under way", "at the end", "put off"]);
});
