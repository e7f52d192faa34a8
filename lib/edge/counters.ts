/**
 * Counts that engines write and the control plane reads, in shared memory.
 *
 * @module
 */

import { RouteCounters, RouteCounterWriter, type RouteMemory } from "./route_counters.ts";

/** Why a connection was refused before it was served; the `reason` label of `connections_rejected_total`. */
export const REJECT_REASONS = [
  /** The listener is at `max_connections`. */
  "max_connections",
  /** No PROXY header where one must be, or one that breaks a rule. */
  "proxy_header_malformed",
  "proxy_header_timeout",
  "blocked_ip",
  "blocked_cidr",
  "blocked_country",
  "rate_limited",
  /** The first bytes are not those of a TLS handshake. */
  "not_tls",
  "hello_malformed",
  "hello_too_large",
  "hello_timeout",
  /** The client left before its PROXY header or ClientHello was whole. */
  "client_gone",
  /** L7: the client and we have no TLS version, cipher or protocol in common, or it broke off. */
  "tls_failed",
  "tls_timeout",
  /** No route matches the server name. */
  "no_route",
  /** The backend's host name has no address. */
  "backend_unresolved",
  "backend_refused",
  "backend_timeout",
  /** The system refused the dial for another reason: no route to the host, no descriptor left. */
  "backend_unreachable",
] as const;

/** See {@linkcode REJECT_REASONS}. */
export type RejectReason = typeof REJECT_REASONS[number];

const REJECTIONS: ReadonlySet<string> = new Set(REJECT_REASONS);

/** Whether a connection that ended so was refused. */
export function isRejection(reason: string): reason is RejectReason {
  return REJECTIONS.has(reason);
}

const ACCEPTED = 0;
const BYTES_IN = 1;
const BYTES_OUT = 2;
const REJECTED = 3;
const CELLS = REJECTED + REJECT_REASONS.length;

/** The counts of one listener at one moment. */
export interface ListenerCounts {
  /** Connections accepted from the kernel, refused ones included. */
  readonly accepted: number;
  /** Open now. */
  readonly active: number;
  /** Client to backend. */
  readonly bytesIn: number;
  /** Backend to client. */
  readonly bytesOut: number;
  /** Reasons that never occurred are left out. */
  readonly rejected: Readonly<Partial<Record<RejectReason, number>>>;
}

/** What threads share to count together. */
export interface CountersMemory {
  readonly listeners: SharedArrayBuffer;
  /** Of each writer. */
  readonly routes: readonly RouteMemory[];
}

/** What one worker counts into. */
export interface CounterWriter {
  /** By backend and host name. */
  readonly routes: RouteCounterWriter;
  /**
   * Counts an accepted connection, and takes a place for it.
   *
   * @param limit The listener's `max_connections`, 0 for none.
   * @returns `false` where the listener is full: the connection is counted as rejected and has no place.
   */
  open(listener: number, limit: number): boolean;
  /** Gives back the place of a connection that is over. */
  close(listener: number): void;
  /** Counts a connection that was refused. */
  reject(listener: number, reason: RejectReason): void;
  /** Counts bytes that were passed on from client to backend. */
  bytesIn(listener: number, bytes: number): void;
  /** Counts bytes that were passed on from backend to client. */
  bytesOut(listener: number, bytes: number): void;
}

/**
 * The counters of every listener, backend and host name, in memory that threads share.
 *
 * A total is a float64 cell for each worker, which has one writer: so it needs no atomic operation, and stays exact up
 * to 2^53. The open connections of a listener are one atomic int32 for all, since a limit must hold across workers;
 * beside it each worker keeps its own share, which is taken off when the worker dies.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const counters = new Counters(1);
 * const writer = counters.writer(0);
 * assert.equal(writer.open(0, 1), true);
 * assert.equal(writer.open(0, 1), false);
 * assert.deepEqual(counters.read(0).rejected, { max_connections: 1 });
 * ```
 */
export class Counters {
  readonly listeners: number;
  readonly workers: number;
  readonly memory: CountersMemory;
  readonly routes: RouteCounters;
  readonly #totals: Float64Array;
  readonly #active: Int32Array;
  readonly #shares: Int32Array;
  #workerFailures = 0;

  /** @param memory That of the same number of listeners and workers in another thread; new and zero by default. */
  constructor(listeners: number, workers = 1, memory?: CountersMemory) {
    const cells = listeners * workers * CELLS;
    const places = listeners * (workers + 1);
    this.listeners = listeners;
    this.workers = workers;
    const shared = memory?.listeners ?? new SharedArrayBuffer(cells * 8 + places * 4);
    this.routes = new RouteCounters(workers, memory?.routes);
    this.memory = { listeners: shared, routes: this.routes.memory };
    this.#totals = new Float64Array(shared, 0, cells);
    this.#active = new Int32Array(shared, cells * 8, listeners);
    this.#shares = new Int32Array(shared, cells * 8 + listeners * 4, listeners * workers);
  }

  /** What worker number `worker` counts into; a worker has one writer at a time. */
  writer(worker: number): CounterWriter {
    const totals = this.#totals;
    const active = this.#active;
    const shares = this.#shares;
    const cells = worker * this.listeners * CELLS;
    const places = worker * this.listeners;
    const add = (listener: number, cell: number, amount: number) => {
      const index = cells + listener * CELLS + cell;
      totals[index] = (totals[index] ?? 0) + amount;
    };
    const reject = (listener: number, reason: RejectReason) =>
      add(listener, REJECTED + REJECT_REASONS.indexOf(reason), 1);
    const routes = this.memory.routes[worker];
    if (routes === undefined) throw new RangeError(`no writer number ${worker}`);
    return {
      routes: new RouteCounterWriter(routes),
      open: (listener, limit) => {
        add(listener, ACCEPTED, 1);
        if (Atomics.add(active, listener, 1) < limit || limit === 0) {
          Atomics.add(shares, places + listener, 1);
          return true;
        }
        Atomics.sub(active, listener, 1);
        reject(listener, "max_connections");
        return false;
      },
      close: (listener) => {
        Atomics.sub(shares, places + listener, 1);
        Atomics.sub(active, listener, 1);
      },
      reject,
      bytesIn: (listener, bytes) => add(listener, BYTES_IN, bytes),
      bytesOut: (listener, bytes) => add(listener, BYTES_OUT, bytes),
    };
  }

  /** How many workers have died. */
  get workerFailures(): number {
    return this.#workerFailures;
  }

  /** Counts a worker that is dead, and gives back its places. */
  abandon(worker: number): void {
    this.#workerFailures++;
    for (let listener = 0; listener < this.listeners; listener++) {
      const share = Atomics.exchange(this.#shares, worker * this.listeners + listener, 0);
      Atomics.sub(this.#active, listener, share);
    }
  }

  /** The counts of one listener, now. */
  read(listener: number): ListenerCounts {
    const rejected: Partial<Record<RejectReason, number>> = {};
    for (const [index, reason] of REJECT_REASONS.entries()) {
      const count = this.#total(listener, REJECTED + index);
      if (count > 0) rejected[reason] = count;
    }
    return {
      accepted: this.#total(listener, ACCEPTED),
      active: Atomics.load(this.#active, listener),
      bytesIn: this.#total(listener, BYTES_IN),
      bytesOut: this.#total(listener, BYTES_OUT),
      rejected,
    };
  }

  #total(listener: number, cell: number): number {
    let total = 0;
    for (let worker = 0; worker < this.workers; worker++) {
      total += this.#totals[(worker * this.listeners + listener) * CELLS + cell] ?? 0;
    }
    return total;
  }
}
