/**
 * A client's HTTP/2 connection.
 *
 * @module
 */

import type { HeaderBlock } from "../../wire/hpack_decoder.ts";
import * as h2 from "../../wire/http2_frames.ts";
import { Http2Connection, MAX_HEADER_LIST } from "./http2_connection.ts";
import { readRequestHead, readTrailers } from "./http2_head.ts";
import { Http2Stream } from "./http2_stream.ts";
import type {
  RequestHandler,
  ResponseHead,
  ServerConnection,
  ServerConnectionEvents,
  ServerStream,
  StreamEvents,
} from "./message.ts";
import type { Transport } from "./transport.ts";

/** Requests of one connection at once. */
export const MAX_CONCURRENT_STREAMS = 128;

/** What all uploads of one connection together may have us hold. */
const RECEIVE_WINDOW = 2 * 1024 * 1024;

/**
 * A client that resets more than half of its requests before they are answered, and so many, makes work for nothing
 * (CVE-2023-44487).
 */
const MAX_EARLY_RESETS = 500;

/** How long a client may take to acknowledge that the connection is about to end. */
const DRAIN_PING_MS = 1_000;

const NO_EVENTS: StreamEvents = {
  data: () => {},
  trailers: () => {},
  end: () => {},
  failed: () => {},
  sent: () => {},
};

/** One request of a client. */
class Http2ServerStream extends Http2Stream implements ServerStream {
  events: StreamEvents = NO_EVENTS;
  /** Whether bytes go both ways for as long as either side likes (RFC 8441). */
  readonly #tunnel: boolean;
  #responded = false;

  constructor(connection: Http2Connection, id: number, sendWindow: number, tunnel: boolean) {
    super(connection, id, sendWindow);
    this.#tunnel = tunnel;
  }

  protected get receiver(): StreamEvents {
    return this.events;
  }

  /** Whether the answer has begun. */
  get responded(): boolean {
    return this.#responded;
  }

