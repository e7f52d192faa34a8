/**
 * What was probably meant by a word that is none of those that are known.
 *
 * @module
 */

/** From this length on, the beginning of a word is enough to tell what was meant. */
const MIN_BEGINNING = 4;

/**
 * The known word that a mistyped one is most like; `undefined` where none is.
 *
 * Like is what differs in no more than every third letter, two neighbours that are swapped being one difference; and
 * what one of the two begins with.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const known = ["hostname", "backend", "send_proxy_protocol"];
 * assert.equal(nearest("hotsname", known), "hostname");
 * assert.equal(nearest("send_proxy", known), "send_proxy_protocol");
 * assert.equal(nearest("colour", known), undefined);
 * ```
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase().replaceAll("-", "_");
  let best: string | undefined;
  let least = Infinity;
  for (const each of known) {
    const differences = distance(lower, each.toLowerCase());
    if (differences < least && differences <= Math.max(1, Math.floor(Math.min(lower.length, each.length) / 3))) {
      [best, least] = [each, differences];
    }
  }
  if (best !== undefined) return best;
  const begins = (a: string, b: string) => b.length >= MIN_BEGINNING && a.startsWith(b);
  return known.find((each) => begins(each.toLowerCase(), lower) || begins(lower, each.toLowerCase()));
}

/** How many letters are to be added, removed, replaced or swapped with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (before[j - 2] ?? 0) + 1 : Infinity,
      ));
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
