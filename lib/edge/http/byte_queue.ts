/**
 * Octets that wait to be sent.
 *
 * @module
 */

/** The first buffer is no smaller, and those behind it grow up to the second. */
const MIN_BUFFER = 256;
const MAX_BUFFER = 16 * 1024;

/**
 * See the module. Pieces are copied one behind the other into larger buffers: of one octet each, they would cost a
 * hundred times what they hold, and how small they are is up to a peer.
 */
export class ByteQueue {
  readonly #buffers: Uint8Array[] = [];
  /** Where the first buffer's octets begin, and where the last one's end. */
  #start = 0;
  #end = 0;
  #length = 0;

  /** How many octets wait. */
  get length(): number {
    return this.#length;
  }

  /** How many octets its buffers take. */
  get capacity(): number {
    return this.#buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  }

  push(bytes: Uint8Array): void {
    const last = this.#buffers.at(-1);
    let taken = 0;
    if (last !== undefined) {
      taken = Math.min(bytes.length, last.length - this.#end);
      last.set(bytes.subarray(0, taken), this.#end);
      this.#end += taken;
    }
    this.#length += bytes.length;
    if (taken === bytes.length) return;
    const rest = bytes.subarray(taken);
    const size = last === undefined ? MIN_BUFFER : Math.min(2 * last.length, MAX_BUFFER);
    const buffer = new Uint8Array(Math.max(size, rest.length));
    buffer.set(rest);
    this.#buffers.push(buffer);
    this.#end = rest.length;
  }

  /** The first octets, as many as are in one piece; none where none wait. */
  get first(): Uint8Array {
    const buffer = this.#buffers[0];
    if (buffer === undefined) return new Uint8Array(0);
    return buffer.subarray(this.#start, this.#buffers.length === 1 ? this.#end : buffer.length);
  }

  /** Drops so many of `first`. */
  drop(count: number): void {
    this.#start += count;
    this.#length -= count;
    const end = this.#buffers.length === 1 ? this.#end : this.#buffers[0]?.length;
    if (this.#start !== end) return;
    this.#buffers.shift();
    this.#start = 0;
  }

  clear(): void {
    this.#buffers.length = 0;
    this.#start = this.#end = this.#length = 0;
  }
}
