/**
 * A transport in memory, for tests: its peer is the test.
 *
 * @module
 */

import { HIGH_WATER, type Transport, type TransportEvents } from "../transport.ts";
import type { Deadlines } from "../../deadlines.ts";
import { TimedDeadlines } from "../../timed_deadlines.ts";
import type { Turn, TurnTask } from "../turn.ts";

/** Ends with the microtasks of a turn of the event loop. */
export class FakeTurn implements Turn {
  readonly deadlines: Deadlines;
  #stoppedAt: number | undefined;

  /** @param deadlines By default they expire by themselves. */
  constructor(deadlines: Deadlines = new TimedDeadlines()) {
    this.deadlines = deadlines;
  }

  get now(): number {
    return this.#stoppedAt ?? performance.now();
  }

  /** Lets so many milliseconds pass, and no more until the next call. */
  pass(ms: number): void {
    this.#stoppedAt = Math.floor(this.now) + ms;
  }

  atEnd(task: TurnTask): void {
    queueMicrotask(() => task.endTurn());
  }

  atNextEnd(task: TurnTask): void {
    setTimeout(() => task.endTurn());
  }
}

/** The text's characters, one octet each. */
export function octets(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Each octet as one character. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return text;
}

/** Lets everything run that is due in this turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** See the module. What the peer sends while the transport is paused waits, as in a network. */
export class FakeTransport implements Transport {
  readonly turn: FakeTurn;
  readonly leavesAtOnce = true;
  backlog = 0;
  isPaused = false;
  /** Ended by the connection. */
  isEnded = false;
  /** Destroyed by the connection. */
  isDestroyed = false;
  /** What the connection wrote, a write each. */
  readonly writes: string[] = [];
  #events: TransportEvents | undefined;
  #isStalled = false;
  #hasPeerEnded = false;
  #isClosed = false;
  #unread: Uint8Array[] = [];

  constructor(turn: FakeTurn = new FakeTurn()) {
    this.turn = turn;
  }

  /** What the connection wrote. */
  get written(): string {
    return this.writes.join("");
  }

  /** How many octets the peer has sent and the connection not read. */
  get unread(): number {
    return this.#unread.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  start(events: TransportEvents): void {
    this.#events = events;
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.isEnded || this.isDestroyed) return;
    this.writes.push(latin1(bytes));
    if (this.#isStalled) this.backlog += bytes.length;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    queueMicrotask(() => this.#deliver());
  }

  end(): void {
    this.isEnded = true;
    queueMicrotask(() => this.#closeIfEnded());
  }

  destroy(): void {
    if (!this.#isClosed) this.isDestroyed = true;
  }

  fault(thrown: unknown): void {
    throw thrown;
  }

  // What the peer does.

  /** The peer sends octets. */
  receive(bytes: string | Uint8Array): void {
    this.#unread.push(typeof bytes === "string" ? octets(bytes) : bytes);
    this.#deliver();
  }

  /** The peer ends its side. */
  receiveEnd(): void {
    this.#hasPeerEnded = true;
    if (!this.isDestroyed) this.#events?.ended();
    this.#closeIfEnded();
  }

  /** The connection breaks. */
  lose(error: string): void {
    this.#close(error);
  }

  /** The peer reads nothing any more: what is written from now on waits. */
  stall(): void {
    this.#isStalled = true;
  }

  /** The peer reads all that waits. */
  drain(): void {
    const wasFull = this.backlog >= HIGH_WATER;
    this.backlog = 0;
    if (wasFull && !this.isDestroyed) this.#events?.drained();
    this.#closeIfEnded();
  }

  #deliver(): void {
    while (!this.isPaused && !this.isDestroyed) {
      const bytes = this.#unread.shift();
      if (bytes === undefined) return;
      // What was received is valid during the call only: a connection that keeps it finds it overwritten.
      const lent = bytes.slice();
      this.#events?.received(lent);
      lent.fill(0x21);
    }
  }

  #closeIfEnded(): void {
    if (this.isEnded && this.#hasPeerEnded && this.backlog === 0) this.#close(undefined);
  }

  #close(error: string | undefined): void {
    if (this.#isClosed || this.isDestroyed) return;
    this.#isClosed = true;
    this.#events?.closed(error);
  }
}
