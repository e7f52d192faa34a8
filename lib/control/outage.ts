/**
 * What fails, recovers and fails again, told as one.
 *
 * @module
 */

/** How long it must not fail for it to have recovered: without a free descriptor, each that is closed is one more try. */
const SETTLE_MS = 1_000;

/** What is told of an outage. */
export interface OutageEvents {
  failed(reason: string): void;
  recovered(): void;
}

/** Something that fails for one or several who use it, and whether it does now. */
export class Outage {
  readonly #events: OutageEvents;
  readonly #settleMs: number;
  /** For how many it fails. */
  #failing = 0;
  #reason: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(events: OutageEvents, settleMs = SETTLE_MS) {
    this.#events = events;
    this.#settleMs = settleMs;
  }

  /** Why it fails; `undefined` where it does not. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** It fails for one of its users, and did not before. */
  failed(reason: string): void {
    this.#failing++;
    clearTimeout(this.#timer);
    if (this.#reason === undefined) this.#events.failed(reason);
    this.#reason = reason;
  }

  /** It works for one of its users again. */
  recovered(): void {
    this.#failing = Math.max(0, this.#failing - 1);
    if (this.#failing === 0) this.#settle();
  }

  /** Forgets for whom it failed: those who are still there say so when they are refused again. */
  reset(): void {
    this.#failing = 0;
    if (this.#reason !== undefined) this.#settle();
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#reason = undefined;
      this.#events.recovered();
    }, this.#settleMs);
    Deno.unrefTimer(Number(this.#timer)); // the end of the program need not wait for it
  }
}
