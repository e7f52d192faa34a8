/**
 * A client's connection that speaks HTTP/1.1 or HTTP/1.0 (RFC 9112).
 *
 * @module
 */

import { encodeResponseHead } from "../../wire/http1_encode.ts";
import { type HeadLimits, type HeadProgress, parseRequestHead } from "../../wire/http1_head.ts";
import { type BodyContent, Http1BodyReader } from "./http1_body_reader.ts";
import { Http1BodyWriter } from "./http1_body_writer.ts";
import { Http1Input, type Http1InputTaker } from "./http1_input.ts";
import { Http1Output, type Http1OutputOwner } from "./http1_output.ts";
import { type Http1Request, readRequest } from "./http1_request.ts";
import { Http1ServerStream, type Http1ServerStreamOwner } from "./http1_server_stream.ts";
import { Lingering } from "./lingering.ts";
import type { RequestHandler, ServerConnection, ServerConnectionEvents, StreamFailure } from "./message.ts";
import type { Transport, TransportEvents } from "./transport.ts";

/** The bounds of a client's connection. */
export interface Http1ServerOptions {
  /** Of a head, and of a trailer section. */
  readonly limits: HeadLimits;
  /** How long to wait, behind the last answer, until the client has read it and closes, in ms. */
  readonly lingerMs?: number;
}

/** What is made of the octets that come in. */
type Reading =
  | "head"
  | "body"
  /** Nothing: the request is read, and what follows waits until it is answered. */
  | "held"
  | "tunnel"
  /** Nothing: the connection is ending, and they are dropped. */
  | "lingering"
  | "over";

/**
 * See the module. One request at a time is handed on; what the client sends ahead waits with the client.
 *
 * What cannot be read as a request is answered here, and so is a malformed body where no answer has begun; then the
 * connection closes. A client that closes its side has given up the request that it waits for.
 *
 * `activity` is told once more, with 0, when the first octets of a head come without the rest: the time that a head
 * may take begins.
 */
