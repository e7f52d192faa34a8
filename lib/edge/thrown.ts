/**
 * What was thrown, as text: it need not be an `Error`.
 *
 * @module
 */

/** What to tell of it in one line. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** What to log of a fault of ours. */
export function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
}
