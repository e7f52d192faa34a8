import assert from "node:assert/strict";
import { Deadlines } from "../deadlines.ts";
import { LoopTurn } from "./turn.ts";

Deno.test("tasks run at the end of the turn, in order, and so do those that they lead to", () => {
  const turn = new LoopTurn(new Deadlines(0));
  const ran: string[] = [];
  turn.atEnd({
    endTurn: () => {
      ran.push("first");
      turn.atEnd({ endTurn: () => ran.push("led to") });
    },
  });
  turn.atEnd({ endTurn: () => ran.push("second") });
  assert.deepEqual(ran, []);
  turn.end();
  assert.deepEqual(ran, ["first", "second", "led to"]);
  turn.end();
  assert.equal(ran.length, 3);
});

Deno.test("what is put off runs at the end of the next turn, and keeps the loop from waiting", () => {
  const turn = new LoopTurn(new Deadlines(0));
  const ran: string[] = [];
  turn.atNextEnd({ endTurn: () => ran.push("put off") });
  turn.end();
  assert.deepEqual(ran, []);
  assert.equal(turn.isWanted, true);
  turn.begin();
  turn.end();
  assert.deepEqual(ran, ["put off"]);
  assert.equal(turn.isWanted, false);
});
