/**
 * A leaky bucket: what comes in bursts is borne, what comes steadily only at a rate.
 *
 * @module
 */

import type { Turn } from "./turn.ts";

/** See the module. Its level begins at 0, and falls by itself. */
export class LeakyBucket {
  readonly #turn: Turn;
  readonly #perMs: number;
  #level = 0;
  #since: number;

  /** @param perSecond By how much the level falls in a second. */
  constructor(turn: Turn, perSecond: number) {
    this.#turn = turn;
    this.#perMs = perSecond / 1000;
    this.#since = turn.now;
  }

  /** Adds 1. @returns The level. */
  add(): number {
    const { now } = this.#turn;
    this.#level = Math.max(0, this.#level - (now - this.#since) * this.#perMs) + 1;
    this.#since = now;
    return this.#level;
  }

  /** Takes so much out, as far as it is there. */
  take(amount: number): void {
    this.#level = Math.max(0, this.#level - amount);
  }
}
