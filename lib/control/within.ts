/**
 * Waiting, but not for ever.
 *
 * @module
 */

/** Whether `work` is done within `ms`; it goes on if not. */
export async function within(ms: number, work: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
