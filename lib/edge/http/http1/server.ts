/**
 * A client's connection that speaks HTTP/1.1 or HTTP/1.0 (RFC 9112).
 *
 * @module
 */

import { encodeResponseHead } from "../../../wire/http1_encode.ts";
import { type HeadLimits, parseRequestHead } from "../../../wire/http1_head.ts";
import { Http1Connection } from "./connection.ts";
import { type Http1Request, readRequest } from "./request.ts";
import { Http1ServerStream, type Http1ServerStreamOwner } from "./server_stream.ts";
import { Lingering } from "../lingering.ts";
import type {
  RequestHandler,
  ServerConnection,
  ServerConnectionEvents,
  StreamEvents,
  StreamFailure,
} from "../message.ts";
import type { Transport } from "../transport.ts";
import { WasteLimit } from "../waste_limit.ts";

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
 */
export class Http1ServerConnection extends Http1Connection implements ServerConnection, Http1ServerStreamOwner {
  readonly #handler: RequestHandler;
  readonly #events: ServerConnectionEvents;
  readonly #lingering: Lingering;
  #reading: Reading = "head";
  #headBegun = false;
  /** Until all of its answer has left. */
  #stream: Http1ServerStream | undefined;
  #draining = false;
  /** The client was told that the connection closes behind the answer. */
  #closing = false;
  #waste: WasteLimit | undefined;
  /** Of a tunnel. */
  #clientEnded = false;

