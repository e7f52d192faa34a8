/**
 * Which row of a table of counters each name has.
 *
 * @module
 */

/** How long a name that went keeps its row at least: until then its counts go on where they stopped, should it return. */
export const REST_MS = 60 * 60 * 1000;

/** What a {@linkcode RowBook} works with. */
export interface RowBookOptions {
  /** How many rows there may be, the one for all others included. */
  readonly maxRows: number;
  /** Has a row that was never used begin at 0. */
  reserve(row: number): void;
  /** Has a row that another name had begin at 0. */
  clear(row: number): void;
  /** A name has its row again, after it was without a user. */
  returned?(row: number): void;
  /** How long a name that went keeps its row, in ms; by default {@linkcode REST_MS}. */
  readonly restMs?: number;
  /** A monotonic clock, in ms. */
  readonly now?: () => number;
}

interface Entry {
  readonly row: number;
  users: number;
  /** When its last user went. */
  leftAt: number;
}

/**
 * Gives a row to each name in use.
 *
 * A count in the row only ever grows while its name is there, also where the name goes and returns. The row goes to another
 * name when it has rested for so long that nobody can be about to write into it. So the rows, as the memory behind them, are
 * bounded by the names of one rest; a name for which there is none left shares row 0 with all others of its kind.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const book = new RowBook({ maxRows: 2, reserve: () => {}, clear: () => {} });
 * book.use("a.test");
 * book.use("b.test");
 * assert.deepEqual([book.row("a.test"), book.row("b.test")], [1, 0]);
 * ```
 */
export class RowBook {
  readonly #options: RowBookOptions;
  readonly #restMs: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  /** Names without a user, the one that has rested longest first. */
  readonly #resting = new Map<string, Entry>();
  #next = 1;
  #sharing = 0;

  constructor(options: RowBookOptions) {
    this.#options = options;
    this.#restMs = options.restMs ?? REST_MS;
    this.#now = options.now ?? (() => performance.now());
    options.reserve(0);
  }

  /** How many users have no row of their own for their names. */
  get sharing(): number {
    return this.#sharing;
  }

  /** Adds a user of a name. */
  use(name: string): void {
    const known = this.#entries.get(name);
    if (known === undefined) {
      const row = this.#freeRow();
      if (row === 0) this.#sharing++;
      this.#entries.set(name, { row, users: 1, leftAt: 0 });
      return;
    }
    known.users++;
    if (known.row === 0) this.#sharing++;
    if (this.#resting.delete(name)) this.#options.returned?.(known.row);
  }

  /** Takes a user of a name away. */
  release(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.users === 0) return;
    entry.users--;
    if (entry.row === 0) this.#sharing--;
    if (entry.users > 0) return;
    if (entry.row === 0) {
      this.#entries.delete(name);
      return;
    }
    entry.leftAt = this.#now();
    this.#resting.set(name, entry);
  }

  /** The row of a name; 0 where it has none of its own. */
  row(name: string): number {
    return this.#entries.get(name)?.row ?? 0;
  }

  /** The names that have users and a row of their own. */
  *names(): Generator<readonly [name: string, row: number]> {
    for (const [name, { row, users }] of this.#entries) if (users > 0 && row > 0) yield [name, row];
  }

  #freeRow(): number {
    const [oldest] = this.#resting;
    if (oldest !== undefined && this.#now() - oldest[1].leftAt >= this.#restMs) {
      const [name, { row }] = oldest;
      this.#resting.delete(name);
      this.#entries.delete(name);
      this.#options.clear(row);
      return row;
    }
    if (this.#next >= this.#options.maxRows) return 0;
    this.#options.reserve(this.#next);
    return this.#next++;
  }
}
