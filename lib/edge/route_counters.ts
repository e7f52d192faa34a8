/**
 * Counts by backend and by host name, which come and go with the routes.
 *
 * @module
 */

import type { HttpPolicy } from "../rules/http_policy.ts";
import { Rows } from "./rows.ts";

/** The kinds of policy that block requests; the `type` label of `l7_policy_blocks_total`. */
export const POLICY_TYPES = [
  "block_user_agent",
  "require_header",
  "block_user_agent_any_case",
] as const satisfies readonly HttpPolicy["type"][];

/** Up to how many seconds a dial took, for each bucket but the last. */
export const DIAL_BOUNDS: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5];

/** Likewise of a request, from its head to the end of its answer. */
export const REQUEST_BOUNDS: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** The row of what has none of its own: there may not be more. */
export const OTHER_ROW = 0;

/** The rows of what belongs to a route. */
export interface RouteRows {
  /** Of its backend. */
  readonly backend: number;
  /** Of its host name pattern; {@linkcode OTHER_ROW} where it is one of L4, of whose requests nothing is known. */
  readonly hostname: number;
}

// A row of a backend.
const DIAL_ERRORS = 0;
const DIAL_SUM = 1;
const DIAL_BUCKETS = 2;
const BACKEND_CELLS = DIAL_BUCKETS + DIAL_BOUNDS.length + 1;

/** How many different status codes a thread tells apart for one host name. Few servers give more than a dozen. */
export const CODE_PLACES = 32;

// A row of a host name.
const REQUEST_SUM = 0;
const REQUEST_BUCKETS = 1;
const POLICY_BLOCKS = REQUEST_BUCKETS + REQUEST_BOUNDS.length + 1;
const OTHER_CODES = POLICY_BLOCKS + POLICY_TYPES.length;
const CODES = OTHER_CODES + 1; // pairs of a code and its count, in the order in which they came
const HOSTNAME_CELLS = CODES + 2 * CODE_PLACES;

/** What each writer has. */
export interface RouteMemory {
  readonly backends: SharedArrayBuffer;
  readonly hostnames: SharedArrayBuffer;
}

/** Observed durations. */
export interface DurationCounts {
  /** How many fell into each bucket, the last of which has no bound. */
  readonly buckets: readonly number[];
  readonly count: number;
  /** In seconds. */
  readonly sum: number;
}

/** The counts of one backend at one moment. */
export interface BackendCounts {
  readonly dials: DurationCounts;
  readonly dialErrors: number;
}

/** The counts of one host name at one moment. */
export interface HostnameCounts {
  readonly requests: DurationCounts;
  /** By status code, and those of codes beyond {@linkcode CODE_PLACES} as `other`. */
  readonly codes: ReadonlyMap<number | "other", number>;
  readonly policyBlocks: Readonly<Record<HttpPolicy["type"], number>>;
}

/** What one writer counts into. */
export class RouteCounterWriter {
  readonly #backends: Rows;
  readonly #hostnames: Rows;

  constructor({ backends, hostnames }: RouteMemory) {
    this.#backends = new Rows(BACKEND_CELLS, backends);
    this.#hostnames = new Rows(HOSTNAME_CELLS, hostnames);
  }

  /** Counts a dial that succeeded after so many seconds. */
  dialled(backend: number, seconds: number): void {
    this.#backends.add(backend, DIAL_BUCKETS + bucketOf(DIAL_BOUNDS, seconds), 1);
    this.#backends.add(backend, DIAL_SUM, seconds);
  }

  /** Counts a dial that found no address that answers. */
  dialFailed(backend: number): void {
    this.#backends.add(backend, DIAL_ERRORS, 1);
  }

  /** Counts a request that is over, and how long it took. */
  request(hostname: number, status: number, seconds: number): void {
    this.#hostnames.add(hostname, REQUEST_BUCKETS + bucketOf(REQUEST_BOUNDS, seconds), 1);
    this.#hostnames.add(hostname, REQUEST_SUM, seconds);
    this.#hostnames.add(hostname, this.#codeCell(hostname, status), 1);
  }

