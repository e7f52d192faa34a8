/**
 * Text as a word of a shell's command line.
 *
 * @module
 */

/** Text in single quotes, as POSIX shells and zsh read it. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Text as one word, in quotes only where a shell would make something else of it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([":443", "[::1]:443", "*", ""].map(shellWord), [":443", "'[::1]:443'", "'*'", "''"]);
 * ```
 */
export function shellWord(text: string): string {
  return /^[\w@%+:,./-]+$/.test(text) ? text : shellQuote(text);
}
