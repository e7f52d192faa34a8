/**
 * What the keys of `ctl top` do.
 *
 * @module
 */

/** What rows are sorted by, each by its key. */
export const SORTINGS = {
  r: "rate",
  a: "active",
  b: "bytes",
  e: "errors",
  l: "latency",
  n: "name",
} as const;

/** See {@linkcode SORTINGS}. */
export type Sorting = typeof SORTINGS[keyof typeof SORTINGS];

/** How the view is set. */
export interface TopState {
  readonly sorting: Sorting;
  /** What the names of rows must contain, in lower case. */
  readonly filter: string;
  /** Whether keys are letters of the filter. */
  readonly isTyping: boolean;
}

/** As it begins. */
export const INITIAL: TopState = { sorting: "rate", filter: "", isTyping: false };

/** A key: a character, or one of these. */
export type Key = string | "enter" | "escape" | "backspace" | "interrupt";

/** The longest filter: no host name is longer. */
const MAX_FILTER = 253;

/**
 * What a terminal sent, as keys; those that have no character, such as arrows, are left out.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(keysOf("/a\x7f\x1b[A\r\x03\x1b"), ["/", "a", "backspace", "enter", "interrupt", "escape"]);
 * ```
 */
export function keysOf(text: string): Key[] {
  // Sequences of ECMA-48 (CSI and SS3) are whole in what one read gives.
  // deno-lint-ignore no-control-regex -- they begin with one
  const plain = text.replaceAll(/\x1b(?:\[[0-?]*[ -/]*[@-~]|O[@-~])/g, "");
  return Array.from(plain, keyOf).filter((key) => key !== undefined);
}

function keyOf(character: string): Key | undefined {
  switch (character) {
    case "\r":
    case "\n":
      return "enter";
    case "\x1b":
      return "escape";
    case "\x7f":
    case "\b":
      return "backspace";
    case "\x03":
      return "interrupt";
    default:
      return /[\p{Cc}\p{Cf}]/u.test(character) ? undefined : character;
  }
}

/** What a key makes of the state; `"quit"` where it ends the view. */
export function press(state: TopState, key: Key): TopState | "quit" {
  if (key === "interrupt") return "quit";
  if (state.isTyping) return type(state, key);
  if (key === "q") return "quit";
  if (key === "/") return { ...state, isTyping: true };
  if (key === "escape") return { ...state, filter: "" };
  const sorting = Object.entries(SORTINGS).find(([letter]) => letter === key)?.[1];
  return sorting === undefined ? state : { ...state, sorting };
}

function type(state: TopState, key: Key): TopState {
  switch (key) {
    case "enter":
      return { ...state, isTyping: false };
    case "escape":
      return { ...state, isTyping: false, filter: "" };
    case "backspace":
      return { ...state, filter: state.filter.slice(0, -1) };
    default:
      return { ...state, filter: (state.filter + key.toLowerCase()).slice(0, MAX_FILTER) };
  }
}
