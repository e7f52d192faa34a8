/**
 * One stream of an HTTP/2 connection (RFC 9113 §5.1).
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import { DEFAULT_WINDOW } from "../../wire/http2_frames.ts";
import type { HttpStream, StreamEvents, StreamFailure } from "./message.ts";
import type { Http2Connection } from "./http2_connection.ts";

/** The largest receive window of a stream: what a receiver on our other side that stands still can have us hold. */
const MAX_RECEIVE_WINDOW = 512 * 1024;

/** See the module. What both roles have in common. */
export abstract class Http2Stream implements HttpStream {
  readonly id: number;
  protected readonly connection: Http2Connection;
  /** What the peer lets us send; negative after it lowered its initial window (§6.9.2). */
  sendWindow: number;
  /** What we let the peer send. */
  receiveWindow = DEFAULT_WINDOW;
  /** What the window is filled up to. It grows as long as what comes is taken at once: with it the rate over a long way. */
  #windowSize = DEFAULT_WINDOW;
  /** Came in and is not credited. */
  outstanding = 0;
  #consumed = 0;
  /** How much of the body is to come, where its length was told. */
  #expected: number | undefined;
  #queue: Uint8Array<ArrayBuffer>[] = [];
  /** How much of the first chunk of the queue has been sent. */
  #queueStart = 0;
  #trailers: FieldList | undefined;
  #ending = false;
  /** Whether we, or the peer, have ended our half. */
  localEnded = false;
  remoteEnded = false;
  /** No event follows. */
  #closed = false;

  constructor(connection: Http2Connection, id: number, sendWindow: number) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = sendWindow;
  }

  protected abstract get receiver(): StreamEvents;

  /** Whether it is over, for us at least. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether something waits to be sent. */
  get waiting(): boolean {
    return this.#queue.length > 0 || (this.#ending && !this.localEnded);
  }

  sendData(bytes: Uint8Array): void {
    if (this.#closed || this.#ending || bytes.length === 0) return;
    let sent = 0;
    if (this.#queue.length === 0) {
      sent = this.connection.writeData(this, bytes);
      if (sent > 0) this.receiver.sent(sent);
      if (sent === bytes.length || this.#closed) return;
    }
    this.#queue.push(bytes.slice(sent));
    this.connection.waitToSend(this);
  }

  sendTrailers(fields: FieldList): void {
    if (this.#closed || this.#ending) return;
    this.#trailers = fields;
    this.sendEnd();
  }

  sendEnd(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    if (this.#queue.length === 0) this.#endLocal();
  }

  /**
   * Sends one frame of what waits.
   *
   * @returns Whether it can go on at once.
   */
  pump(): boolean {
    const first = this.#queue[0];
    if (first === undefined) {
      if (this.#ending && !this.localEnded) this.#endLocal();
      return false;
    }
    const sent = this.connection.writeFrame(this, this.#queueStart === 0 ? first : first.subarray(this.#queueStart));
    if (sent === 0) return false;
    this.#queueStart += sent;
    if (this.#queueStart === first.length) {
      this.#queue.shift();
      this.#queueStart = 0;
    }
    this.receiver.sent(sent);
    if (this.#closed) return false;
    if (this.#queue.length === 0 && this.#ending) this.#endLocal();
    return this.#queue.length > 0;
  }

  reset(reason: "cancelled" | "refused" | "internal_error" | "malformed"): void {
    if (this.#closed) return;
    const codes = {
      cancelled: "CANCEL",
      refused: "REFUSED_STREAM",
      internal_error: "INTERNAL_ERROR",
      malformed: "PROTOCOL_ERROR",
    } as const;
    this.connection.writeReset(this, codes[reason]);
    this.close();
  }

  credit(bytes: number): void {
    this.outstanding -= bytes;
    this.connection.creditConnection(bytes);
    if (this.#closed || this.remoteEnded) return;
    this.#consumed += bytes;
    if (this.#consumed * 2 < this.#windowSize) return;
    const grown = this.outstanding === 0 ? Math.min(this.#windowSize * 2, MAX_RECEIVE_WINDOW) : this.#windowSize;
    const increment = this.#consumed + grown - this.#windowSize;
    this.#windowSize = grown;
    this.#consumed = 0;
    this.receiveWindow += increment;
    this.connection.writeWindowUpdate(this.id, increment);
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
    this.outstanding += bytes.length;
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
    this.#queue = [];
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
    this.connection.writeEnd(this, this.#trailers);
    this.localEnd();
    this.#closeWhenBothEnded();
  }

  #closeWhenBothEnded(): void {
    if (this.localEnded && this.remoteEnded) this.close();
  }
}
