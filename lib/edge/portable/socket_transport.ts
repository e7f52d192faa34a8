/**
 * A socket of node:tls as a transport.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import type { ByteCounting } from "../http/client_tls.ts";
import type { Turn } from "../http/turn.ts";
import type { TlsSource } from "./tls_source.ts";
import { endForFault, type FaultReport, type Transport, type TransportEvents } from "../http/transport.ts";

/** See the module. The socket's `error` events are taken from the moment of construction. */
export class SocketTransport implements Transport {
  readonly turn: Turn;
  readonly #socket: Duplex;
  readonly #source: TlsSource;
  readonly #counting: ByteCounting;
  readonly #fault: FaultReport;
  bytesRead = 0;
  bytesWritten = 0;
  #events: TransportEvents | undefined;
  #error: string | undefined;
  /** The TLS library has given up: nothing that it read or would write counts any more. */
  #isBroken = false;
  #destroyed = false;

  /**
   * @param socket With `allowHalfOpen`, and nothing read from it.
   * @param source What is under it.
   */
  constructor(turn: Turn, socket: Duplex, source: TlsSource, counting: ByteCounting, fault: FaultReport) {
    this.turn = turn;
    this.#socket = socket;
    this.#source = source;
    this.#counting = counting;
    this.#fault = fault;
    socket.on("error", (error: Error) => this.#error ??= error.message);
    socket.on("close", () => this.#closed());
    // Behind the handshake node:tls tells by this alone of a record that is forged or none, and of the peer's alert.
    socket.on("_tlsError", (error: Error) => this.#broken(error.message));
  }

  get leavesAtOnce(): boolean {
    return false;
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.#socket.on("data", (bytes: Uint8Array) => {
      if (this.#destroyed || this.#isBroken) return;
      this.bytesRead += bytes.length;
      this.#counting.read(bytes.length);
      this.#contain(() => events.received(bytes));
    });
    this.#socket.on("end", () => {
      if (!this.#destroyed && !this.#isBroken) this.#contain(() => events.ended());
    });
    this.#socket.on("drain", () => {
      if (!this.#destroyed) this.#contain(() => events.drained());
    });
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#destroyed || this.#isBroken || !this.#socket.writable) return;
    this.bytesWritten += bytes.length;
    this.#counting.written(bytes.length);
    this.#socket.write(bytes.slice());
  }

  pause(): void {
    this.#socket.pause();
    if (!this.#destroyed) this.#source.hold();
  }

  resume(): void {
    if (!this.#destroyed) this.#source.release();
    this.#socket.resume();
  }

  end(): void {
    if (!this.#destroyed && !this.#isBroken) this.#socket.end();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#socket.destroy();
  }

  fault(thrown: unknown): void {
    if (this.#destroyed) this.#fault(thrown);
    else endForFault(this, this.#events, this.#fault, thrown);
  }

  /** The library writes its alert when it has told of the error: the socket closes behind it. */
  #broken(error: string): void {
    if (this.#destroyed || this.#isBroken) return;
    this.#isBroken = true;
    this.#error ??= error;
    this.turn.atNextEnd({ endTurn: () => this.#socket.destroy() });
  }

  #closed(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#contain(() => this.#events?.closed(this.#error));
  }

  #contain(action: () => void): void {
    try {
      action();
    } catch (thrown) {
      endForFault(this, this.#events, this.#fault, thrown);
    }
  }
}
