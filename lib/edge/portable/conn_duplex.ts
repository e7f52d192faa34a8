/**
 * A `Deno.TcpConn` as a stream of node's, for what is built on those.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";

const READ_LENGTH = 64 * 1024;

/** See the module. It gives the bytes first that were read before. */
export class ConnDuplex extends Duplex {
  readonly #conn: Deno.TcpConn;
  #before: Uint8Array | undefined;
  #held = false;
  /** Something was to be read while nothing was. */
  #wanted = false;
  readonly #buffer = new Uint8Array(READ_LENGTH);
  #leaving = false;

  /** @param before What was read from `conn` already. */
  constructor(conn: Deno.TcpConn, before: Uint8Array) {
    super({ allowHalfOpen: true });
    this.#conn = conn;
    this.#before = before;
  }

  /** Reads no more from the connection, so that the peer has to wait, until `release`: see `tls_source.ts`. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    if (!this.#wanted) return;
    this.#wanted = false;
    void this.#readSome();
  }

  /**
   * Without an error, it lasts for another turn: a TLSSocket of Deno 2.9.6 that fails destroys what is under it first,
   * and writes the alert that tells the peer why then.
   */
  override destroy(error?: Error): this {
    if (error !== undefined) return super.destroy(error);
    if (!this.#leaving) setImmediate(() => super.destroy());
    this.#leaving = true;
    return this;
  }

  override _read(): void {
    if (this.#before !== undefined) {
      const before = this.#before;
      this.#before = undefined;
      // Not in this turn: a TLSSocket that fails before its own first tick throws in it, where nobody can catch that.
      setImmediate(() => {
        if (!this.destroyed) this.push(Buffer.from(before));
      });
    } else if (this.#held) this.#wanted = true;
    else void this.#readSome();
  }

  async #readSome(): Promise<void> {
    try {
      const length = await this.#conn.read(this.#buffer);
      this.push(length === null ? null : Buffer.from(this.#buffer.slice(0, length)));
    } catch (error) {
      this.destroy(asError(error));
    }
  }

  override async _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): Promise<void> {
    try {
      for (let sent = 0; sent < chunk.length;) sent += await this.#conn.write(chunk.subarray(sent));
      done();
    } catch (error) {
      done(asError(error));
    }
  }

  override async _final(done: (error?: Error) => void): Promise<void> {
    try {
      await this.#conn.closeWrite();
      done();
    } catch (error) {
      done(asError(error));
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
    done(error);
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
