/**
 * A thread that uses a shared rate limiter as fast as it can, at one moment of its clock.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { ipv4 } from "../../wire/ip_address.ts";
import { RateLimiter, type RateLimiterOptions } from "../rate_limiter.ts";

/** What a worker is sent, once. */
export interface Task {
  readonly options: RateLimiterOptions;
  /** Sources 10.0.0.0, 10.0.0.1 and so on, in turn. */
  readonly sources: number;
  /** Calls for each source. */
  readonly attempts: number;
  /** One word: how many threads have come to the gate. They go through together when there are `threads` of them. */
  readonly gate: Int32Array<SharedArrayBuffer>;
  readonly threads: number;
}

/** How many of the calls were allowed, by source: what a worker sends back, once. */
export type Allowed = readonly number[];

function passGate(gate: Int32Array<SharedArrayBuffer>, threads: number): void {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  for (let come = Atomics.load(gate, 0); come < threads; come = Atomics.load(gate, 0)) Atomics.wait(gate, 0, come);
}

self.onmessage = ({ data }: MessageEvent<Task>) => {
  const { options, sources, attempts, gate, threads } = data;
  const limiter = new RateLimiter(options);
  const ips = Array.from({ length: sources }, (_, n) => ipv4(10, 0, 0, n));
  const allowed = ips.map(() => 0);
  passGate(gate, threads);
  for (let attempt = 0; attempt < attempts; attempt++) {
    for (const [n, ip] of ips.entries()) if (limiter.allow(ip, 0)) allowed[n] = (allowed[n] ?? 0) + 1;
  }
  self.postMessage(allowed satisfies Allowed);
};
