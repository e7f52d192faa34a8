/**
 * Tables for people.
 *
 * @module
 */

import type { Screen } from "../output.ts";

/** A column of a table. */
export interface Column {
  readonly header: string;
  /** Numbers are put to the right. */
  readonly align?: "right";
}

const GAP = 2;

/** What holds many a name. */
const USEFUL_COLUMN = 16;

/** Where a cell starts that is too wide for its own column's place on the screen. */
const INDENT = 4;

/**
 * A table in lines, each with its line feed.
 *
 * In a file or a pipe a row is one line, whatever its length. On a screen that it is too wide for, nothing is cut. A long
 * last cell goes on below itself where half of the screen is left to it, or else stands below its row. Behind any other
 * cell that is wider than its column the row goes on in the next line.
 *
 * @param screen What it is shown on; in bold there is its header, unless all of the headers are empty.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const columns = [{ header: "NAME" }, { header: "COUNT", align: "right" }] as const;
 * assert.equal(formatTable(columns, [["a.test", "7"]]), "NAME    COUNT\na.test      7\n");
 * ```
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  screen?: Screen | undefined,
): string {
  const headers = columns.map(({ header }) => header);
  const natural = headers.map((header, i) =>
    rows.reduce((max, row) => Math.max(max, row[i]?.length ?? 0), header.length)
  );
  const width = screen?.size().columns ?? Infinity;
  const layout = layOut(columns, rows, natural, width);
  const lay = (row: readonly string[]) => layRow(layout, row);
  const head = headers.every((header) => header === "") ? [] : lay(headers);
  const bold = screen?.hasColours === true ? (line: string) => `\x1b[1m${line}\x1b[22m` : (line: string) => line;
  return [...head.map(bold), ...rows.flatMap(lay)].map((line) => `${line}\n`).join("");
}

interface Layout {
  readonly columns: readonly Column[];
  readonly widths: readonly number[];
  /** Of the screen. */
  readonly width: number;
  /** Whether a last cell that reaches over the edge stands below its row. */
  readonly isStacked: boolean;
}

function layOut(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  natural: readonly number[],
  width: number,
): Layout {
  const last = columns.length - 1;
  const room = natural.slice(0, last).reduce((left, w) => left - w - GAP, width);
  const longestWord = rows.flatMap((row) => row[last]?.split(" ") ?? [])
    .reduce((max, { length }) => Math.max(max, length), columns[last]?.header.length ?? 0);
  const enough = Math.min(natural[last] ?? 0, Math.max(width / 2, longestWord));
  const isStacked = room < enough;
  const wanted = isStacked ? columns[last]?.header.length ?? 0 : enough;
  return { columns, widths: fit(columns, natural.with(last, wanted), width), width, isStacked };
}

/**
 * The widths of the columns. Where they are too wide together, the widest are made alike, as far as that leaves them
 * useful; then the one with the longest cell gives way to the others. Numbers keep theirs.
 */
function fit(columns: readonly Column[], natural: readonly number[], width: number): readonly number[] {
  const last = columns.length - 1;
  const widths = [...natural];
  const excess = () => widths.reduce((sum, w, i) => sum + (i === last ? w : w + GAP), -width);
  const shrink = (floor: number, order: readonly number[]) => {
    while (excess() > 0) {
      const least = (i: number) => Math.max(floor, columns[i]?.header.length ?? 0);
      const [first] = columns.keys().toArray()
        .filter((i) => i < last && columns[i]?.align !== "right" && (widths[i] ?? 0) > least(i))
        .sort((i, j) => (order[j] ?? 0) - (order[i] ?? 0));
      if (first === undefined) return;
      widths[first] = (widths[first] ?? 0) - 1;
    }
  };
  shrink(USEFUL_COLUMN, widths);
  shrink(0, natural);
  return widths;
}

function layRow({ columns, widths, width, isStacked }: Layout, row: readonly string[]): string[] {
  const lines: string[] = [];
  let line = "";
  const put = (text: string, start: number, isBelow = false) => {
    // What reaches over the edge of the screen from its own column starts further left, on a line of its own.
    const column = start + text.length <= width ? start : Math.max(0, Math.min(start, INDENT, width - text.length));
    if (isBelow || line.length > Math.max(column - GAP, 0)) {
      lines.push(line);
      line = "";
    }
    line = line.padEnd(column) + text;
  };
  let start = 0;
  row.forEach((cell, i) => {
    if (columns[i]?.align === "right") put(cell.padStart(widths[i] ?? 0), start);
    else if (i < row.length - 1) put(cell, start);
    else {
      const isBelow = isStacked && start + cell.length > width;
      const column = isBelow ? INDENT : start;
      wrap(cell, width - column).forEach((text, n) => put(text, column, isBelow || n > 0));
    }
    start += (widths[i] ?? 0) + GAP;
  });
  return [...lines, line].map((line) => line.trimEnd());
}

/** Breaks a text at its spaces; a word that is too long stays whole. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line: string | undefined;
  for (const word of text.split(" ")) {
    if (line === undefined) line = word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line ?? ""];
}
