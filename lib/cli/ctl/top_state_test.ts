import assert from "node:assert/strict";
import { INITIAL, keysOf, press, SORTINGS, type TopState } from "./top_state.ts";

/** What text that is typed makes of the view. */
function typed(text: string, from: TopState = INITIAL): TopState | "quit" {
  let state: TopState | "quit" = from;
  for (const key of keysOf(text)) {
    if (state === "quit") break;
    state = press(state, key);
  }
  return state;
}

Deno.test("each letter of a sorting sorts by it, and others do nothing", () => {
  for (const [letter, sorting] of Object.entries(SORTINGS)) assert.deepEqual(typed(letter), { ...INITIAL, sorting });
  assert.deepEqual(typed("xyz \t\x1b[A\x1bOP\x1b[15~"), INITIAL);
});

Deno.test("behind / letters are the filter, q among them, until Enter", () => {
  assert.deepEqual(typed("/Quiq"), { ...INITIAL, filter: "quiq", isTyping: true });
  assert.deepEqual(typed("/ab\x7fc\re"), { sorting: "errors", filter: "ac", isTyping: false });
  assert.deepEqual(typed("/ab\r/c"), { ...INITIAL, filter: "abc", isTyping: true });
});

Deno.test("Escape takes the filter away, while it is typed and after", () => {
  assert.deepEqual(typed("/ab\x1b"), INITIAL);
  assert.deepEqual(typed("/ab\r\x1b"), INITIAL);
});

Deno.test("q and Ctrl-C end the view, Ctrl-C while a filter is typed, too", () => {
  assert.equal(typed("q"), "quit");
  assert.equal(typed("\x03"), "quit");
  assert.equal(typed("/a\x03"), "quit");
});

Deno.test("a filter stays as long as a host name may be", () => {
  const state = typed(`/${"a".repeat(1_000)}`);
  assert.ok(state !== "quit");
  assert.equal(state.filter.length, 253);
});
