/**
 * The times at which whoever watches is told.
 *
 * @module
 */

/**
 * Comes at once, and then each time that another `ms` milliseconds are over, until the signal is aborted. Times that pass
 * while whoever asks is busy are left out, and those after them stay where they were.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const ending = new AbortController();
 * let times = 0;
 * for await (const _ of intervals(10, ending.signal)) if (++times === 3) ending.abort();
 * assert.equal(times, 3);
 * ```
 */
export async function* intervals(ms: number, signal: AbortSignal): AsyncGenerator<undefined, void> {
  const start = performance.now();
  while (!signal.aborted) {
    yield undefined;
    const passed = performance.now() - start;
    await pause((Math.floor(passed / ms) + 1) * ms - passed, signal);
  }
}

/** Waits so many milliseconds, or until the signal is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await orAborted(promise, signal);
  clearTimeout(timer);
}

/** Resolves with a promise, or before it where the signal is aborted. Of the wait, nothing stays with the signal. */
export async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  signal.addEventListener("abort", onAbort);
  await Promise.race([promise, aborted]);
  signal.removeEventListener("abort", onAbort);
}
