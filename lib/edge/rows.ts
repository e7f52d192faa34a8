/**
 * A table of numbers that grows while threads write into it.
 *
 * @module
 */

/** How many rows a table may have: what it would take is address space, not memory, until a row is used. */
export const MAX_ROWS = 128 * 1024;

/** How many rows are added at once. */
const STEP = 1024;

/**
 * Rows of float64 cells in shared memory. One thread writes them, so that a count is an addition and no atomic operation,
 * and exact to 2^53; others read.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const rows = new Rows(2);
 * rows.reserve(5);
 * new Rows(2, rows.memory).add(5, 1, 3);
 * assert.equal(rows.get(5, 1), 3);
 * ```
 */
export class Rows {
  readonly width: number;
  readonly memory: SharedArrayBuffer;
  /** A view that follows the memory as it grows would make an addition cost twelve times as much (measured). */
  #cells: Float64Array;

  /**
   * @param width How many cells a row has.
   * @param memory That of the same table in another thread; new and empty by default.
   */
  constructor(width: number, memory?: SharedArrayBuffer) {
    this.width = width;
    this.memory = memory ?? new SharedArrayBuffer(0, { maxByteLength: MAX_ROWS * width * 8 });
    this.#cells = this.#view();
  }

  /**
   * Makes room for a row; its cells are 0.
   *
   * @throws {RangeError} If there may not be as many.
   */
  reserve(row: number): void {
    const needed = (row + 1) * this.width * 8;
    if (needed <= this.memory.byteLength) return;
    const wanted = (row + STEP) * this.width * 8;
    this.memory.grow(Math.max(needed, Math.min(wanted, this.memory.maxByteLength)));
  }

  /** Adds to a cell of a row that there is room for. */
  add(row: number, cell: number, amount: number): void {
    const index = this.#index(row, cell);
    this.#cells[index] = (this.#cells[index] ?? 0) + amount;
  }

  set(row: number, cell: number, value: number): void {
    const index = this.#index(row, cell);
    this.#cells[index] = value;
  }

  /** 0 where there is no such row. */
  get(row: number, cell: number): number {
    const index = this.#index(row, cell);
    return this.#cells[index] ?? 0;
  }

  /** Adds the first cells of a row to as many numbers. */
  addTo(row: number, totals: Float64Array): void {
    this.#index(row, this.width - 1);
    const cells = this.#cells;
    const start = row * this.width;
    if (start >= cells.length) return; // there is no such row
    for (let i = 0; i < totals.length; i++) totals[i] = (totals[i] ?? 0) + (cells[start + i] ?? 0);
  }

  /** Makes a row 0; nobody may write it meanwhile. */
  clear(row: number): void {
    const end = this.#index(row, this.width - 1) + 1;
    this.#cells.fill(0, end - this.width, end);
  }

  /** Where a cell is, in a view that reaches so far where there is one: to be called before the view is used. */
  #index(row: number, cell: number): number {
    const index = row * this.width + cell;
    if (index >= this.#cells.length) this.#cells = this.#view();
    return index;
  }

  #view(): Float64Array {
    return new Float64Array(this.memory, 0, this.memory.byteLength / 8);
  }
}
