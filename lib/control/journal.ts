/**
 * Whether standard error is the journal of systemd.
 *
 * @module
 */

import { fstatSync } from "node:fs";

/** The descriptor of standard error. */
const STDERR = 2;

/**
 * Returns whether standard error goes to the journal, which then reads the priority of a line from its beginning.
 *
 * `JOURNAL_STREAM` is `device:inode` of the stream that the service manager connected (systemd.exec(5)). It is compared
 * with what standard error is now: a program that redirects the output of another hands on the variable all the same.
 *
 * @param stream The variable; `undefined` where it is not set.
 */
export function isJournal(stream: string | undefined): boolean {
  if (stream === undefined || stream === "") return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false; // standard error is closed
  }
}
