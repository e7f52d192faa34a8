/**
 * The time between our end of a connection and its end.
 *
 * @module
 */

import type { Expirable } from "../deadlines.ts";
import type { Transport } from "./transport.ts";

const LINGER_MS = 5000;

/** How much is read of a client that goes on sending: more than the buffers of a connection hold. */
const LINGER_BYTES = 16 * 1024 * 1024;

/**
 * Waits until the peer has read what it was sent, and closes: a connection that is closed while octets come in is
 * reset, and the reset can take away what the peer has not read (RFC 9112 §9.6).
 */
export class Lingering implements Expirable {
  readonly #transport: Transport;
  readonly #ms: number;
  readonly #expired: () => void;
  deadline = 0;
  slot = -1;
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
    this.#transport.turn.deadlines.set(this, this.#ms);
  }

  /** So many octets came that nobody reads. */
  drop(bytes: number): void {
    this.#dropped += bytes;
    if (this.#dropped > LINGER_BYTES) this.#expired();
  }

  stop(): void {
    this.#transport.turn.deadlines.clear(this);
  }

  /** A slow reader has time as long as it reads. */
  expire(): void {
    try {
      if (this.#transport.backlog < this.#backlog) this.begin();
      else this.#expired();
    } catch (thrown) {
      this.#transport.fault(thrown);
    }
  }
}
