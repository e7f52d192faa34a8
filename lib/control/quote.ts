/**
 * Text from outside, as one line that a terminal or a log can show.
 *
 * @module
 */

const MAX_LENGTH = 80;

// Control characters end lines and steer terminals (C1 ones too: U+009B is CSI), format characters reorder the text.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Escapes what would not print as itself; ordinary text stays as it is.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(printable("/srv/a.toml"), "/srv/a.toml");
 * assert.equal(printable("a\x1b[31m\u202e"), "a\\u001b[31m\\u202e");
 * ```
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    let escaped = "";
    for (let i = 0; i < character.length; i++) {
      escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}

/**
 * Text in double quotes, escaped as in JSON and TOML, and cut to its first 80 characters.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(quote('say "hi"\n'), '"say \\"hi\\"\\n"');
 * assert.equal(quote("x".repeat(100)), `"${"x".repeat(80)}…"`);
 * ```
 */
export function quote(text: string): string {
  // Cut before a surrogate pair, never inside it.
  const end = text.length <= MAX_LENGTH ? text.length : MAX_LENGTH - (isHighSurrogate(text, MAX_LENGTH - 1) ? 1 : 0);
  const quoted = printable(JSON.stringify(text.slice(0, end)));
  return end === text.length ? quoted : `${quoted.slice(0, -1)}…"`;
}

function isHighSurrogate(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800;
}

/** Names a value of any type in an error message: a string in quotes, a number as it is, else its type. */
export function describe(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a date";
  return typeof value === "object" && value !== null ? "a table" : "nothing";
}
