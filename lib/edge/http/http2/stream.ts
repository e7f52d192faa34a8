/**
 * One stream of an HTTP/2 connection (RFC 9113 §5.1).
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import { DEFAULT_WINDOW, type ErrorCode } from "../../../wire/http2_frames.ts";
import { ByteQueue } from "../byte_queue.ts";
import { ReceiveWindow } from "./receive_window.ts";
import type { Http2Output } from "./output.ts";
import type { Sender, SendFlow } from "./send_flow.ts";
import type { HttpStream, StreamEvents, StreamFailure } from "../message.ts";

/**
 * What a window may grow to, as long as all that came is dealt with at once: with it grows the rate over a long way, and
 * what a receiver on our other side that stands still can have us hold.
 */
export const MAX_RECEIVE_WINDOW = 512 * 1024;

const RESET_CODES = {
  cancelled: "CANCEL",
  refused: "REFUSED_STREAM",
  internal_error: "INTERNAL_ERROR",
  malformed: "PROTOCOL_ERROR",
} as const;

/** The connection that a stream is one of. */
export interface StreamOwner {
  readonly output: Http2Output;
  readonly sendFlow: SendFlow;
  /** Whether the window of one more stream may grow. */
  readonly streamsMayGrow: boolean;
  /** The window of a stream has grown; by less than nothing where the stream is over. */
  streamGrew(bytes: number): void;
  /** So many bytes are dealt with. */
  credit(bytes: number): void;
  /** Resets a stream. */
  reset(id: number, code: ErrorCode): void;
  /** A stream is over. */
  forget(stream: Http2Stream): void;
}

/** See the module. What both roles have in common. */
export abstract class Http2Stream implements HttpStream, Sender {
  readonly id: number;
  protected readonly connection: StreamOwner;
  sendWindow: number;
  readonly #window = new ReceiveWindow(DEFAULT_WINDOW, DEFAULT_WINDOW);
  /** Came in and is not credited. */
  #outstanding = 0;
  /** How much of the body is to come, where its length was told. */
  #expected: number | undefined;
  /** What cannot leave yet: nothing, of most streams. */
  #queue: ByteQueue | undefined;
  #trailers: FieldList | undefined;
  #ending = false;
  /** Whether we, or the peer, have ended our half. */
  localEnded = false;
  remoteEnded = false;
  /** No event follows. */
  #closed = false;

  constructor(connection: StreamOwner, id: number, sendWindow: number) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = sendWindow;
  }

  protected abstract get receiver(): StreamEvents;

  /** Whether it is over, for us at least. */
  get closed(): boolean {
    return this.#closed;
  }

  get waiting(): number {
    return this.#queue?.length ?? 0;
  }

  sendData(bytes: Uint8Array): void {
    if (this.#closed || this.#ending || bytes.length === 0) return;
    let sent = 0;
    if (this.waiting === 0) {
      sent = this.connection.sendFlow.send(this, bytes);
      if (sent > 0) this.receiver.sent(sent);
      if (sent === bytes.length || this.#closed) return;
    }
    this.#queue ??= new ByteQueue();
    this.#queue.push(bytes.subarray(sent));
    this.connection.sendFlow.wait(this);
  }

  sendTrailers(fields: FieldList): void {
    if (this.#closed || this.#ending) return;
    this.#trailers = fields;
    this.sendEnd();
  }

  sendEnd(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    if (this.waiting === 0) this.#endLocal();
  }

  sendWaiting(): void {
    if (this.#queue === undefined) return;
    const sent = this.connection.sendFlow.sendFrame(this, this.#queue.first);
    this.#queue.drop(sent);
    if (sent > 0) this.receiver.sent(sent);
    if (this.#ending && !this.#closed && this.waiting === 0) this.#endLocal();
  }

  reset(reason: keyof typeof RESET_CODES): void {
    if (this.#closed) return;
    this.connection.reset(this.id, RESET_CODES[reason]);
    this.close();
  }

  credit(bytes: number): void {
    if (this.#closed) return; // all was credited then
    this.#outstanding -= bytes;
    this.connection.credit(bytes);
    if (this.remoteEnded) return;
    const { size } = this.#window;
    const mayGrow = this.#outstanding === 0 && size < MAX_RECEIVE_WINDOW && this.connection.streamsMayGrow;
    const increment = this.#window.credit(bytes, mayGrow ? Math.min(size * 2, MAX_RECEIVE_WINDOW) : size);
    if (increment === 0) return;
    this.connection.streamGrew(this.#window.size - size);
    this.connection.output.windowUpdate(this.id, increment);
  }

  /** So much comes in, padding and all. @returns Whether the window allowed it. */
  takeWindow(bytes: number): boolean {
    this.#outstanding += bytes;
    return this.#window.take(bytes);
  }

  /** Sets how long the body is to be; every octet of it is counted (RFC 9113 §8.1.1). */
  expect(contentLength: number | undefined): void {
    this.#expected = contentLength;
  }

  /** @returns What rule the data broke. */
  receiveData(bytes: Uint8Array): string | undefined {
    if (this.#expected !== undefined) {
      this.#expected -= bytes.length;
      if (this.#expected < 0) return "body_longer_than_content_length";
    }
    this.receiver.data(bytes);
    return undefined;
  }

  /** @returns What rule the end broke. */
  receiveEnd(trailers: FieldList | undefined): string | undefined {
    if (this.#expected !== undefined && this.#expected > 0) return "body_shorter_than_content_length";
    this.remoteEnded = true;
    if (trailers === undefined) this.receiver.end();
    else this.receiver.trailers(trailers);
    this.#closeWhenBothEnded();
    return undefined;
  }

  /** The peer, or the connection, broke off. */
  fail(failure: StreamFailure): void {
    if (this.#closed) return;
    this.close();
    this.receiver.failed(failure);
  }

  /** Is over: the connection forgets it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue?.clear();
    if (this.#outstanding > 0) this.connection.credit(this.#outstanding);
    this.connection.streamGrew(DEFAULT_WINDOW - this.#window.size);
    this.connection.forget(this);
  }

  /** What was sent last ends our half: an answer, say, without a body. */
  protected endedWithHead(): void {
    this.#ending = true;
    this.localEnded = true;
    this.localEnd();
    this.#closeWhenBothEnded();
  }

  /** Our half has ended. */
  protected abstract localEnd(): void;

  #endLocal(): void {
    this.localEnded = true;
    const { output } = this.connection;
    if (this.#trailers === undefined || this.#trailers.length === 0) output.end(this.id);
    else output.headers(this.id, [this.#trailers], true);
    this.localEnd();
    this.#closeWhenBothEnded();
  }

  #closeWhenBothEnded(): void {
    if (this.localEnded && this.remoteEnded) this.close();
  }
}
