/**
 * What a load is, what is measured of it, and the clocks that it is measured by.
 *
 * @module
 */

import type { Poller } from "./libc.ts";
import { readMachineTimes, readProcessSeconds } from "./proc.ts";

/**
 * Loads of HTTP over TLS, the proxy being the end of it:
 *
 * - `h2`: requests over HTTP/2, many at once on each connection.
 * - `h1`: requests over HTTP/1.1, one at a time on each connection.
 * - `grpc`: unary calls, many at once on each connection.
 * - `tls`: every connection makes one request over HTTP/2 and ends; another takes its place.
 * - `body`: every connection downloads over HTTP/2, again and again.
 */
export type HttpLoadKind = "h2" | "h1" | "grpc" | "tls" | "body";

/** What to do, and whom to watch. */
export interface Load {
  /**
   * - `bulk`: every connection downloads without end.
   * - `new`: every connection says hello, reads the answer and ends; another takes its place.
   * - `exchange`: every connection sends a small message and waits for its echo, again and again.
   * - `idle`: every connection makes one such exchange, and then nothing.
   */
  readonly kind: "bulk" | "new" | "exchange" | "idle" | HttpLoadKind;
  /** The port of the proxy. */
  readonly port: number;
  /** The processes of the proxy. */
  readonly pids: readonly number[];
  /** The process of the backend. */
  readonly backendPid: number;
  /** How many are open at once. */
  readonly connections: number;
  /** How many requests are under way at once on a connection of HTTP/2, 1 by default. */
  readonly streams?: number;
  /** How many hosts the proxy has routes for; `new` asks for one after the other. */
  readonly hosts: number;
  /** How long the load runs before it is measured. For `idle`: how long it is left alone before it is. */
  readonly warmUpMs: number;
  /** How long it is measured; not for `idle`. */
  readonly measureMs: number;
}

/** What was measured. */
export interface Measurement {
  /** Bytes, connections, messages or requests, as the load has it. */
  readonly count: number;
  readonly seconds: number;
  /** Of the proxy. */
  readonly cpuSeconds: number;
  /** By how much the proxy's memory has grown, in bytes. */
  readonly memory: number;
  /** The share of the machine's CPU time that the hypervisor kept, 0 to 1. */
  readonly steal: number;
  /** The share of the machine's CPU time that went to other programs than proxy, backend and client, 0 to 1. */
  readonly others: number;
  /** Microseconds from a message to its echo, or a request to its answer: half of them and 99 in 100 at most. */
  readonly latency?: { readonly p50: number; readonly p99: number };
}

const STALL_MS = 10_000;

/** Runs the load, first unmeasured, then measured. */
export function measure(
  load: Load,
  poller: Poller,
  count: () => number,
  onReady: (fd: number) => void,
  onStart: () => void = () => {},
): Measurement {
  const runFor = (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end) poll(poller, onReady);
  };
  runFor(load.warmUpMs);
  onStart();
  const before = count();
  const start = new Moment(load);
  runFor(load.measureMs);
  return start.since(count() - before);
}

/** Waits for what comes next; where nothing does, something is broken. */
export function poll(poller: Poller, onReady: (fd: number) => void): void {
  if (poller.wait(STALL_MS, onReady) === 0) throw new Error(`nothing came from the proxy for ${STALL_MS} ms`);
}

/** All clocks at one moment. */
export class Moment {
  readonly #load: Load;
  readonly #at = performance.now();
  readonly #proxy: number;
  readonly #own: number;
  readonly #machine = readMachineTimes();

  constructor(load: Load) {
    this.#load = load;
    this.#proxy = readProcessSeconds(load.pids);
    this.#own = this.#ownSeconds();
  }

  #ownSeconds(): number {
    return readProcessSeconds([Deno.pid, this.#load.backendPid]);
  }

  /** What went by since then. */
  since(count: number): Measurement {
    const cpuSeconds = readProcessSeconds(this.#load.pids) - this.#proxy;
    const seconds = (performance.now() - this.#at) / 1000;
    const now = readMachineTimes();
    const total = now.total - this.#machine.total;
    const others = now.busy - this.#machine.busy - cpuSeconds - (this.#ownSeconds() - this.#own);
    const steal = now.steal - this.#machine.steal;
    const share = (part: number) => total > 0 ? Math.max(0, part / total) : 0;
    return { count, seconds, cpuSeconds, memory: 0, steal: share(steal), others: share(others) };
  }
}
