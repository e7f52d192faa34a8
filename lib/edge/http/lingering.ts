/**
 * The time between our end of a connection and its end.
 *
 * @module
 */

import { startTimer, stopTimer, type Timer } from "../turn.ts";
import type { Transport } from "./transport.ts";

const LINGER_MS = 5000;

/** How much is read of a client that goes on sending: more than the buffers of a connection hold. */
const LINGER_BYTES = 16 * 1024 * 1024;

/**
 * Waits until the peer has read what it was sent, and closes: a connection that is closed while octets come in is
 * reset, and the reset can take away what the peer has not read (RFC 9112 §9.6).
 */
export class Lingering {
  readonly #transport: Transport;
  readonly #ms: number;
  readonly #expired: () => void;
  #timer: Timer | undefined;
  #backlog = 0;
  #dropped = 0;

  /** @param expired Called once, where the peer takes too long, or sends too much. */
  constructor(transport: Transport, ms: number | undefined, expired: () => void) {
    this.#transport = transport;
    this.#ms = ms ?? LINGER_MS;
    this.#expired = expired;
  }

  begin(): void {
    this.#backlog = this.#transport.backlog;
    this.#timer = startTimer(this.#transport.contained(() => this.#check()), this.#ms);
  }

  /** So many octets came that nobody reads. */
  drop(bytes: number): void {
    this.#dropped += bytes;
    if (this.#dropped > LINGER_BYTES) this.#expired();
  }

  stop(): void {
    stopTimer(this.#timer);
  }

  /** A slow reader has time as long as it reads. */
  #check(): void {
    const { backlog } = this.#transport;
    if (backlog < this.#backlog) this.begin();
    else this.#expired();
  }
}