export class Http1ServerConnection
  implements ServerConnection, TransportEvents, Http1InputTaker, Http1OutputOwner, Http1ServerStreamOwner, BodyContent {
  readonly output: Http1Output;
  readonly body: Http1BodyWriter;
  readonly #transport: Transport;
  readonly #handler: RequestHandler;
  readonly #events: ServerConnectionEvents;
  readonly #limits: HeadLimits;
  readonly #input: Http1Input;
  readonly #requestBody: Http1BodyReader;
  readonly #lingering: Lingering;
  readonly #progress: HeadProgress = { searched: 0 };
  #reading: Reading = "head";
  #stream: Http1ServerStream | undefined;
  #headBegun = false;
  #draining = false;
  /** The client was told that the connection closes behind the answer. */
  #closing = false;
  /** Of a tunnel. */
  #clientEnded = false;
  #transportClosed = false;

  constructor(
    transport: Transport,
    handler: RequestHandler,
    events: ServerConnectionEvents,
    options: Http1ServerOptions,
  ) {
    this.#transport = transport;
    this.#handler = handler;
    this.#events = events;
    this.#limits = options.limits;
    this.#input = new Http1Input(transport, this);
    this.output = new Http1Output(transport, this);
    this.body = new Http1BodyWriter(this.output);
    this.#requestBody = new Http1BodyReader(options.limits, this);
    this.#lingering = new Lingering(transport, options.lingerMs, () => this.#destroy(undefined));
    transport.start(this);
  }

  get active(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  drain(): void {
    this.#draining = true;
    if (this.#reading === "head" && this.#input.waiting === 0) this.#linger();
  }

  abort(): void {
    this.#destroy(undefined, "the connection was ended");
  }

  // What the transport tells.

  received(bytes: Uint8Array): void {
    this.#input.received(bytes);
  }

  ended(): void {
    this.#input.ended();
  }

  drained(): void {
    this.output.drained();
    if (this.#stream?.isAnswered && this.output.isClear && this.#reading !== "tunnel") this.#next(this.#stream);
  }

  closed(error: string | undefined): void {
    this.#transportClosed = true;
    // Both sides have ended, but the tunnel is yet to take what the client sent.
    if (error === undefined && this.#input.ending) return;
    this.#over(error, error ?? "the client closed the connection");
  }

  // What comes in.

  get wantsMore(): boolean {
    return this.#reading === "head";
  }

  take(bytes: Uint8Array): number {
    switch (this.#reading) {
      case "head":
        return this.#takeHead(bytes);
      case "body":
        return this.#takeBody(bytes);
      case "tunnel":
        return this.#takeTunnelled(bytes);
      case "held":
        return 0;
      case "lingering":
        this.#lingering.drop(bytes.length);
        return bytes.length;
      case "over":
        return bytes.length;
    }
  }

  inputEnded(): void {
    switch (this.#reading) {
      case "head":
        if (this.#input.waiting === 0) this.#linger();
        else this.#destroy("the client closed the connection within the head of a request");
        return;
      case "body":
        return this.#destroy("the client closed the connection within the body of a request");
      case "held":
        if (this.#stream?.isAnswered) this.#linger();
        else this.#destroy(undefined, "the client closed the connection");
        return;
      case "tunnel":
        this.#clientEnded = true;
        this.#stream?.events.end();
        if (this.#transportClosed) this.#over(undefined, "the client closed the connection");
        return;
      case "lingering":
      case "over":
        return;
    }
  }

  bodyReceived(piece: Uint8Array): void {
    if (this.#stream === undefined) return; // answered while pieces of its body come
    this.#input.handedOn(piece.length);
    this.#stream.events.data(piece);
  }

  #takeHead(bytes: Uint8Array): number {
    const head = parseRequestHead(bytes, this.#limits, this.#progress);
    if (head.kind === "need_more") {
      if (!this.#headBegun) this.#events.activity(0);
      this.#headBegun = true;
      return 0;
    }
    this.#headBegun = false;
    const request = head.kind === "malformed" ? head : readRequest(head);
    if (request.kind === "malformed") {
      this.#answerMalformed(request.status);
      this.#handler.malformed(request.rule, request.status);
      return bytes.length;
    }
    this.#begin(request);
    return request.length;
  }

  #begin(request: Http1Request): void {
    const stream = new Http1ServerStream(this, request);
    this.#requestBody.begin(request.framing);
    const end = this.#requestBody.done && request.webSocketKey === undefined;
    this.#reading = this.#requestBody.done ? "held" : "body";
    this.#stream = stream;
    this.#events.activity(1);
    if (this.#stream !== stream) return; // aborted by the owner
    this.#handler.request(stream, request.head, end);
  }

  #takeBody(bytes: Uint8Array): number {
    const { room } = this.#input;
    if (room === 0) return 0;
    const taken = this.#requestBody.feed(bytes.length <= room ? bytes : bytes.subarray(0, room));
    const stream = this.#stream;
    if (stream === undefined || this.#reading !== "body") return taken;
    const { error } = this.#requestBody;
    if (error !== undefined) {
      this.#malformedBody(stream, error);
      return bytes.length;
    }
    if (this.#requestBody.done) {
      this.#reading = "held";
      const { trailers } = this.#requestBody;
      if (trailers.length > 0) stream.events.trailers(trailers);
      else stream.events.end();
    }
    return taken;
  }

  #takeTunnelled(bytes: Uint8Array): number {
    const { room } = this.#input;
    const piece = bytes.length <= room ? bytes : bytes.subarray(0, room);
    if (piece.length > 0) this.bodyReceived(piece);
    return piece.length;
  }

  #malformedBody(stream: Http1ServerStream, rule: string): void {
    const failure: StreamFailure = { kind: "malformed", detail: rule };
    if (!stream.isWaiting) return this.#destroy(rule, rule, failure);
    this.#stream = undefined;
    this.#answerMalformed(400);
    stream.fail(failure);
    this.#events.activity(0);
  }

  /** The handler is not asked: there is no request that it could be told of. */
  #answerMalformed(status: number): void {
    const text = `${status}\n`;
    const fields = ["content-type", "text/plain", "content-length", String(text.length), "connection", "close"];
    const writer = this.output.open();
    encodeResponseHead(writer, status, fields);
    writer.latin1(text);
    this.#linger();
  }

  // What goes out.

  bodySent(bytes: number): void {
    this.#stream?.events.sent(bytes);
  }

  closesBehind(stream: Http1ServerStream, early: boolean): boolean {
    this.#closing ||= this.#draining || !stream.request.persistent || (early && this.#reading === "body");
    return this.#closing;
  }

  switched(_stream: Http1ServerStream): void {
    this.#reading = "tunnel";
    this.#input.advance();
  }

  answered(stream: Http1ServerStream): void {
    if (this.#reading === "tunnel") {
      this.output.end();
      return;
    }
    this.output.flush();
    // A client that does not read its answers gets no more of them.
    if (this.#stream === stream && (this.output.isClear || this.#reading === "body")) this.#next(stream);
  }

  brokenOff(stream: Http1ServerStream): void {
    if (this.#stream === stream) this.#destroy(undefined);
  }

  credited(bytes: number): void {
    this.#input.credit(bytes);
  }

  /** The request is over, and all of its answer with the transport. */
  #next(stream: Http1ServerStream): void {
    stream.finish();
    this.#stream = undefined;
    this.#input.forgetOutstanding();
    if (this.#closing || this.#draining || this.#reading !== "held" || this.body.framing === "raw") this.#linger();
    else this.#reading = "head";
    this.#events.activity(0);
    this.#input.advance();
  }

  /** Ends the connection so that the client can read what it was sent (RFC 9112 §9.6). */
  #linger(): void {
    if (this.#reading === "lingering" || this.#reading === "over") return;
    this.#reading = "lingering";
    this.output.end();
    this.#lingering.begin();
    this.#input.advance();
  }

  #destroy(error: string | undefined, detail = error ?? "", failure?: StreamFailure): void {
    if (this.#reading === "over") return;
    this.#transport.destroy();
    this.#over(error, detail, failure);
  }

  #over(error: string | undefined, detail: string, failure?: StreamFailure): void {
    if (this.#reading === "over") return;
    const isTunnel = this.#reading === "tunnel";
    this.#reading = "over";
    this.#lingering.stop();
    this.#input.stop();
    this.output.discard();
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) {
      if (stream.isAnswered && (!isTunnel || this.#clientEnded)) stream.finish();
      else stream.fail(failure ?? { kind: "reset", detail });
      this.#events.activity(0);
    }
    this.#events.closed(error);
  }
}
