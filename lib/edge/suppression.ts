/**
 * A flood of the same refusal, told as its first lines and a sum.
 *
 * @module
 */

import type { RejectReason } from "./counters.ts";
import type { Deadlines, Expirable } from "./deadlines.ts";
import type { SuppressedLines } from "./engine.ts";

/** How many lines of one kind are written in one window, by each thread that serves. */
export const LINES_IN_FULL = 100;

/** How long a window lasts, in milliseconds. */
export const WINDOW_MS = 10_000;

/**
 * How many kinds are told apart in one window. Routes beyond it share one kind by listener and reason: who asks for the
 * names of a hundred thousand routes in turn gets neither as many lines nor as much memory.
 */
const MAX_KINDS = 1_024;

/** What lines of one kind have in common: from configuration and fixed lists, nothing that a client chooses. */
export type LineKind = Pick<SuppressedLines, "of" | "listener" | "reason" | "route" | "backend" | "status">;

/** Lines of one kind that were not written. */
export interface Suppressed {
  /** Whether the client of this line is to be noted, by {@linkcode Suppressed.note}: the first, the tenth, … */
  readonly wantsClient: boolean;
  /** @param client `address:port`. */
  note(client: string): void;
}

/** How many were written in this window, and then those that were not. */
class Cell implements Suppressed {
  readonly kind: LineKind;
  written = 0;
  suppressed = 0;
  firstAt = 0;
  lastAt = 0;
  readonly clients: string[] = [];
  #noteAt = 1;

  constructor(kind: LineKind) {
    this.kind = kind;
  }

  get wantsClient(): boolean {
    return this.suppressed === this.#noteAt;
  }

  note(client: string): void {
    this.#noteAt *= 10;
    this.clients.push(client);
  }
}

/** What a {@linkcode Suppression} works with. */
export interface SuppressionOptions {
  readonly deadlines: Deadlines;
  /** The clock of the deadlines, in ms. */
  now(): number;
  /** Told at the end of each window in which lines were suppressed, and by {@linkcode Suppression.flush}. */
  report(lines: readonly SuppressedLines[]): void;
}

/**
 * Decides which refusals of one thread are lines of the log, and counts the others.
 *
 * The first {@linkcode LINES_IN_FULL} of a kind in a window of {@linkcode WINDOW_MS} are. All kinds have the same window,
 * which begins with the first refusal after the one before, so one entry in the wheel of deadlines is enough, and only
 * while something is suppressed. With the window all is forgotten.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { TimedDeadlines } from "./timed_deadlines.ts";
 * let lines = 0;
 * const suppression = new Suppression({
 *   deadlines: new TimedDeadlines(),
 *   now: () => performance.now(),
 *   report: ([told]) => lines += told?.lines ?? 0,
 * });
 * for (let i = 0; i < 1_000; i++) if (suppression.refused(":443", "not_tls", undefined) === undefined) lines++;
 * assert.equal(lines, 100);
 * suppression.flush();
 * assert.equal(lines, 1_000);
 * ```
 */
export class Suppression implements Expirable {
  readonly #options: SuppressionOptions;
  readonly #cells = new Map<string, Cell>();
  #windowEnd = -Infinity;
  #total = 0;
  deadline = 0;
  slot = -1;

  constructor(options: SuppressionOptions) {
    this.#options = options;
  }

  /**
   * Counts the line of a connection that was refused.
   *
   * @param route Where one was found.
   * @returns `undefined` where the line is to be written.
   */
  refused(
    listener: string,
    reason: RejectReason,
    route: { readonly hostname: string; readonly backend: string | undefined } | undefined,
  ): Suppressed | undefined {
    const { hostname, backend } = route ?? {};
    return this.#count("connection", listener, reason, hostname, backend, undefined);
  }

  /**
   * Counts the line of a request that could not be read.
   *
   * @returns `undefined` where the line is to be written.
   */
  malformed(listener: string, route: string, status: number): Suppressed | undefined {
    return this.#count("request", listener, "malformed", route, undefined, status);
  }

  /** Tells what was suppressed so far. */
  flush(): void {
    const { deadlines, report } = this.#options;
    deadlines.clear(this);
    this.#windowEnd = -Infinity;
    const toWallTime = Date.now() - this.#options.now();
    const lines = this.#total === 0 ? [] : Array.from(this.#cells.values()).filter(({ suppressed }) => suppressed > 0)
      .map(({ kind, suppressed, clients, firstAt, lastAt }): SuppressedLines => ({
        ...kind,
        lines: suppressed,
        clients,
        firstAt: Math.round(toWallTime + firstAt),
        lastAt: Math.round(toWallTime + lastAt),
      }));
    this.#cells.clear();
    this.#total = 0;
    if (lines.length > 0) report(lines);
  }

  expire(): void {
    this.flush();
  }

  #count(
    of: LineKind["of"],
    listener: string,
    reason: LineKind["reason"],
    route: string | undefined,
    backend: string | undefined,
    status: number | undefined,
  ): Suppressed | undefined {
    const now = this.#options.now();
    if (now >= this.#windowEnd) {
      this.flush();
      this.#windowEnd = now + WINDOW_MS;
    }
    // There is no space in any of them.
    const key = `${reason} ${listener} ${status ?? ""} ${route ?? ""}`;
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      if (route !== undefined && this.#cells.size >= MAX_KINDS) {
        return this.#count(of, listener, reason, undefined, undefined, status);
      }
      cell = new Cell({ of, listener, reason, route, backend, status });
      this.#cells.set(key, cell);
    }
    if (cell.written < LINES_IN_FULL) {
      cell.written++;
      return undefined;
    }
    return this.#suppress(cell, now);
  }

  #suppress(cell: Cell, now: number): Suppressed {
    if (cell.suppressed++ === 0) cell.firstAt = now;
    cell.lastAt = now;
    if (this.#total++ === 0) this.#options.deadlines.set(this, this.#windowEnd - now, now);
    return cell;
  }
}
