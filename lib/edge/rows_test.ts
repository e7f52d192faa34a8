import assert from "node:assert/strict";
import { Rows } from "./rows.ts";

Deno.test("a thread that had the table before it grew writes into the new rows, too", () => {
  const rows = new Rows(3);
  const other = new Rows(3, rows.memory);
  rows.reserve(0);
  other.add(0, 0, 1);
  rows.reserve(5_000);
  other.add(5_000, 2, 7);
  other.set(4_999, 1, 9);
  assert.deepEqual([rows.get(0, 0), rows.get(5_000, 2), rows.get(4_999, 1)], [1, 7, 9]);
});

Deno.test("a row is cleared without its neighbours", () => {
  const rows = new Rows(2);
  rows.reserve(2);
  for (const row of [0, 1, 2]) for (const cell of [0, 1]) rows.add(row, cell, 1);
  rows.clear(1);
  assert.deepEqual([0, 1, 2].flatMap((row) => [rows.get(row, 0), rows.get(row, 1)]), [1, 1, 0, 0, 1, 1]);
});

Deno.test("what is written beyond the table is lost, and nothing else is", () => {
  const rows = new Rows(2);
  rows.reserve(0);
  const length = rows.memory.byteLength / 16;
  rows.add(length, 0, 1);
  assert.equal(rows.get(length, 0), 0);
  rows.reserve(length);
  assert.equal(rows.get(length, 0), 0);
});
