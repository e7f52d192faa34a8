/**
 * What the engine and its workers tell each other.
 *
 * @module
 */

import type { EdgeChange } from "../change.ts";
import type { CountersMemory } from "../counters.ts";
import type { SuppressedLines } from "../engine.ts";
import type { EdgeSnapshot } from "../snapshot.ts";
import type { LinesReport } from "./reports.ts";

/** What a worker is given to begin with. */
export interface WorkerSetup {
  /** Its number, from 0. */
  readonly index: number;
  readonly snapshot: EdgeSnapshot;
  /** Its listening sockets, those of each listener in the order of the snapshot. */
  readonly listeners: readonly (readonly number[])[];
  /** Whether it accepts from the start, or once it is told to. */
  readonly accepts: boolean;
  /** The eventfd that says that there is a message. */
  readonly wakeFd: number;
  readonly shared: SharedMemory;
}

/** What all threads read and write. */
export interface SharedMemory {
  /** How many write into the counters. */
  readonly writers: number;
  /** Of `Counters`. */
  readonly counters: CountersMemory;
  /** The worker that owns each descriptor, its number plus one as an uint16; 0: none. */
  readonly owners: SharedArrayBuffer;
  /** Of `RateLimiter`, where there is a limit. */
  readonly rates: SharedArrayBuffer | undefined;
}

/** From the engine to a worker; each is followed by a wake of its eventfd. */
export type ToWorker =
  | { readonly kind: "change"; readonly sequence: number; readonly changes: readonly EdgeChange[] }
  /** Begin to accept. */
  | { readonly kind: "accept" }
  /** Accept from these sockets of a listener that had none, by its place in the snapshot, once the others accept. */
  | { readonly kind: "listen"; readonly listener: number; readonly fds: readonly number[] }
  /** Stop accepting; `takesQueued`: what waits to be accepted is taken first. */
  | { readonly kind: "stop"; readonly takesQueued: boolean }
  /** End every connection. */
  | { readonly kind: "abort" }
  /** End the worker; sent when it has no connection left. */
  | { readonly kind: "exit" };

/** From a worker to the engine. */
export type FromWorker =
  /** It hears messages. */
  | { readonly kind: "ready" }
  | { readonly kind: "accepting" }
  | { readonly kind: "acknowledged"; readonly sequence: number }
  /** It accepts no more. */
  | { readonly kind: "stopped" }
  /** It accepts no more and has no connection left. */
  | { readonly kind: "drained" }
  | LinesReport
  | { readonly kind: "suppressed"; readonly lines: readonly SuppressedLines[] }
  | { readonly kind: "dial_failed"; readonly backend: string }
  | { readonly kind: "accept_failed"; readonly listener: string; readonly reason: string }
  | { readonly kind: "accept_recovered"; readonly listener: string }
  | { readonly kind: "internal_error"; readonly stack: string }
  /** It is dead. */
  | { readonly kind: "failed"; readonly stack: string };
