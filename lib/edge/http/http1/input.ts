/**
 * What comes in on an HTTP/1.1 connection, and when the peer has to wait.
 *
 * @module
 */

import type { Transport } from "../transport.ts";

/** The most octets of a body that are handed on and not credited. */
export const MAX_OUTSTANDING = 64 * 1024;

/** Makes something of what comes in. */
export interface Http1InputTaker {
  /** What was not taken is the beginning of something, of which more has to come. */
  readonly wantsMore: boolean;
  /**
   * Takes from the start of `bytes` what can be taken now.
   *
   * @param bytes All that has come and was not taken. Valid during the call only.
   * @returns How many octets were taken; 0 where nothing can be for now.
   */
  take(bytes: Uint8Array): number;
  /** The peer sends no more, and all that it sent was offered. */
  inputEnded(): void;
}

const EMPTY = new Uint8Array(0);
const LEAST_CAPACITY = 512;

/**
 * Hands what a transport brings to a taker, and keeps what that cannot take yet: at most the beginning of a head, or
 * what one read of the transport brought, for then it is paused.
 *
 * Octets that can be taken as they come are not copied.
 */
export class Http1Input {
  readonly #transport: Transport;
  readonly #taker: Http1InputTaker;
  /** What waits stands in `#kept[#start .. #end]`. */
  #kept: Uint8Array<ArrayBuffer> = EMPTY;
  #start = 0;
  #end = 0;
  #outstanding = 0;
  /** Half of what may be outstanding has to be credited before more is handed on. */
  #full = false;
  #running = false;
  #paused = false;
  #ended = false;
  #endTold = false;
  #stopped = false;

  constructor(transport: Transport, taker: Http1InputTaker) {
    this.#transport = transport;
    this.#taker = taker;
  }

  /** How many octets were offered and not taken. */
  get waiting(): number {
    return this.#end - this.#start;
  }

  /** How many octets of a body may be handed on. */
  get room(): number {
    return this.#full ? 0 : MAX_OUTSTANDING - this.#outstanding;
  }

  /** The peer has ended, and the taker is yet to hear of it. */
  get ending(): boolean {
    return this.#ended && !this.#endTold;
  }

  received(bytes: Uint8Array): void {
    if (this.#stopped) return;
    if (this.waiting > 0) {
      this.#keep(bytes);
      this.advance();
      return;
    }
    const taken = this.#run(bytes);
    if (this.#stopped) return;
    if (taken < bytes.length) this.#keep(bytes.subarray(taken));
    this.#settle();
  }

  ended(): void {
    this.#ended = true;
    if (!this.#stopped) this.#settle();
  }

  /** So many octets of a body were handed on. */
  handedOn(count: number): void {
    this.#outstanding += count;
    if (this.#outstanding >= MAX_OUTSTANDING) this.#full = true;
  }

  /** So many octets of those that were handed on are dealt with. */
  credit(count: number): void {
    this.#outstanding = Math.max(0, this.#outstanding - count);
    if (!this.#full || this.#outstanding > MAX_OUTSTANDING / 2) return;
    this.#full = false;
    this.advance();
  }

  /** What was handed on belongs to a message that is over: nobody will credit it. */
  forgetOutstanding(): void {
    this.#outstanding = 0;
    this.#full = false;
  }

  /** Offers what waits once more: the taker may have come to take it. */
  advance(): void {
    if (this.#running || this.#stopped) return;
    if (this.waiting > 0) {
      const taken = this.#run(this.#kept.subarray(this.#start, this.#end));
      if (this.#stopped) return;
      this.#start += taken;
    }
    this.#settle();
  }

  /** Takes nothing any more. */
  stop(): void {
    this.#stopped = true;
    this.#kept = EMPTY;
    this.#start = this.#end = 0;
  }

  #run(bytes: Uint8Array): number {
    let at = 0;
    this.#running = true;
    try {
      while (at < bytes.length && !this.#stopped) {
        const taken = this.#taker.take(at === 0 ? bytes : bytes.subarray(at));
        if (taken === 0) break;
        at += taken;
      }
    } finally {
      this.#running = false;
    }
    return at;
  }

  /** An idle connection keeps no buffer. */
  #keep(bytes: Uint8Array): void {
    const length = this.waiting;
    if (this.#end + bytes.length > this.#kept.length) {
      const needed = length + bytes.length;
      const roomier = needed <= this.#kept.length
        ? this.#kept
        : new Uint8Array(Math.max(needed, 2 * this.#kept.length, LEAST_CAPACITY));
      roomier.set(this.#kept.subarray(this.#start, this.#end));
      this.#kept = roomier;
      this.#start = 0;
      this.#end = length;
    }
    this.#kept.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** Pauses or resumes, and tells of the end, after what could be taken was. */
  #settle(): void {
    if (this.waiting === 0) {
      this.#kept = EMPTY;
      this.#start = this.#end = 0;
    }
    const blocked = this.waiting > 0 && !this.#taker.wantsMore;
    if (this.#ended) {
      if (blocked || this.#endTold) return;
      this.#endTold = true;
      this.#taker.inputEnded();
      return;
    }
    const wait = blocked || this.#full;
    if (wait === this.#paused) return;
    this.#paused = wait;
    if (wait) this.#transport.pause();
    else this.#transport.resume();
  }
}
