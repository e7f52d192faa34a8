/**
 * What a worker tells the engine of connections and requests that ended: in batches.
 *
 * @module
 */

import type { ConnectionEnd, RequestEnd } from "../engine.ts";

/** What ended is reported together: when there is so much, or at the latest after this time in milliseconds. */
const REPORT_COUNT = 256;
const REPORT_MS = 20;

/** What ended, in order. */
export interface EndedReport {
  readonly kind: "ended";
  readonly ends: readonly ConnectionEnd[];
  readonly requests: readonly RequestEnd[];
}

/** See the module: a message for each would cost as much as a connection. */
export class Reports {
  readonly #report: (report: EndedReport) => void;
  readonly #now: () => number;
  #ends: ConnectionEnd[] = [];
  #requests: RequestEnd[] = [];
  #since = 0;

  /** @param now The clock of the worker, in milliseconds. */
  constructor(report: (report: EndedReport) => void, now: () => number) {
    this.#report = report;
    this.#now = now;
  }

  /** How long the worker may wait for events with what there is to report, in milliseconds; -1: for ever. */
  get patienceMs(): number {
    return this.#size > 0 ? REPORT_MS : -1;
  }

  connectionEnded(end: ConnectionEnd): void {
    this.#noteTime();
    this.#ends.push(end);
    this.#flushIfFull();
  }

  requestEnded(end: RequestEnd): void {
    this.#noteTime();
    this.#requests.push(end);
    this.#flushIfFull();
  }

  /** Reports what has waited long enough. */
  flushIfDue(): void {
    if (this.#size > 0 && this.#now() - this.#since >= REPORT_MS) this.flush();
  }

  /** Reports what there is. */
  flush(): void {
    if (this.#size === 0) return;
    this.#report({ kind: "ended", ends: this.#ends, requests: this.#requests });
    this.#ends = [];
    this.#requests = [];
  }

  get #size(): number {
    return this.#ends.length + this.#requests.length;
  }

  #noteTime(): void {
    if (this.#size === 0) this.#since = this.#now();
  }

  #flushIfFull(): void {
    if (this.#size >= REPORT_COUNT) this.flush();
  }
}
