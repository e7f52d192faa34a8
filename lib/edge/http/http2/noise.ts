/**
 * A limit to frames that do nothing useful.
 *
 * @module
 */

import { Http2Error } from "../../../wire/http2_frames.ts";
import { LeakyBucket } from "../leaky_bucket.ts";
import type { Turn } from "../turn.ts";

/** So many at once, and so many a second, are taken for chatter, more for an attack. */
const BURST = 10_000;
const PER_SECOND = 100;

/** How many of them each useful frame makes good: a receiver may well credit each piece twice, and ask after its way. */
const PER_USEFUL = 4;

/**
 * See the module: a bucket that is never full on a connection which also does something (CVE-2019-9512, 9515,
 * 9518).
 */
export class NoiseLimit {
  readonly #bucket: LeakyBucket;

  constructor(turn: Turn) {
    this.#bucket = new LeakyBucket(turn, PER_SECOND);
  }

  /** Counts a frame that does nothing useful by itself. @throws {Http2Error} If there are too many. */
  count(): void {
    if (this.#bucket.add() >= BURST) throw new Http2Error("ENHANCE_YOUR_CALM", "too many frames to no purpose");
  }

  /** A frame did something useful. */
  useful(): void {
    this.#bucket.take(PER_USEFUL);
  }
}
