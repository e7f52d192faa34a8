import assert from "node:assert/strict";
import { frame } from "./watch.ts";

function shown(text: string, columns: number, rows: number): string[] {
  // deno-lint-ignore no-control-regex -- the sequences that a frame is drawn with
  return frame(text, { hasColours: false, size: () => ({ columns, rows }) }).replaceAll(/\x1b\[[\dHKJ]*/g, "").split(
    "\r\n",
  );
}

Deno.test("a state that fits the screen is drawn whole", () => {
  assert.deepEqual(shown("a\nb\n", 80, 3), ["a", "b", "each second; Ctrl-C ends"]);
});

Deno.test("a state that does not fit says how much is missing, and never scrolls the screen", () => {
  assert.deepEqual(shown("a\nb\nc\n", 80, 3), ["a", "b", "1 more line; Ctrl-C ends"]);
  assert.deepEqual(shown(`a\n${"b".repeat(100)}\nc\n`, 80, 3), ["a", "2 more lines; Ctrl-C ends"]);
});
