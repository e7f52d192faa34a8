/**
 * A limit to the work that a client begins and throws away.
 *
 * @module
 */

import { LeakyBucket } from "./leaky_bucket.ts";
import type { Turn } from "./turn.ts";

/** So many at once: what a client that closes many pages, or has many deadlines pass, may well give up. */
const BURST = 500;
/** So many a second on top of it, for as long as the connection lives. */
const PER_SECOND = 100;

/**
 * See the module: a bucket of one connection. Nothing that the client does beside it makes up for what it wastes,
 * and so no mixture of requests, in whatever order, gets more past it (CVE-2023-44487, CVE-2025-8671).
 */
export class WasteLimit {
  readonly #bucket: LeakyBucket;

  constructor(turn: Turn) {
    this.#bucket = new LeakyBucket(turn, PER_SECOND);
  }

  /** Counts a request that came to nothing by the client's doing. @returns Whether there are too many. */
  count(): boolean {
    return this.#bucket.add() > BURST;
  }
}
