/**
 * Counts that engines write and the control plane reads, in shared memory.
 *
 * @module
 */

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

/**
 * The counters of every listener.
 *
 * A total is a float64 cell that has one writer, so it needs no atomic operation and stays exact up to 2^53; the open
 * connections of a listener are an atomic int32, since a limit must hold across all that accept for it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const counters = new Counters(1);
 * assert.equal(counters.open(0, 1), true);
 * assert.equal(counters.open(0, 1), false);
 * assert.deepEqual(counters.read(0).rejected, { max_connections: 1 });
 * ```
 */
export class Counters {
  readonly #totals: Float64Array;
  readonly #active: Int32Array;

  /** @param listeners How many listeners there are. */
  constructor(listeners: number) {
    this.#totals = new Float64Array(new SharedArrayBuffer(listeners * CELLS * 8));
    this.#active = new Int32Array(new SharedArrayBuffer(listeners * 4));
  }

  /**
   * Counts an accepted connection, and takes a place for it.
   *
   * @param limit The listener's `max_connections`, 0 for none.
   * @returns `false` where the listener is full: the connection is counted as rejected and has no place.
   */
  open(listener: number, limit: number): boolean {
    this.#add(listener, ACCEPTED, 1);
    if (Atomics.add(this.#active, listener, 1) < limit || limit === 0) return true;
    Atomics.sub(this.#active, listener, 1);
    this.reject(listener, "max_connections");
    return false;
  }

  /** Gives back the place of a connection that is over. */
  close(listener: number): void {
    Atomics.sub(this.#active, listener, 1);
  }

  /** Counts a connection that was refused. */
  reject(listener: number, reason: RejectReason): void {
    this.#add(listener, REJECTED + REJECT_REASONS.indexOf(reason), 1);
  }

  /** Counts bytes that were passed on from client to backend. */
  bytesIn(listener: number, bytes: number): void {
    this.#add(listener, BYTES_IN, bytes);
  }

  /** Counts bytes that were passed on from backend to client. */
  bytesOut(listener: number, bytes: number): void {
    this.#add(listener, BYTES_OUT, bytes);
  }

  /** The counts of one listener, now. */
  read(listener: number): ListenerCounts {
    const base = listener * CELLS;
    const rejected: Partial<Record<RejectReason, number>> = {};
    for (const [index, reason] of REJECT_REASONS.entries()) {
      const count = this.#totals[base + REJECTED + index] ?? 0;
      if (count > 0) rejected[reason] = count;
    }
    return {
      accepted: this.#totals[base + ACCEPTED] ?? 0,
      active: Atomics.load(this.#active, listener),
      bytesIn: this.#totals[base + BYTES_IN] ?? 0,
      bytesOut: this.#totals[base + BYTES_OUT] ?? 0,
      rejected,
    };
  }

  #add(listener: number, cell: number, amount: number): void {
    const index = listener * CELLS + cell;
    this.#totals[index] = (this.#totals[index] ?? 0) + amount;
  }
}
