/**
 * A connection as a stream of node's, for what is built on those.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";

const READ_LENGTH = 16 * 1024;

/**
 * See the module. It reads no more than its reader wants; to destroy it closes the connection, whose descriptor is free
 * once "close" is told. "left" is told when the peer has closed its side.
 */
export class ConnStream extends Duplex {
  readonly #conn: Deno.Conn;
  readonly #filter: (bytes: Uint8Array) => Uint8Array;
  readonly #buffer = new Uint8Array(READ_LENGTH);
  #reading: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();

  /** @param filter What is to be seen of the bytes that came. */
  constructor(conn: Deno.Conn, filter: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes) {
    super({ allowHalfOpen: true });
    this.#conn = conn;
    this.#filter = filter;
  }

  override _read(): void {
    this.#reading = this.#readSome().catch((error) => void this.destroy(asError(error)));
  }

  async #readSome(): Promise<void> {
    for (;;) {
      const length = await this.#conn.read(this.#buffer);
      if (length === null) {
        this.emit("left");
        this.push(null);
        return;
      }
      const seen = this.#filter(this.#buffer.subarray(0, length));
      if (seen.length === 0) continue;
      this.push(Buffer.from(seen)); // a copy
      return;
    }
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#writing = this.#writeAll(chunk).then(() => done(), (error) => done(asError(error)))
      .catch((error) => void this.destroy(asError(error))); // a fault of who was told
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
  }

  override _final(done: (error?: Error) => void): void {
    this.#conn.closeWrite().then(() => done(), (error) => done(asError(error)))
      .catch((error) => this.destroy(asError(error)));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
    // Until then the system has it open.
    void Promise.allSettled([this.#reading, this.#writing]).then(() => done(error));
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
