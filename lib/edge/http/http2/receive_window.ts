/**
 * What a peer may send, of a stream or a connection (RFC 9113 §5.2).
 *
 * @module
 */

/** See the module. */
export class ReceiveWindow {
  /** What the peer may send before it is told more. */
  #available: number;
  /** What it may send before anything of it is dealt with. */
  #size: number;
  #dealtWith = 0;

  /** @param available What the peer knows of. */
  constructor(available: number, size: number) {
    this.#available = available;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** So much came. @returns Whether it was allowed. */
  take(bytes: number): boolean {
    this.#available -= bytes;
    return this.#available >= 0;
  }

  /**
   * So much is dealt with.
   *
   * @param size What the window may grow to with this.
   * @returns What to tell the peer: 0 until it is worth a frame.
   */
  credit(bytes: number, size: number = this.#size): number {
    this.#dealtWith += bytes;
    if (this.#dealtWith * 2 < this.#size) return 0;
    const increment = this.#dealtWith + size - this.#size;
    this.#size = size;
    this.#dealtWith = 0;
    this.#available += increment;
    return increment;
  }
}
