/**
 * The lines that a worker writes of connections and requests that ended: passed to the engine in batches.
 *
 * @module
 */

import type { LogLines } from "../../wire/log_line.ts";
import { EndedLines } from "../ended_lines.ts";
import type { ConnectionEnd, RequestEnd } from "../engine.ts";
import type { EdgeSnapshot } from "../snapshot.ts";

/** Lines are passed on together: when there are so many, or so many bytes, or at the latest after this time in ms. */
const REPORT_COUNT = 256;
const REPORT_LENGTH = 64 * 1024;
const REPORT_MS = 20;

/** Lines in the order in which their connections and requests ended. */
export interface LinesReport {
  readonly kind: "lines";
  readonly lines: LogLines;
}

/** How lines are written. */
export type LineStyle = Pick<EdgeSnapshot, "logFormat" | "logPriorities">;

/** See the module: a message for each would cost as much as a connection. */
export class Reports {
  readonly #report: (report: LinesReport) => void;
  readonly #now: () => number;
  readonly #lines: EndedLines;
  #since = 0;

  /**
   * @param report May transfer the bytes.
   * @param now The clock of the worker, in milliseconds.
   */
  constructor(style: LineStyle, report: (report: LinesReport) => void, now: () => number) {
    this.#lines = new EndedLines(style.logFormat, { hasPriorities: style.logPriorities });
    this.#report = report;
    this.#now = now;
  }

  /** How long the worker may wait for events with what there is to report, in milliseconds; -1: for ever. */
  get patienceMs(): number {
    return this.#lines.count > 0 ? REPORT_MS : -1;
  }

  connectionEnded(end: ConnectionEnd): void {
    this.#noteTime();
    this.#lines.connectionEnded(end);
    this.#flushIfFull();
  }

  requestEnded(end: RequestEnd): void {
    this.#noteTime();
    this.#lines.requestEnded(end);
    this.#flushIfFull();
  }

  /** Reports what has waited long enough. */
  flushIfDue(): void {
    if (this.#lines.count > 0 && this.#now() - this.#since >= REPORT_MS) this.flush();
  }

  /** Reports what there is. */
  flush(): void {
    if (this.#lines.count > 0) this.#report({ kind: "lines", lines: this.#lines.take() });
  }

  #noteTime(): void {
    if (this.#lines.count === 0) this.#since = this.#now();
  }

  #flushIfFull(): void {
    if (this.#lines.count >= REPORT_COUNT || this.#lines.length >= REPORT_LENGTH) this.flush();
  }
}
