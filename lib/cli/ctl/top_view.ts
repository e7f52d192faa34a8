/**
 * What `ctl top` shows.
 *
 * @module
 */

import type { Stats } from "../../admin/client.ts";
import type { Rates } from "../../control/metrics/rates.ts";
import { printable } from "../../control/quote.ts";
import { type Sorting, SORTINGS, type TopState } from "./top_state.ts";
import { count, formatBytes, formatDuration } from "./units.ts";

/** What there is to show. */
export interface TopFigures {
  readonly stats: Stats;
  readonly rates: Rates;
}

/** How much room there is, and whether it has colours. */
export interface TopScreen {
  readonly columns: number;
  readonly rows: number;
  readonly hasColours: boolean;
}

/** How a cell looks beside others. */
type Mark = "plain" | "warning" | "error";

interface Cell {
  readonly text: string;
  readonly mark: Mark;
}

interface Row {
  /** Names that a filter looks at, the first of which is shown. */
  readonly names: readonly string[];
  readonly cells: readonly Cell[];
  /** What it may be sorted by, the highest first; what is left out is as its rate. */
  readonly order: { readonly rate: number } & Partial<Readonly<Record<Sorting, number>>>;
}

interface Section {
  /** Of the names. */
  readonly header: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** A column of numbers. */
interface Column {
  readonly header: string;
  /** What its numbers have room in, so that it keeps its place while they change. */
  readonly width: number;
}

const BOLD = "\x1b[1m";
const INVERSE = "\x1b[7m";
const RESET = "\x1b[m";
const MARKS: Readonly<Record<Mark, string>> = { plain: "", warning: "\x1b[33m", error: "\x1b[31m" };

const GAP = 2;
const LEAST_NAME = 12;
const DAY_MS = 86_400_000;
/** How many days before its end a certificate is a warning. */
const SOON_DAYS = 14;

/** The lines of a whole screen, none of which is wider than it. */
export function topLines({ stats, rates }: TopFigures, state: TopState, screen: TopScreen): string[] {
  const { columns, rows, hasColours } = screen;
  const paint = (text: string, code: string) => hasColours && code !== "" ? `${code}${text}${RESET}` : text;
  const head = headLines({ stats, rates }).map((line) => cut(line, columns));
  const foot = footLine(state, columns);
  const all = sectionsOf(rates);
  const nameWidth = nameWidthOf(all, columns);
  const sections = all.map((section) => ({ ...section, rows: arrange(section.rows, state) }))
    .filter((section) => section.rows.length > 0);
  const shares = shareOut(sections.map((section) => section.rows.length), rows - head.length - 1);
  const lines = head.map((line, i) => i === 0 ? paint(line, BOLD) : line);
  if (sections.length === 0) lines.push("", cut(`nothing has "${state.filter}" in its name`, columns));
  for (const [i, { header, columns: numbers, rows }] of sections.entries()) {
    const share = shares[i] ?? 0;
    if (share === 0) break;
    const widths = widthsOf(numbers, rows);
    const lay = (name: string, cells: readonly Cell[], show: (cell: Cell) => string) =>
      layRow(cut(name, nameWidth).padEnd(nameWidth), cells, widths, columns, show);
    lines.push("", paint(lay(header, numbers.map(({ header }) => plain(header)), ({ text }) => text), BOLD));
    const hidden = rows.length - share;
    for (const { names: [name = ""], cells } of rows.slice(0, hidden > 0 ? share - 1 : share)) {
      lines.push(lay(printable(name), cells, ({ text, mark }) => paint(text, MARKS[mark])));
    }
    if (hidden > 0) lines.push(cut(`… ${hidden + 1} more`, columns));
  }
  const body = lines.slice(0, Math.max(0, rows - 1));
  while (body.length < rows - 1) body.push("");
  return [...body, paint(foot, INVERSE)];
}

/**
 * All of it in one line, where there is no screen.
 *
 * @param time When.
 */
export function topLine({ stats, rates }: TopFigures): string {
  const total = totals(rates);
  return [
    stats.time.toISOString(),
    `active ${total.active}`,
    `conn/s ${formatRate(total.accepted)}`,
    `rejected/s ${formatRate(total.rejected)}`,
    `in/s ${formatBytes(Math.round(total.bytesIn))}`,
    `out/s ${formatBytes(Math.round(total.bytesOut))}`,
    `dial p50 ${formatSeconds(rates.dials.p50)}`,
    `p99 ${formatSeconds(rates.dials.p99)}`,
    `req/s ${formatRate(total.requests)}`,
    ...[2, 3, 4, 5].map((digit) => `${digit}xx ${formatRate(total.classes[digit] ?? 0)}`),
    `p50 ${formatSeconds(rates.requests.p50)}`,
    `p99 ${formatSeconds(rates.requests.p99)}`,
  ].join("  ");
}

function totals({ listeners, hostnames }: Rates) {
  const of = <T>(all: readonly T[], valueOf: (each: T) => number) => all.reduce((sum, each) => sum + valueOf(each), 0);
  return {
    active: of(listeners, ({ active }) => active),
    accepted: of(listeners, ({ accepted }) => accepted),
    rejected: of(listeners, ({ rejected }) => rejected),
    bytesIn: of(listeners, ({ bytesIn }) => bytesIn),
    bytesOut: of(listeners, ({ bytesOut }) => bytesOut),
    requests: of(hostnames, ({ requests }) => requests),
    classes: [0, 1, 2, 3, 4, 5].map((digit) => of(hostnames, ({ classes }) => classes[digit] ?? 0)),
  };
}

function headLines({ stats, rates }: TopFigures): string[] {
  const { version, engine, threads, workerRestarts, uptimeMs } = stats;
  const total = totals(rates);
  const up = threads.up === threads.wanted
    ? count(threads.wanted, "thread")
    : `${threads.up} of ${threads.wanted} threads`;
  const died = workerRestarts === 0 ? "" : `, ${workerRestarts} replaced`;
  return [
    `mc-proxy ${printable(version)}  up ${formatDuration(uptimeMs)}  ${printable(engine)}, ${up}${died}`,
    [
      `${formatRate(total.accepted)} conn/s`,
      `${total.active} active`,
      `${formatBytes(Math.round(total.bytesIn))}/s in`,
      `${formatBytes(Math.round(total.bytesOut))}/s out`,
      ...rates.hostnames.length > 0 ? [`${formatRate(total.requests)} req/s`] : [],
    ].join("  "),
    ...certificateLine(stats),
  ];
}

/** Which certificate ends first, where one does soon. */
function certificateLine({ certificates, time }: Stats): string[] {
  const [first] = [...certificates].sort((a, b) => a.notAfter.getTime() - b.notAfter.getTime());
  if (first === undefined) return [];
  const days = Math.floor((first.notAfter.getTime() - time.getTime()) / DAY_MS);
  if (days >= SOON_DAYS) return [];
  const when = days < 0 ? "has expired" : `expires in ${count(days, "day")}`;
  return [`the certificate of ${printable(first.hostname)} ${when}`];
}

function sectionsOf({ listeners, hostnames, backends, rejections }: Rates): Section[] {
  return [
    {
      header: "LISTENER",
      columns: columnsOf(["ACTIVE", RATE], ["CONN/S", RATE], ["REJ/S", RATE], ["IN/S", BYTES], ["OUT/S", BYTES]),
      rows: listeners.map(({ addr, active, maxConnections, accepted, rejected, bytesIn, bytesOut }) => ({
        names: [addr],
        cells: [
          {
            text: maxConnections === 0 ? String(active) : `${active}/${maxConnections}`,
            mark: maxConnections > 0 && active >= maxConnections ? "error" : "plain",
          },
          plain(formatRate(accepted)),
          rateCell(rejected, "warning"),
          plain(formatBytes(Math.round(bytesIn))),
          plain(formatBytes(Math.round(bytesOut))),
        ],
        order: { rate: accepted, active, bytes: bytesIn + bytesOut, errors: rejected },
      })),
    },
    {
      header: "HOST (L7)",
      columns: columnsOf(
        ["REQ/S", RATE],
        ["2XX", RATE],
        ["3XX", RATE],
        ["4XX", RATE],
        ["5XX", RATE],
        ["BLOCK", RATE],
        ["P50", SECONDS],
        ["P99", SECONDS],
      ),
      rows: hostnames.map(({ hostname, requests, classes, policyBlocks, p50, p99 }) => ({
        names: [hostname],
        cells: [
          plain(formatRate(requests)),
          plain(formatRate(classes[2])),
          plain(formatRate(classes[3])),
          rateCell(classes[4], "warning"),
          rateCell(classes[5], "error"),
          rateCell(policyBlocks, "warning"),
          plain(formatSeconds(p50)),
          plain(formatSeconds(p99)),
        ],
        order: { rate: requests, errors: classes[5] + classes[4] + policyBlocks, latency: p99 ?? -1 },
      })),
    },
    {
      header: "BACKEND",
      columns: columnsOf(["DIAL/S", RATE], ["ERR/S", RATE], ["P50", SECONDS], ["P99", SECONDS]),
      rows: backends.map(({ backend, dials, dialErrors, p50, p99 }) => ({
        names: [backend],
        cells: [
          plain(formatRate(dials)),
          rateCell(dialErrors, "error"),
          plain(formatSeconds(p50)),
          plain(formatSeconds(p99)),
        ],
        order: { rate: dials + dialErrors, errors: dialErrors, latency: p99 ?? -1 },
      })),
    },
    {
      header: "REJECTED",
      columns: columnsOf(["REJ/S", RATE], ["TOTAL", RATE], ["LISTENER", 0]),
      rows: rejections.map(({ listener, reason, rate, total }) => ({
        names: [reason, listener],
        cells: [rateCell(rate, "warning"), plain(String(total)), plain(listener)],
        order: { rate },
      })),
    },
  ];
}

// How wide numbers of a kind become: "12345", "1023 KiB", "0.25ms".
const RATE = 5;
const BYTES = 8;
const SECONDS = 6;

function columnsOf(...columns: readonly (readonly [header: string, width: number])[]): Column[] {
  return columns.map(([header, width]) => ({ header, width }));
}

function plain(text: string): Cell {
  return { text: printable(text), mark: "plain" };
}

function rateCell(rate: number, mark: Mark): Cell {
  return { text: formatRate(rate), mark: rate > 0 ? mark : "plain" };
}

function arrange(rows: readonly Row[], { sorting, filter }: TopState): Row[] {
  const by = ({ order }: Row) => order[sorting] ?? order.rate;
  const nameOf = ({ names }: Row) => names.join(" ");
  return rows.filter(({ names }) => names.some((name) => name.toLowerCase().includes(filter)))
    .sort((a, b) => (sorting === "name" ? 0 : by(b) - by(a)) || (nameOf(a) < nameOf(b) ? -1 : 1));
}

/**
 * How many lines behind its header each section gets: few enough that all fit, and those that want few give what they do
 * not use to the others. The last ones get none where there is no room.
 *
 * @param wanted How many each wants.
 * @param free How many lines there are, of which each section takes two more: an empty one, and its header.
 */
function shareOut(wanted: readonly number[], free: number): number[] {
  const served = wanted.slice(0, Math.max(0, Math.floor(free / 3)));
  const shares = served.map(() => 1);
  let left = free - 3 * served.length;
  while (left > 0) {
    const hungry = served.keys().filter((i) => (shares[i] ?? 0) < (served[i] ?? 0)).toArray();
    if (hungry.length === 0) break;
    for (const i of hungry.slice(0, left)) shares[i] = (shares[i] ?? 0) + 1;
    left -= Math.min(left, hungry.length);
  }
  return shares;
}

/** The names of all sections have the same room: what the longest takes, where the numbers leave that. */
function nameWidthOf(sections: readonly Section[], columns: number): number {
  const longest = Math.max(
    ...sections.flatMap(({ header, rows }) => [header, ...rows.map(({ names }) => names[0] ?? "")])
      .map((name) => printable(name).length),
  );
  const widths = sections.map(({ columns, rows }) => widthsOf(columns, rows));
  const numbers = Math.max(...widths.map((each) => each.reduce((sum, width) => sum + width + GAP, 0)));
  return Math.max(LEAST_NAME, Math.min(longest, columns - numbers));
}

function widthsOf(columns: readonly Column[], rows: readonly Row[]): number[] {
  return columns.map(({ header, width }, i) =>
    Math.max(header.length, width, ...rows.map(({ cells }) => cells[i]?.text.length ?? 0))
  );
}

/** A name, and as many of its numbers as there is room for. */
function layRow(
  name: string,
  cells: readonly Cell[],
  widths: readonly number[],
  columns: number,
  show: (cell: Cell) => string,
): string {
  let line = cut(name, columns);
  let left = columns - line.length;
  for (const [i, cell] of cells.entries()) {
    const width = GAP + (widths[i] ?? 0);
    left -= width;
    if (left < 0) break;
    line += " ".repeat(width - cell.text.length) + show(cell);
  }
  return line.trimEnd();
}

function footLine({ sorting, filter, isTyping }: TopState, columns: number): string {
  if (isTyping) return cut(`/${filter}_  (Enter keeps it, Escape takes it away)`, columns).padEnd(columns);
  const sortings = Object.entries(SORTINGS).map(([key, name]) =>
    name === sorting ? `[${key} ${name}]` : `${key} ${name}`
  );
  const filtered = filter === "" ? "/ filter" : `/ "${filter}"`;
  return cut(`q quit  ${filtered}  sort: ${sortings.join(" ")}`, columns).padEnd(columns);
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`.slice(0, width);
}

/**
 * A number of times a second, in three digits or as many as it has.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([0, 0.02, 1.234, 56.78, 1234.5, 99_999.5].map(formatRate), [
 *   "0", "0.02", "1.2", "56.8", "1235", "100k",
 * ]);
 * ```
 */
export function formatRate(rate: number): string {
  if (rate === 0) return "0";
  if (rate < 0.995) return rate.toFixed(2);
  if (rate < 99.95) return rate.toFixed(1);
  if (rate < 99_999.5) return rate.toFixed(0);
  return `${(rate / 1000).toFixed(0)}k`;
}

/**
 * A duration in seconds; `-` where there is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([undefined, 0.00025, 0.0042, 0.25, 4.5, 10].map(formatSeconds), [
 *   "-", "0.25ms", "4.2ms", "250ms", "4.5s", "10s",
 * ]);
 * ```
 */
export function formatSeconds(seconds: number | undefined): string {
  if (seconds === undefined) return "-";
  const ms = seconds * 1000;
  if (ms < 0.995) return `${ms.toFixed(2)}ms`;
  if (ms < 9.95) return `${ms.toFixed(1)}ms`;
  if (ms < 999.5) return `${ms.toFixed(0)}ms`;
  return seconds < 9.95 ? `${seconds.toFixed(1)}s` : `${seconds.toFixed(0)}s`;
}
