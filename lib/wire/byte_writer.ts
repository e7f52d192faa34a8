/**
 * Octets that grow as they are written.
 *
 * @module
 */

const MIN_CAPACITY = 64;

/** A buffer that is written from its start and grows by doubling. */
export class ByteWriter {
  /** What is written, in its first `length` octets. */
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `count` more octets. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length, MIN_CAPACITY));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  octet(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  put(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Writes a text whose every character is one octet. */
  latin1(text: string): void {
    this.reserve(text.length);
    const { bytes, length } = this;
    for (let i = 0; i < text.length; i++) bytes[length + i] = text.charCodeAt(i);
    this.length = length + text.length;
  }

  clear(): void {
    this.length = 0;
  }

  /** What was written, as a view that the next write may change. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }

  /** A copy of what was written, which is forgotten. */
  taken(): Uint8Array<ArrayBuffer> {
    const written = this.bytes.slice(0, this.length);
    this.length = 0;
    return written;
  }
}
