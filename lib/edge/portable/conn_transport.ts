/**
 * A `Deno.Conn` as a transport.
 *
 * @module
 */

import type { BufferPool } from "../buffer_pool.ts";
import { messageOf } from "../thrown.ts";
import type { Turn } from "../http/turn.ts";
import { endForFault, type FaultReport, HIGH_WATER, type Transport, type TransportEvents } from "../http/transport.ts";

const RESET = new Error("the connection was reset");

/** See the module. Plain, or TLS as a client. */
export class ConnTransport implements Transport {
  readonly turn: Turn;
  readonly #conn: Deno.Conn;
  readonly #pool: BufferPool;
  readonly #fault: FaultReport;
  #events: TransportEvents | undefined;
  /** What waits to be written, in order. */
  #queue: Uint8Array<ArrayBuffer>[] = [];
  #backlog = 0;
  #writing = false;
  #ending = false;
  #ended = false;
  #shut = false;
  /** Nothing can be sent any more, but there may be something to read. */
  #outputBroken = false;
  #over = false;
  #resumed: PromiseWithResolvers<void> | undefined;

  constructor(turn: Turn, conn: Deno.Conn, pool: BufferPool, fault: FaultReport) {
    this.turn = turn;
    this.#conn = conn;
    this.#pool = pool;
    this.#fault = fault;
  }

  get leavesAtOnce(): boolean {
    return false;
  }

  get backlog(): number {
    return this.#backlog;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    void this.#read(events);
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#over || this.#ending || this.#outputBroken) return;
    this.#queue.push(bytes.slice());
    this.#backlog += bytes.length;
    if (!this.#writing) void this.#drain();
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  end(): void {
    this.#ending = true;
    if (!this.#writing && !this.#outputBroken) void this.#drain();
  }

  destroy(): void {
    if (this.#over) return;
    this.#over = true;
    this.resume();
    this.#conn.close();
  }

  fault(thrown: unknown): void {
    if (this.#over) this.#fault(thrown);
    else endForFault(this, this.#events, this.#fault, thrown);
  }

  async #read(events: TransportEvents): Promise<void> {
    let buffer = this.#pool.take();
    try {
      for (;;) {
        if (this.#resumed !== undefined) {
          const { length } = buffer;
          this.#pool.give(buffer); // whoever is to wait may have to for long
          await this.#resumed.promise;
          buffer = this.#pool.take(length);
        }
        if (this.#over) break;
        const length = await this.#conn.read(buffer);
        if (this.#over) break;
        if (length === null) {
          if (this.#outputBroken) return this.#broken(RESET);
          this.#ended = true;
          this.#contain(() => events.ended());
          this.#closeWhenBothEnded();
          break;
        }
        const bytes = length === buffer.length ? buffer : buffer.subarray(0, length);
        this.#contain(() => events.received(bytes));
        buffer = this.#pool.adapt(buffer, length);
      }
    } catch (error) {
      this.#broken(error);
    } finally {
      this.#pool.give(buffer);
    }
  }

  async #drain(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#queue.length > 0 && !this.#over) {
        const bytes = this.#queue.length === 1 ? this.#queue[0] : joined(this.#queue);
        this.#queue = [];
        await this.#writeAll(bytes ?? new Uint8Array(0));
      }
      if (this.#ending && !this.#over && !this.#shut) {
        this.#shut = true;
        await (this.#conn as Deno.TcpConn).closeWrite();
        this.#closeWhenBothEnded();
      }
    } catch (error) {
      this.#breakOutput(error);
    }
    this.#writing = false;
  }

  /** What was sent before the peer broke off may still be there, and is read first: an answer that ends an upload, say. */
  #breakOutput(error: unknown): void {
    if (this.#over) return;
    if (this.#ended) return this.#broken(error);
    this.#outputBroken = true;
    this.#queue = [];
    this.#backlog = 0;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length && !this.#over;) {
      const written = await this.#conn.write(sent === 0 ? bytes : bytes.subarray(sent));
      sent += written;
      const was = this.#backlog;
      this.#backlog -= written;
      if (was > HIGH_WATER / 2 && this.#backlog <= HIGH_WATER / 2) this.#drained();
    }
    if (this.#backlog === 0) this.#drained();
  }

  #closeWhenBothEnded(): void {
    if (!this.#ended || !this.#shut || this.#over) return;
    this.destroy();
    this.#contain(() => this.#events?.closed(undefined));
  }

  #broken(error: unknown): void {
    if (this.#over) return; // closed by ourselves, which is what the error says
    this.destroy();
    this.#contain(() => this.#events?.closed(messageOf(error)));
  }

  #drained(): void {
    if (!this.#over) this.#contain(() => this.#events?.drained());
  }

  #contain(action: () => void): void {
    try {
      action();
    } catch (thrown) {
      endForFault(this, this.#events, this.#fault, thrown);
    }
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