  /** Counts a request that a policy refused, beside how it was answered. */
  policyBlock(hostname: number, type: HttpPolicy["type"]): void {
    this.#hostnames.add(hostname, POLICY_BLOCKS + POLICY_TYPES.indexOf(type), 1);
  }

  #codeCell(hostname: number, status: number): number {
    const rows = this.#hostnames;
    for (let cell = CODES; cell < HOSTNAME_CELLS; cell += 2) {
      const code = rows.get(hostname, cell);
      if (code === status) return cell + 1;
      if (code !== 0) continue;
      rows.set(hostname, cell, status);
      return cell + 1;
    }
    return OTHER_CODES;
  }
}

function bucketOf(bounds: readonly number[], seconds: number): number {
  let bucket = 0;
  while (bucket < bounds.length && seconds > (bounds[bucket] ?? 0)) bucket++;
  return bucket;
}

/** Since when: the start of the program, or the last time that the row's name came. */
export type Since = "start" | "return";

/** The counters of all writers: who gives out rows makes room for them, and reads. */
export class RouteCounters {
  readonly memory: readonly RouteMemory[];
  readonly #backends: readonly Rows[];
  readonly #hostnames: readonly Rows[];
  /** What rows had when they began anew, which those who write them cannot be made to forget. */
  readonly #earlier = {
    backend: new Map<number, Earlier>(),
    hostname: new Map<number, Earlier>(),
  };

  /** @param memory That of the same number of writers in another thread; new and empty by default. */
  constructor(writers: number, memory?: readonly RouteMemory[]) {
    const rowsOf = (width: number, kind: keyof RouteMemory) =>
      Array.from({ length: writers }, (_, writer) => new Rows(width, memory?.[writer]?.[kind]));
    this.#backends = rowsOf(BACKEND_CELLS, "backends");
    this.#hostnames = rowsOf(HOSTNAME_CELLS, "hostnames");
    this.memory = memory ?? this.#backends.map(({ memory }, writer) => ({
      backends: memory,
      hostnames: this.#hostnames[writer]?.memory ?? new SharedArrayBuffer(0),
    }));
  }

  /** Makes room for a row that was never used. */
  reserve(kind: keyof RouteRows, row: number): void {
    for (const rows of this.#tables(kind)) rows.reserve(row);
  }

  /** Has a row begin anew; nobody may write it meanwhile. */
  clear(kind: keyof RouteRows, row: number): void {
    this.#earlier[kind].delete(row);
    for (const rows of this.#tables(kind)) rows.clear(row);
  }

  /** Has a row begin anew for those who read it since its `return`, though somebody may write it meanwhile. */
  restart(kind: keyof RouteRows, row: number): void {
    const reading = kind === "backend" ? new BackendReading() : new HostnameReading();
    reading.read(this.#tables(kind), row);
    this.#earlier[kind].set(row, reading.taken());
  }

  /** @param into Is overwritten; by default made anew. */
  backend(row: number, into: BackendReading = new BackendReading(), since: Since = "start"): BackendCounts {
    into.read(this.#backends, row, since === "return" ? this.#earlier.backend.get(row) : undefined);
    return into;
  }

  /** Whether any request was counted for a host name. */
  hasRequests(row: number): boolean {
    return this.#hostnames.some((rows) => rows.get(row, CODES) !== 0);
  }

  /** @param into Is overwritten; by default made anew. */
  hostname(row: number, into: HostnameReading = new HostnameReading(), since: Since = "start"): HostnameCounts {
    into.read(this.#hostnames, row, since === "return" ? this.#earlier.hostname.get(row) : undefined);
    return into;
  }

  #tables(kind: keyof RouteRows): readonly Rows[] {
    return kind === "backend" ? this.#backends : this.#hostnames;
  }
}

/** What a row had at an earlier time. */
interface Earlier {
  readonly cells: Float64Array;
  readonly codes: ReadonlyMap<number | "other", number>;
}

const NO_CODES: Earlier["codes"] = new Map();

/** Sums of cells, one after the other: a scrape makes them for every name there is, while the event loop stands still. */
class Totals {
  readonly cells: Float64Array;

  constructor(cells: number) {
    this.cells = new Float64Array(cells);
  }

  read(tables: readonly Rows[], row: number, earlier: Earlier | undefined): void {
    const { cells } = this;
    cells.fill(0);
    for (let i = 0; i < tables.length; i++) tables[i]?.addTo(row, cells);
    if (earlier === undefined) return;
    for (let i = 0; i < cells.length; i++) cells[i] = (cells[i] ?? 0) - (earlier.cells[i] ?? 0);
  }

  /** Takes durations whose buckets begin at a cell. */
  durations(into: { buckets: number[]; count: number; sum: number }, first: number, length: number, sum: number): void {
    let count = 0;
    for (let i = 0; i < length; i++) count += into.buckets[i] = this.cells[first + i] ?? 0;
    into.count = count;
    into.sum = this.cells[sum] ?? 0;
  }
}

/** The counts of one backend, which may be read again and again into the same place. */
export class BackendReading implements BackendCounts {
  readonly #totals = new Totals(BACKEND_CELLS);
  readonly dials = { buckets: new Array<number>(DIAL_BOUNDS.length + 1).fill(0), count: 0, sum: 0 };
  dialErrors = 0;

  read(tables: readonly Rows[], row: number, earlier?: Earlier): void {
    this.#totals.read(tables, row, earlier);
    this.#totals.durations(this.dials, DIAL_BUCKETS, DIAL_BOUNDS.length + 1, DIAL_SUM);
    this.dialErrors = this.#totals.cells[DIAL_ERRORS] ?? 0;
  }

  /** What was read. */
  taken(): Earlier {
    return { cells: this.#totals.cells.slice(), codes: NO_CODES };
  }
}

/** The counts of one host name, likewise. */
export class HostnameReading implements HostnameCounts {
  readonly #totals = new Totals(CODES);
  readonly requests = { buckets: new Array<number>(REQUEST_BOUNDS.length + 1).fill(0), count: 0, sum: 0 };
  readonly codes = new Map<number | "other", number>();
  readonly policyBlocks = { block_user_agent: 0, require_header: 0, block_user_agent_any_case: 0 };

  read(tables: readonly Rows[], row: number, earlier?: Earlier): void {
    this.#totals.read(tables, row, earlier);
    this.#totals.durations(this.requests, REQUEST_BUCKETS, REQUEST_BOUNDS.length + 1, REQUEST_SUM);
    for (let i = 0; i < POLICY_TYPES.length; i++) {
      const type = POLICY_TYPES[i];
      if (type !== undefined) this.policyBlocks[type] = this.#totals.cells[POLICY_BLOCKS + i] ?? 0;
    }
    this.codes.clear();
    for (let i = 0; i < tables.length; i++) this.#readCodes(tables[i], row);
    const others = this.#totals.cells[OTHER_CODES] ?? 0;
    if (others > 0) this.codes.set("other", others);
    if (earlier === undefined) return;
    for (const [code, count] of earlier.codes) {
      if (code !== "other") this.codes.set(code, (this.codes.get(code) ?? 0) - count);
      if (this.codes.get(code) === 0) this.codes.delete(code);
    }
  }

  /** What was read. */
  taken(): Earlier {
    return { cells: this.#totals.cells.slice(), codes: new Map(this.codes) };
  }

  #readCodes(rows: Rows | undefined, row: number): void {
    if (rows === undefined) return;
    for (let cell = CODES; cell < HOSTNAME_CELLS; cell += 2) {
      const code = rows.get(row, cell);
      if (code === 0) return;
      this.codes.set(code, (this.codes.get(code) ?? 0) + rows.get(row, cell + 1));
    }
  }
}
