/**
 * A client's HTTP/2 connection.
 *
 * @module
 */

import { Timer } from "../../deadlines.ts";
import type { HeaderBlock } from "../../../wire/hpack_decoder.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import { Http2Connection } from "./connection.ts";
import { readRequestHead } from "./head.ts";
import { MAX_HEADER_LIST } from "./header_blocks.ts";
import { Http2Stream } from "./stream.ts";
import type {
  RequestHandler,
  ResponseHead,
  ServerConnection,
  ServerConnectionEvents,
  ServerStream,
  StreamEvents,
} from "../message.ts";
import type { Transport } from "../transport.ts";
import { WasteLimit } from "../waste_limit.ts";

/** Requests of one connection at once. */
export const MAX_CONCURRENT_STREAMS = 128;

/** A frame that the window cut this short is of no use: a client that grants so little makes work (CVE-2019-9511). */
const DRIBBLE = 256;

/** What all uploads of one connection together may have us hold. */
const RECEIVE_WINDOW = 2 * 1024 * 1024;

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
  readonly #server: Http2ServerConnection;
  /** Whether bytes go both ways for as long as either side likes (RFC 8441). */
  #tunnel: boolean;
  #responded = false;

  constructor(server: Http2ServerConnection, id: number, tunnel: boolean) {
    super(server, id, server.sendFlow.initialWindow);
    this.#server = server;
    this.#tunnel = tunnel;
  }

  protected get receiver(): StreamEvents {
    return this.events;
  }

  inform({ status, fields, neverIndexed }: ResponseHead): void {
    if (this.closed || this.#responded) return;
    this.connection.output.headers(this.id, [[":status", String(status)], fields], false, neverIndexed);
  }

  respond({ status, fields, neverIndexed }: ResponseHead, end: boolean): void {
    if (this.closed || this.#responded) return;
    this.#responded = true;
    this.#tunnel &&= status < 300;
    this.connection.output.headers(this.id, [[":status", String(status)], fields], end, neverIndexed);
    if (end) this.endedWithHead();
  }

  provoked(): void {
    if (!this.closed) this.#server.provoked();
  }

  /** RFC 9113 §8.1: a client that is still sending when its answer is whole is told that it may stop. */
  protected localEnd(): void {
    if (this.remoteEnded || this.#tunnel) return;
    this.connection.reset(this.id, "NO_ERROR");
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
  /** How many heads have come to their end, and had when we looked last. */
  #heads = 0;
  #headsTold = 0;
  /** Whether the owner knows of a head that has not ended. */
  #headTold = false;
  #waste: WasteLimit | undefined;
  #active = 0;
  #draining = false;
  /** Streams above this number came after the last word. */
  #refusedAbove = h2.MAX_WINDOW;
  #drainTimer: Timer | undefined;

  constructor(transport: Transport, handler: RequestHandler, events: ServerConnectionEvents) {
    super(transport, { windowSize: RECEIVE_WINDOW, creditsAtOnce: false, huffman: false, leastUsefulFrame: DRIBBLE });
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
    this.#watchHead();
  }

  /** Tells of a head that has begun and not ended: a frame of it in part, or a block that waits for CONTINUATION. */
  #watchHead(): void {
    if (this.over) return;
    const isNew = this.#heads !== this.#headsTold;
    this.#headsTold = this.#heads;
    if (this.isHeadPending && (isNew || !this.#headTold)) this.#events.headBegun();
    else if (!this.isHeadPending && this.#headTold) this.#events.headEnded();
    this.#headTold = this.isHeadPending;
  }

  /**
   * Says first that the connection will end, and only when the client has heard that, with which request: none that is
   * on its way is lost (RFC 9113 §6.8).
   */
  drain(): void {
    if (this.#draining || this.over) return;
    this.#draining = true;
    this.output.goAway(h2.MAX_WINDOW, "NO_ERROR");
    this.output.ping(0, new Uint8Array(8));
    this.#drainTimer = new Timer(() => {
      try {
        this.#lastWord();
      } catch (thrown) {
        this.transport.fault(thrown);
      }
    });
    this.transport.turn.deadlines.set(this.#drainTimer, DRAIN_PING_MS);
  }

  abort(): void {
    this.destroy("the server is shutting down");
  }

  protected override pong(): void {
    if (this.#draining) this.#lastWord();
  }

  #lastWord(): void {
    if (this.over || this.#refusedAbove !== h2.MAX_WINDOW) return;
    this.#stopDrainTimer();
    this.#refusedAbove = this.#lastStream;
    this.output.goAway(this.#lastStream, "NO_ERROR");
    if (this.streams.size === 0) this.endInOrder();
  }

  #stopDrainTimer(): void {
    if (this.#drainTimer !== undefined) this.transport.turn.deadlines.clear(this.#drainTimer);
  }

  protected get lastPeerStream(): number {
    return Math.min(this.#lastStream, this.#refusedAbove);
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.#lastStream;
  }

  protected headers(id: number, block: HeaderBlock | undefined, end: boolean): void {
    this.#heads++;
    if (id % 2 === 0) throw h2.breach("a request with an even stream number");
    if (id > this.#lastStream) return this.#onRequest(id, block, end);
    const stream = this.streams.get(id);
    if (stream === undefined) return this.headersOnClosed(id);
    this.trailers(stream, block, end);
  }

  #onRequest(id: number, block: HeaderBlock | undefined, end: boolean): void {
    this.#lastStream = id;
    if (id > this.#refusedAbove || this.streams.size >= MAX_CONCURRENT_STREAMS) {
      this.reset(id, "REFUSED_STREAM");
      return this.#wasted("streams are opened only to be refused");
    }
    const head = block && readRequestHead(block);
    if (head === undefined) return this.#answerMalformed(id, end, "header_list_too_large", 431);
    if ("malformed" in head) {
      const { malformed, status } = head;
      return status ? this.#answerMalformed(id, end, malformed, status) : this.#refuseRequest(id, malformed);
    }
    if (end && head.contentLength !== undefined && head.contentLength > 0) {
      return this.#refuseRequest(id, "body_missing");
    }
    const stream = new Http2ServerStream(this, id, head.protocol !== undefined);
    stream.expect(head.contentLength);
    stream.remoteEnded = end;
    this.streams.add(stream);
    this.noise.useful();
    this.#active++;
    this.#events.activity(this.#active);
    this.#handler.request(stream, head, end);
  }

  /** Answers a head that is too large (RFC 9113 §10.5.1, RFC 6585 §5), or that expects what we cannot do. */
  #answerMalformed(id: number, end: boolean, rule: string, status: number): void {
    this.provoked();
    const requestId = this.#handler.malformed(rule, status);
    this.output.headers(id, [[":status", String(status)], ["content-length", "0"], ["x-request-id", requestId]], true);
    if (!end) this.reset(id, "NO_ERROR");
  }

  /** RFC 9113 §8.1.1. */
  #refuseRequest(id: number, rule: string): void {
    this.reset(id, "PROTOCOL_ERROR");
    this.#handler.malformed(rule, undefined);
    this.#wasted("requests without end that break rules");
  }

  protected streamReset(stream: Http2Stream, code: number): void {
    stream.fail({ kind: "reset", detail: `the client reset the stream: ${h2.errorCodeName(code)}` });
    if (!stream.localEnded) this.#wasted("requests are made only to be reset");
  }

  protected override refuse(stream: Http2Stream, rule: string, code?: h2.ErrorCode): void {
    super.refuse(stream, rule, code);
    if (!stream.localEnded) this.#wasted("requests are made only to be reset");
  }

  /** A request came to nothing, or its answer was not wanted to its end, by the client's doing. */
  #wasted(what: string): void {
    this.#waste ??= new WasteLimit(this.transport.turn);
    if (this.#waste.count()) this.fail("ENHANCE_YOUR_CALM", what);
  }

  /** One of our answers is the client's doing. Who shares the connection may go on elsewhere; who goes on here does not. */
  provoked(): void {
    this.#waste ??= new WasteLimit(this.transport.turn);
    if (this.#waste.count()) this.drain();
  }

  /** A client that says so opens no more; it need not be answered. */
  protected goAway(): void {}

  protected settingsReceived(): void {}

  protected streamClosed(): void {
    this.#active--;
    this.#events.activity(this.#active);
    if (this.#draining && this.streams.size === 0 && this.#refusedAbove !== h2.MAX_WINDOW) this.endInOrder();
  }

  protected connectionClosed(error: string | undefined, isBreach: boolean): void {
    this.#stopDrainTimer();
    this.#active = 0;
    this.#events.closed(error, isBreach);
  }
}
