/**
 * A stream of bytes both ways, under an HTTP connection.
 *
 * @module
 */

import type { Turn } from "./turn.ts";

/** What a transport tells its owner, never from within a call of the owner. */
export interface TransportEvents {
  /** @param bytes Valid during the call only. */
  received(bytes: Uint8Array): void;
  /** The peer sends no more. */
  ended(): void;
  /** What was written has left, or most of it: more may be written. */
  drained(): void;
  /** It is over. Told once, and not where the owner destroyed it. @param error `undefined` where both sides had ended. */
  closed(error: string | undefined): void;
}

/** Above this many bytes that wait to leave, a connection should write no more than it must. */
export const HIGH_WATER = 128 * 1024;

/**
 * Is told of what was thrown in an event, a time-out or a task of a turn: a fault of ours. The transport is destroyed then, and
 * its owner told that it is closed: whatever is left half-done is that of one connection.
 */
export type FaultReport = (thrown: unknown) => void;

/** See the module. Nothing is told before `start`. */
export interface Transport {
  /** Of the thread that it is in. */
  readonly turn: Turn;
  /** How many bytes were written and have not left. */
  readonly backlog: number;
  /** Whether what is written leaves within the call: then a large body is written piece by piece, not turn by turn. */
  readonly leavesAtOnce: boolean;
  /** Tells `events` from now on. */
  start(events: TransportEvents): void;
  /** Sends bytes, which stay the caller's: what does not leave at once is copied. */
  write(bytes: Uint8Array<ArrayBuffer>): void;
  /** Stops reading, so that the peer has to wait, until `resume`. */
  pause(): void;
  resume(): void;
  /** Sends what waits, and then says that no more comes. */
  end(): void;
  /**
   * Ends it at once. Nothing is told after it.
   *
   * @param isCut What was sent is not whole, and may look so: the peer is told by a reset, where the engine can.
   */
  destroy(isCut?: boolean): void;
  /** Ends it for what was thrown outside of an event, by a time-out or at the end of a turn: see {@linkcode FaultReport}. */
  fault(thrown: unknown): void;
}

/** Ends a transport for a fault of ours. */
export function endForFault(
  transport: Transport,
  events: TransportEvents | undefined,
  report: FaultReport,
  thrown: unknown,
): void {
  report(thrown);
  transport.destroy();
  try {
    events?.closed("a fault of the proxy's own");
  } catch (again) {
    report(again);
  }
}