  constructor(
    transport: Transport,
    handler: RequestHandler,
    events: ServerConnectionEvents,
    options: Http1ServerOptions,
  ) {
    super(transport, options.limits);
    this.#handler = handler;
    this.#events = events;
    this.#lingering = new Lingering(transport, options.lingerMs, () => {
      this.#end(undefined, { kind: "reset", detail: "the client did not read the answer" });
    });
    transport.start(this);
  }

  get active(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  drain(): void {
    this.#draining = true;
    if (this.#reading === "head" && this.input.waiting === 0) this.#linger();
  }

  abort(): void {
    this.#end(undefined, { kind: "reset", detail: "the connection was ended" });
  }

  // ---- What comes in -------------------------------------------------------------------------------------------------

  get wantsMore(): boolean {
    return this.#reading === "head";
  }

  take(bytes: Uint8Array): number {
    switch (this.#reading) {
      case "head":
        return this.#takeHead(bytes);
      case "body":
        return this.#takeRequestBody(bytes);
      case "tunnel":
        return this.takeBody(bytes);
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
        if (this.input.waiting === 0) return this.#linger();
        return this.#givenUp("the client closed the connection within the head of a request");
      case "body":
        return this.#givenUp("the client closed the connection within the body of a request");
      case "held":
        if (this.#stream?.isAnswered) return this.#linger();
        return this.#end(undefined, { kind: "reset", detail: "the client closed the connection" });
      case "tunnel":
        this.#clientEnded = true;
        this.#stream?.events.end();
        if (this.isTransportClosed) this.lost(undefined);
        return;
      case "lingering":
      case "over":
        return;
    }
  }

  protected get listener(): StreamEvents | undefined {
    return this.#stream?.events;
  }

  override bodyReceived(piece: Uint8Array): void {
    // The request may have been answered while pieces of its body come.
    if (this.#reading === "body" || this.#reading === "tunnel") super.bodyReceived(piece);
  }

  protected lost(error: string | undefined): void {
    this.#end(error, { kind: "reset", detail: error ?? "the client closed the connection" });
  }

  #takeHead(bytes: Uint8Array): number {
    const head = parseRequestHead(bytes, this.limits, this.progress);
    if (head.kind === "need_more") {
      if (!this.#headBegun) this.#events.headBegun();
      this.#headBegun = true;
      return 0;
    }
    if (this.#headBegun) this.#events.headEnded();
    this.#headBegun = false;
    const request = head.kind === "malformed" ? head : readRequest(head);
    if (request.kind === "malformed") {
      this.#answerMalformed(request.status, this.#handler.malformed(request.rule, request.status));
      return bytes.length;
    }
    this.#begin(request);
    return request.length;
  }

  #begin(request: Http1Request): void {
    const stream = new Http1ServerStream(this, request);
    this.incoming.begin(request.framing);
    const end = this.incoming.done && request.webSocketKey === undefined;
    this.#reading = this.incoming.done ? "held" : "body";
    this.#stream = stream;
    this.#events.activity(1);
    if (this.#stream !== stream) return; // aborted by the owner
    this.#handler.request(stream, request.head, end);
  }

  #takeRequestBody(bytes: Uint8Array): number {
    const taken = this.takeBody(bytes);
    const stream = this.#stream;
    if (stream === undefined || this.#reading !== "body") return taken;
    if (this.incoming.error !== undefined) {
      this.#malformedBody(stream, this.incoming.error);
      return bytes.length;
    }
    if (this.incoming.done) {
      this.#reading = "held";
      const { trailers } = this.incoming;
      if (trailers.length > 0) stream.events.trailers(trailers);
      else stream.events.end();
    }
    return taken;
  }

  #malformedBody(stream: Http1ServerStream, rule: string): void {
    const failure: StreamFailure = { kind: "malformed", detail: rule };
    if (!stream.isWaiting) return this.#end(rule, failure);
    this.#stream = undefined;
    this.#answerMalformed(400);
    stream.fail(failure);
    this.#events.activity(0);
  }

  /** The handler is not asked: there is no request that it could be told of. */
  #answerMalformed(status: number, requestId?: string): void {
    const text = requestId === undefined ? `${status}\n` : `${status}\nrequest id: ${requestId}\n`;
    const fields = ["content-type", "text/plain", "content-length", String(text.length)];
    if (requestId !== undefined) fields.push("x-request-id", requestId);
    fields.push("connection", "close");
    const writer = this.output.open();
    encodeResponseHead(writer, status, fields);
    writer.latin1(text);
    this.#linger();
  }

  // ---- What goes out -------------------------------------------------------------------------------------------------

  override drained(): void {
    super.drained();
    this.#releaseIfClear();
  }

  closesBehind(stream: Http1ServerStream, early: boolean): boolean {
    this.#closing ||= this.#draining || !stream.request.persistent || (early && this.#reading === "body");
    return this.#closing;
  }

  provoked(): void {
    this.#waste ??= new WasteLimit(this.transport.turn);
    if (this.#waste.count()) this.#closing = true;
  }

  switched(): void {
    this.#reading = "tunnel";
    this.incoming.begin({ kind: "until_close" });
    this.input.advance();
  }

  answered(): void {
    if (this.#reading === "tunnel") return this.output.end();
    if (this.#closing || this.#draining || this.#reading === "body" || this.body.framing === "raw") this.#linger();
    else this.output.flush();
    this.#releaseIfClear();
  }

  brokenOff(): void {
    this.#end(undefined, undefined);
  }

  /** Goes on to the next request. A client that does not read its answers gets no more of them. */
  #releaseIfClear(): void {
    if (this.#stream?.isAnswered !== true || this.#reading === "tunnel" || !this.output.isClear) return;
    this.#stream.finish();
    this.#stream = undefined;
    this.input.forgetOutstanding();
    if (this.#draining) this.#linger();
    else if (this.#reading === "held") this.#reading = "head";
    this.#events.activity(0);
    this.input.advance();
  }

  // ---- The end -------------------------------------------------------------------------------------------------------

  /** Ends the connection so that the client can read what it was sent (RFC 9112 §9.6). */
  #linger(): void {
    if (this.#reading === "lingering" || this.#reading === "over") return;
    this.#reading = "lingering";
    this.output.end();
    this.#lingering.begin();
    this.input.advance();
  }

  #givenUp(detail: string): void {
    this.#end(detail, { kind: "reset", detail });
  }

  /** @param failure What the stream is told, where it is to be told anything. */
  #end(error: string | undefined, failure: StreamFailure | undefined): void {
    if (this.#reading === "over") return;
    const stream = this.#stream;
    const isWhole = this.#reading === "tunnel" && this.#clientEnded && stream?.isAnswered;
    this.#reading = "over";
    this.#stream = undefined;
    this.#lingering.stop();
    // Where its end is that of the connection, FIN would make a whole answer of it (RFC 9112 §9.8).
    this.cut(stream !== undefined && !stream.isWaiting && !isWhole);
    if (stream !== undefined) {
      if (isWhole || failure === undefined) stream.finish();
      else stream.fail(failure);
      this.#events.activity(0);
    }
    this.#events.closed(error, false);
  }
}
