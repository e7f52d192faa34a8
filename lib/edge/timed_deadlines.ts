/**
 * The timing wheel, turned by a timer.
 *
 * @module
 */

import { Deadlines, type Expirable } from "./deadlines.ts";

/** Deadlines that expire by themselves. The timer runs only while something waits. */
export class TimedDeadlines extends Deadlines {
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param tickMs How late an expiry may be, in ms. */
  constructor(tickMs?: number) {
    super(performance.now(), tickMs);
  }

  override get time(): number {
    return performance.now() - this.lost; // the timer may stand still
  }

  override set(entry: Expirable, ms: number, now: number = performance.now()): void {
    if (this.#timer === undefined) this.advance(now);
    super.set(entry, ms, now);
    this.#timer ??= setInterval(() => this.turnTo(performance.now()), this.tickMs);
  }

  override clear(entry: Expirable): void {
    super.clear(entry);
    if (this.size === 0) this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
