/**
 * What a load is, what is measured of it, and the clocks that it is measured by.
 *
 * @module
 */

import type { Poller } from "./libc.ts";
import { readMachineTimes, readMemory, readProcessSeconds } from "./proc.ts";

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

/** TLS handshakes that go on beside a load. */
export interface Handshakes {
  /** The port of the proxy that ends TLS. */
  readonly port: number;
  /** How many are begun in a second; fewer where they take longer than that. */
  readonly perSecond: number;
}

/** What to do, and whom to watch. */
export interface Load {
  /**
   * - `bulk`: every connection downloads without end.
   * - `new`: every connection says hello, reads the answer and ends; another takes its place.
   * - `exchange`: every connection sends a small message and waits for its echo, again and again.
   * - `idle`: every connection makes one such exchange, and then nothing.
   * - `idle-tls`: every connection makes a TLS handshake, exchanges SETTINGS of HTTP/2, and then nothing.
   * - `paced`: every connection sends a small message at its time, again and again, and waits for its echo.
   */
  readonly kind: "bulk" | "new" | "exchange" | "idle" | "idle-tls" | "paced" | HttpLoadKind;
  /** The port of the proxy. */
  readonly port: number;
  /** The processes of the proxy. */
  readonly pids: readonly number[];
  /** The processes of the backends. */
  readonly backendPids: readonly number[];
  /** How many are open at once. */
  readonly connections: number;
  /** How many requests are under way at once on a connection of HTTP/2, 1 by default. */
  readonly streams?: number;
  /** How many hosts the proxy has routes for; `new` asks for one after the other. */
  readonly hosts: number;
  /** How long the load runs before it is measured. Of idle connections: how long they are left alone before they are. */
  readonly warmUpMs: number;
  /** How long it is measured; not for `idle` and `idle-tls`. */
  readonly measureMs: number;
  /** What goes on beside `paced`, if anything. */
  readonly handshakes?: Handshakes;
}

/** What was measured. */
export interface Measurement {
  /** Bytes, connections, messages or requests, as the load has it. */
  readonly count: number;
  /** Those before the measured time included. */
  readonly total: number;
  readonly seconds: number;
  /** Of the proxy. */
  readonly cpuSeconds: number;
  /** By how much the proxy's memory (PSS) has grown, in bytes; 0 where the load is not idle. */
  readonly memory: number;
  /** The proxy's resident memory (RSS) at the end, in bytes; 0 where the load is not idle. */
  readonly resident: number;
  /** The share of the machine's CPU time that the hypervisor kept, 0 to 1. */
  readonly steal: number;
  /** The share of the machine's CPU time that went to other programs than proxy, backend and client, 0 to 1. */
  readonly others: number;
  /** Microseconds from a message to its echo, or a request to its answer: half of them and 99 in 100 at most. */
  readonly latency?: { readonly p50: number; readonly p99: number };
  /** What the first handshake of the client led to, where it speaks TLS. */
  readonly tls?: string;
  /** How many handshakes were done beside the load, where there were any. */
  readonly handshakes?: number;
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
  const total = count();
  return { ...start.since(total - before), total };
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
    return readProcessSeconds([Deno.pid, ...this.#load.backendPids]);
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
    return {
      count,
      total: count,
      seconds,
      cpuSeconds,
      memory: 0,
      resident: 0,
      steal: share(steal),
      others: share(others),
    };
  }
}

/** What is done with connections that are then left alone. */
export interface IdleConnections {
  /** Opens one, and waits until it is idle. */
  open(): number;
  close(fd: number): void;
}

/** Connections that a proxy serves one by one, so that what it sets up once is there before its memory is read. */
const WARM_UP_CONNECTIONS = 200;

/** Opens connections one by one and leaves them alone: what the proxy's memory grows by is theirs. */
export function measureIdle(load: Load, { open, close }: IdleConnections): Measurement {
  for (let i = 0; i < WARM_UP_CONNECTIONS; i++) close(open());
  sleep(load.warmUpMs);
  const before = readMemory(load.pids);
  const start = new Moment(load);
  for (let i = 0; i < load.connections; i++) open();
  sleep(load.warmUpMs);
  const { proportional, resident } = readMemory(load.pids);
  return { ...start.since(load.connections), memory: proportional - before.proportional, resident };
}

/** Blocks: the client has nothing else to do. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