  inform({ status, fields, neverIndexed }: ResponseHead): void {
    if (this.closed || this.#responded) return;
    this.connection.writeHeaders(this.id, [[":status", String(status)], fields], false, neverIndexed);
  }

  respond({ status, fields, neverIndexed }: ResponseHead, end: boolean): void {
    if (this.closed || this.#responded) return;
    this.#responded = true;
    this.connection.writeHeaders(this.id, [[":status", String(status)], fields], end, neverIndexed);
    if (end) this.endedWithHead();
  }

  /** RFC 9113 §8.1: a client that is still sending when its answer is whole is told that it may stop. */
  protected localEnd(): void {
    if (this.remoteEnded || this.#tunnel) return;
    this.connection.writeReset(this, "NO_ERROR");
    this.close();
  }
}

/** See the module. */
export class Http2ServerConnection extends Http2Connection implements ServerConnection {
  readonly #handler: RequestHandler;
  readonly #events: ServerConnectionEvents;
  /** What of the preface has come. */
  #prefaceSeen = 0;
  #lastStream = 0;
  #requests = 0;
  #earlyResets = 0;
  #active = 0;
  #draining = false;
  /** Streams above this number came after the last word. */
  #refusedAbove = h2.MAX_WINDOW;
  #drainTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(transport: Transport, handler: RequestHandler, events: ServerConnectionEvents) {
    super(transport, RECEIVE_WINDOW, false);
    this.#handler = handler;
    this.#events = events;
    this.begin([
      [h2.SETTINGS_MAX_CONCURRENT_STREAMS, MAX_CONCURRENT_STREAMS],
      [h2.SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST],
      [h2.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1],
    ]);
    transport.start(this);
  }

  get active(): number {
    return this.#active;
  }

  override received(bytes: Uint8Array): void {
    if (this.#prefaceSeen < h2.PREFACE.length) {
      const taken = Math.min(bytes.length, h2.PREFACE.length - this.#prefaceSeen);
      for (let i = 0; i < taken; i++) {
        if (bytes[i] !== h2.PREFACE[this.#prefaceSeen + i]) return this.fail("PROTOCOL_ERROR", "no HTTP/2 preface");
      }
      this.#prefaceSeen += taken;
      if (taken === bytes.length) return;
      bytes = bytes.subarray(taken);
    }
    super.received(bytes);
  }

  /**
   * Says first that the connection will end, and only when the client has heard that, with which request: none that is
   * on its way is lost (RFC 9113 §6.8).
   */
  drain(): void {
    if (this.#draining || this.over) return;
    this.#draining = true;
    this.writeGoAway(h2.MAX_WINDOW, "NO_ERROR");
    this.writePing();
    this.#drainTimer = setTimeout(() => this.#lastWord(), DRAIN_PING_MS);
  }

  abort(): void {
    this.destroy("the server is shutting down");
  }

  protected override pong(): void {
    if (this.#draining) this.#lastWord();
  }

  #lastWord(): void {
    if (this.over || this.#refusedAbove !== h2.MAX_WINDOW) return;
    clearTimeout(this.#drainTimer);
    this.#refusedAbove = this.#lastStream;
    this.writeGoAway(this.#lastStream, "NO_ERROR");
    if (this.streams.size === 0) this.endInOrder();
  }

  protected get lastPeerStream(): number {
    return this.#lastStream;
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.#lastStream;
  }

  protected headers(id: number, block: HeaderBlock | undefined, end: boolean): void {
    if (id % 2 === 0) throw new h2.Http2Error("PROTOCOL_ERROR", "a request with an even stream number");
    if (id > this.#lastStream) return this.#onRequest(id, block, end);
    const stream = this.streams.get(id);
    if (stream === undefined) return this.headersOnClosed(id);
    const trailers = block === undefined ? undefined : readTrailers(block);
    if (trailers !== undefined && "malformed" in trailers) {
      this.resetById(id, "PROTOCOL_ERROR");
      return stream.fail({ kind: "malformed", detail: trailers.malformed });
    }
    this.receiveTrailers(stream, block, end);
  }

  #onRequest(id: number, block: HeaderBlock | undefined, end: boolean): void {
    if (id > this.#refusedAbove) return;
    this.#lastStream = id;
    this.#requests++;
    if (this.streams.size >= MAX_CONCURRENT_STREAMS) return this.resetById(id, "REFUSED_STREAM");
    const head = block && readRequestHead(block);
    if (head === undefined) return this.#answerTooLarge(id, end);
    if ("malformed" in head) return this.#refuse(id, head.malformed);
    if (end && head.contentLength !== undefined && head.contentLength > 0) return this.#refuse(id, "body_missing");
    const stream = new Http2ServerStream(this, id, this.initialSendWindow, head.protocol !== undefined);
    stream.expect(head.contentLength);
    stream.remoteEnded = end;
    this.streams.set(id, stream);
    this.#active++;
    this.#events.activity(this.#active);
    this.#handler.request(stream, head, end);
  }

  /** RFC 9113 §10.5.1, RFC 6585 §5. */
  #answerTooLarge(id: number, end: boolean): void {
    this.writeHeaders(id, [[":status", "431"], ["content-length", "0"]], true);
    if (!end) this.resetById(id, "NO_ERROR");
    this.#handler.malformed("header_list_too_large", 431);
  }

  /** RFC 9113 §8.1.1. */
  #refuse(id: number, rule: string): void {
    this.resetById(id, "PROTOCOL_ERROR");
    this.#handler.malformed(rule, undefined);
  }

  protected streamReset(stream: Http2Stream, code: number): void {
    if (stream instanceof Http2ServerStream && !stream.responded) this.#earlyResets++;
    stream.fail({ kind: "reset", detail: `the client reset the stream: ${h2.errorCodeName(code)}` });
    if (this.#earlyResets > MAX_EARLY_RESETS && this.#earlyResets * 2 > this.#requests) {
      throw new h2.Http2Error("ENHANCE_YOUR_CALM", "requests are made only to be reset");
    }
  }

  /** A client that says so opens no more; it need not be answered. */
  protected goAway(): void {}

  protected streamClosed(): void {
    this.#active--;
    this.#events.activity(this.#active);
    if (this.#draining && this.streams.size === 0 && this.#refusedAbove !== h2.MAX_WINDOW) this.endInOrder();
  }

  protected connectionClosed(error: string | undefined): void {
    clearTimeout(this.#drainTimer);
    this.#active = 0;
    this.#events.closed(error);
  }
}
