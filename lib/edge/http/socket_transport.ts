/**
 * A socket of node:net or node:tls as a transport.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import type { Transport, TransportEvents } from "./transport.ts";

/** Counts what passes, as it does. */
export interface Counting {
  read(bytes: number): void;
  written(bytes: number): void;
}

/** See the module. The socket's `error` events are taken from the moment of construction. */
export class SocketTransport implements Transport {
  readonly #socket: Duplex;
  readonly #counting: Counting;
  bytesRead = 0;
  bytesWritten = 0;
  #events: TransportEvents | undefined;
  #error: string | undefined;
  #destroyed = false;

  /** @param socket With `allowHalfOpen`, and nothing read from it. */
  constructor(socket: Duplex, counting: Counting) {
    this.#socket = socket;
    this.#counting = counting;
    socket.on("error", (error: Error) => this.#error ??= error.message);
    socket.on("close", () => this.#closed());
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.#socket.on("data", (bytes: Uint8Array) => {
      if (this.#destroyed) return;
      this.bytesRead += bytes.length;
      this.#counting.read(bytes.length);
      events.received(bytes);
    });
    this.#socket.on("end", () => {
      if (!this.#destroyed) events.ended();
    });
    this.#socket.on("drain", () => {
      if (!this.#destroyed) events.drained();
    });
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#destroyed || !this.#socket.writable) return;
    this.bytesWritten += bytes.length;
    this.#counting.written(bytes.length);
    this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (!this.#destroyed) this.#socket.end();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#events?.closed(this.#error);
  }
}
