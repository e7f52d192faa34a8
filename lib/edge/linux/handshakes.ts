/**
 * The handshakes of a worker whose next step is due.
 *
 * @module
 */

import type { Libc } from "./libc.ts";

/** A handshake. */
export interface Handshake {
  /** Takes its next step. Contains its own faults. */
  step(): void;
}

/**
 * How long one turn may spend on them, in milliseconds. A first step, with the key exchange and the signature, takes 0.2
 * ms with a key on P-256 and 1 ms with one of RSA-2048, in which no byte of any other connection moves.
 */
const BUDGET_MS = 0.25;

/** See the module. A burst of them shares the worker with the bytes of all other connections. */
export class Handshakes {
  readonly #libc: Libc;
  #waiting: Handshake[] = [];
  #next = 0;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Whether there is one to go on with, which no event will tell of. */
  get areWaiting(): boolean {
    return this.#next < this.#waiting.length;
  }

  add(handshake: Handshake): void {
    this.#waiting.push(handshake);
  }

  /** Goes on with those that have waited longest: one at the least, and others while there is time. */
  run(): void {
    const until = this.#libc.now() + BUDGET_MS;
    do {
      this.#waiting[this.#next++]?.step();
    } while (this.areWaiting && this.#libc.now() < until);
    if (this.areWaiting) return this.#compact();
    this.#waiting.length = 0;
    this.#next = 0;
  }

  /** Drops what has had its step, once that is the larger part. */
  #compact(): void {
    if (this.#next * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}
