/**
 * Read buffers that are used again.
 *
 * @module
 */

/** The sizes that there are, in bytes. */
const SIZES = [4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024] as const;

/** How many bytes of each size are kept for later use at the most. */
const KEPT_BYTES = 8 * 1024 * 1024;

/**
 * A pool of buffers of 4, 16, 64 and 256 KiB.
 *
 * A connection starts with 4 KiB and gets more when reads fill what it has: against fixed 64 KiB buffers this moves
 * more bytes a second, and an idle connection costs a sixteenth of the memory.
 */
export class BufferPool {
  readonly #free: Uint8Array<ArrayBuffer>[][] = SIZES.map(() => []);

  /** Takes a buffer of at least `bytes`, or of the largest size there is; what is in it is left from its last use. */
  take(bytes = 0): Uint8Array<ArrayBuffer> {
    const fitting = SIZES.findIndex((size) => size >= bytes);
    const index = fitting < 0 ? SIZES.length - 1 : fitting;
    return this.#free[index]?.pop() ?? new Uint8Array(SIZES[index] ?? 0);
  }

  /** Gives back a buffer that nothing reads or writes any more. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    const free = this.#free[SIZES.findIndex((size) => size === buffer.length)];
    if (free !== undefined && free.length * buffer.length < KEPT_BYTES) free.push(buffer);
  }

  /**
   * Chooses the buffer for the next read by what the last one brought: the next larger size when it was filled, the
   * next smaller when less than a sixteenth of it was used.
   */
  adapt(buffer: Uint8Array<ArrayBuffer>, used: number): Uint8Array<ArrayBuffer> {
    const smallest = SIZES[0];
    const largest = SIZES[SIZES.length - 1];
    let size = buffer.length;
    if (used === buffer.length && buffer.length !== largest) size = buffer.length * 4;
    else if (used * 16 < buffer.length && buffer.length !== smallest) size = buffer.length / 4;
    if (size === buffer.length) return buffer;
    this.give(buffer);
    return this.take(size);
  }
}
