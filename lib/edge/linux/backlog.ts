/**
 * What was written to a socket and its kernel buffer did not take.
 *
 * @module
 */

import type { BufferPool } from "../buffer_pool.ts";

interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  start: number;
  end: number;
}

/** See the module: bytes in buffers of the worker's pool, in order. */
export class Backlog {
  readonly #pool: BufferPool;
  readonly #chunks: Chunk[] = [];
  #length = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** How many bytes wait. */
  get length(): number {
    return this.#length;
  }

  /** What leaves next: all that stands together. After it was sent in vain, what is given the next time begins with it. */
  get first(): Uint8Array<ArrayBuffer> {
    const chunk = this.#chunks[0];
    return chunk === undefined ? NOTHING : chunk.bytes.subarray(chunk.start, chunk.end);
  }

  /** Copies bytes, to leave behind the others. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const chunk = this.#roomFor(bytes.length - at);
      const part = bytes.subarray(at, at + chunk.bytes.length - chunk.end);
      chunk.bytes.set(part, chunk.end);
      chunk.end += part.length;
      at += part.length;
    }
    this.#length += bytes.length;
  }

  /** Forgets so many bytes of {@linkcode first}, which have left. */
  drop(count: number): void {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return;
    chunk.start += count;
    this.#length -= count;
    if (chunk.start < chunk.end) return;
    this.#chunks.shift();
    this.#pool.give(chunk.bytes);
  }

  /** Gives every buffer back. */
  clear(): void {
    for (const { bytes } of this.#chunks.splice(0)) this.#pool.give(bytes);
    this.#length = 0;
  }

  /** The last chunk, where it has room, else a new one. */
  #roomFor(count: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.end < last.bytes.length) return last;
    const chunk = { bytes: this.#pool.take(count), start: 0, end: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }
}

const NOTHING = new Uint8Array(0);
