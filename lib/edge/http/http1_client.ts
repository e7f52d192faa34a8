/**
 * A connection to a backend that speaks HTTP/1.1 (RFC 9112).
 *
 * @module
 */

import { responseFraming } from "../../wire/http1_body.ts";
import { type HeadLimits, type HeadProgress, parseResponseHead, type ResponseHead } from "../../wire/http1_head.ts";
import { readContentLength } from "../../wire/http_fields.ts";
import { type ConnectionFields, removeField, takeConnectionFields, unifyContentLength } from "./connection_fields.ts";
import { type BodyContent, Http1BodyReader } from "./http1_body_reader.ts";
import { Http1BodyWriter } from "./http1_body_writer.ts";
import { Http1ClientStream, type Http1ClientStreamOwner } from "./http1_client_stream.ts";
import { Http1Input, type Http1InputTaker } from "./http1_input.ts";
import { Http1Output, type Http1OutputOwner } from "./http1_output.ts";
import { writeRequestHead, writeWebSocketHead } from "./http1_request_head.ts";
import type {
  ClientConnection,
  ClientConnectionEvents,
  ClientStreamEvents,
  HttpStream,
  RequestHead,
  StreamFailure,
} from "./message.ts";
import type { Transport, TransportEvents } from "./transport.ts";
import { checkSwitch, newWebSocketKey } from "./websocket_handshake.ts";

/** The bounds of a connection to a backend. */
export interface Http1ClientOptions {
  /** Of a head, and of a trailer section. */
  readonly limits: HeadLimits;
}

/** How many interim answers a request may have: each is passed on at once, however slowly the client reads. */
const MAX_INTERIM_ANSWERS = 100;

/** What is made of the octets that come in. */
type Reading = "idle" | "head" | "body" | "tunnel" | "over";

/** See the module. It carries one request at a time. */
export class Http1ClientConnection
  implements ClientConnection, TransportEvents, Http1InputTaker, Http1OutputOwner, Http1ClientStreamOwner, BodyContent {
  readonly carriesWebSockets = true;
  readonly output: Http1Output;
  readonly body: Http1BodyWriter;
  /** Whether it has served a request: the backend may have closed it while it was idle, and not seen the next one. */
  used = false;
  /** How long the backend says that it keeps the connection while it is idle, in ms (`Keep-Alive: timeout`). */
  idleLimitMs: number | undefined;
  readonly #transport: Transport;
  readonly #events: ClientConnectionEvents;
  readonly #limits: HeadLimits;
  readonly #input: Http1Input;
  readonly #responseBody: Http1BodyReader;
  readonly #progress: HeadProgress = { searched: 0 };
  #reading: Reading = "idle";
  #stream: Http1ClientStream | undefined;
  #interimAnswers = 0;
  /** The backend keeps the connection open behind the answer that is being read. */
  #isPersistent = false;
  #closing = false;
  /** Of a tunnel. */
  #backendEnded = false;
  #transportClosed = false;

  constructor(transport: Transport, events: ClientConnectionEvents, options: Http1ClientOptions) {
    this.#transport = transport;
    this.#events = events;
    this.#limits = options.limits;
    this.#input = new Http1Input(transport, this);
    this.output = new Http1Output(transport, this);
    this.body = new Http1BodyWriter(this.output);
    this.#responseBody = new Http1BodyReader(options.limits, this);
    transport.start(this);
  }

  get available(): boolean {
    return this.#reading === "idle" && !this.#closing;
  }

  get active(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  /**
   * Sends a request.
   *
   * @throws {TypeError} If it is not available, or the head cannot be written in HTTP/1.1; it is as before then.
   */
  request(head: RequestHead, end: boolean, events: ClientStreamEvents): HttpStream {
    if (!this.available) throw new TypeError("the connection is not available");
    const key = head.method === "CONNECT" ? this.#writeHandshake(head) : undefined;
    if (key === undefined) {
      this.body.begin(writeRequestHead(this.output.open(), head, end), head.contentLength);
    }
    const stream = new Http1ClientStream(this, head, end, key, events);
    this.#stream = stream;
    this.#reading = "head";
    this.#interimAnswers = 0;
    return stream;
  }

  close(): void {
    this.#closing = true;
    if (this.#reading === "idle") this.#destroy();
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
  }

  closed(error: string | undefined): void {
    this.#transportClosed = true;
    // Both sides have ended, but what the backend sent is yet to be taken.
    if (error === undefined && this.#input.ending) return;
    this.#over({ kind: "reset", detail: error ?? "the backend closed the connection" });
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
      case "tunnel":
        return this.#takeBody(bytes);
      case "idle":
        // An answer that nobody asked for would be taken for that to the next request.
        this.#destroy();
        return bytes.length;
      case "over":
        return bytes.length;
    }
  }

  inputEnded(): void {
    switch (this.#reading) {
      case "idle":
        return this.#destroy();
      case "head":
        return this.#fail("reset", "the backend closed the connection instead of answering");
      case "body":
        if (!this.#responseBody.endsWithConnection) {
          return this.#fail("reset", "the backend closed the connection within the body of its answer");
        }
        return this.#finish(false);
      case "tunnel":
        this.#backendEnded = true;
        this.#stream?.events.end();
        if (this.#transportClosed) this.#over({ kind: "reset", detail: "the backend closed the connection" });
        return;
      case "over":
        return;
    }
  }

  bodyReceived(piece: Uint8Array): void {
    if (this.#stream === undefined) return; // reset while pieces of its body come
    this.#input.handedOn(piece.length);
    this.#stream.events.data(piece);
  }

  #takeHead(bytes: Uint8Array): number {
    const stream = this.#stream;
    const head = parseResponseHead(bytes, this.#limits, this.#progress);
    if (head.kind === "need_more" || stream === undefined) return 0;
    if (head.kind === "malformed") return this.#refuse(bytes, head.rule);
    if (head.status === 101) return this.#takeSwitch(bytes, head, stream);
    if (head.status < 200) {
      if (++this.#interimAnswers > MAX_INTERIM_ANSWERS) return this.#refuse(bytes, "too many interim answers");
      takeConnectionFields(head.fields);
      removeField(head.fields, "content-length");
      stream.events.informational({ status: head.status, fields: head.fields, neverIndexed: undefined });
      return head.length;
    }
    return this.#takeFinalHead(bytes, head, stream);
  }

  #takeFinalHead(bytes: Uint8Array, head: ResponseHead, stream: Http1ClientStream): number {
    const { status, fields } = head;
    const isWebSocket = stream.webSocketKey !== undefined;
    // Where a tunnel was asked for, 2xx means that there is one (RFC 8441 §5), which is not what the backend said.
    if (isWebSocket && status < 300) return this.#refuse(bytes, "an answer without the switch to WebSocket");
    if (status > 599) return this.#refuse(bytes, "a status beyond 599");
    const framing = responseFraming(isWebSocket ? "GET" : stream.head.method, status, fields, head.minor);
    if (framing.kind === "malformed") return this.#refuse(bytes, framing.rule);
    const connection = takeConnectionFields(fields);
    const length = readContentLength(fields); // one of what has no body tells of the body that is not sent
    if (typeof length === "number") unifyContentLength(fields, length);
    this.idleLimitMs = connection.idleLimitMs;
    this.#isPersistent = framing.kind !== "until_close" && isKeptOpen(head, connection);
    this.#responseBody.begin(framing);
    const response = { status, fields, neverIndexed: undefined };
    if (this.#responseBody.done) {
      const isReusable = this.#release(bytes.length > head.length);
      stream.events.response(response, true);
      this.#tellReleased(isReusable);
    } else {
      this.#reading = "body";
      stream.events.response(response, false);
    }
    return head.length;
  }

  #takeSwitch(bytes: Uint8Array, head: ResponseHead, stream: Http1ClientStream): number {
    const { fields } = head;
    const breach = checkSwitch(stream.webSocketKey, takeConnectionFields(fields).upgrade, fields);
    if (breach !== undefined) return this.#refuse(bytes, breach);
    removeField(fields, "sec-websocket-accept");
    removeField(fields, "content-length");
    this.#reading = "tunnel";
    this.#responseBody.begin({ kind: "until_close" });
    this.body.begin("raw");
    stream.events.response({ status: 200, fields, neverIndexed: undefined }, false);
    stream.switched();
    return head.length;
  }

  #takeBody(bytes: Uint8Array): number {
    const { room } = this.#input;
    if (room === 0) return 0;
    const taken = this.#responseBody.feed(bytes.length <= room ? bytes : bytes.subarray(0, room));
    if (this.#reading !== "body") return taken;
    const { error } = this.#responseBody;
    if (error !== undefined) return this.#refuse(bytes, error);
    if (this.#responseBody.done) this.#finish(bytes.length > taken);
    return taken;
  }

  #finish(isFollowed: boolean): void {
    const stream = this.#stream;
    const { trailers } = this.#responseBody;
    const isReusable = this.#release(isFollowed);
    if (trailers.length > 0) stream?.events.trailers(trailers);
    else stream?.events.end();
    this.#tellReleased(isReusable);
  }

  /**
   * The answer is over.
   *
   * @param isFollowed Whether something came behind it, which then is no answer to anything.
   * @returns Whether the connection can carry another request; if not, it is over.
   */
  #release(isFollowed: boolean): boolean {
    const isSent = this.#stream?.isSent === true;
    this.#stream?.finish();
    this.#stream = undefined;
    this.used = true;
    this.output.flush();
    this.#input.forgetOutstanding();
    // A backend that has not read all of a request may read the rest of it, or may not.
    const isReusable = isSent && this.output.isClear && this.#isPersistent && !this.#closing && !isFollowed;
    if (isReusable) this.#reading = "idle";
    else this.#cut();
    return isReusable;
  }

  #tellReleased(isReusable: boolean): void {
    if (isReusable) this.#events.changed();
    else this.#events.closed();
  }

  #refuse(bytes: Uint8Array, detail: string): number {
    this.#fail("malformed", detail);
    return bytes.length;
  }

  #fail(kind: "reset" | "malformed", detail: string): void {
    this.#over({ kind, detail });
  }

  // What goes out.

  bodySent(bytes: number): void {
    this.#stream?.events.sent(bytes);
  }

  brokenOff(): void {
    this.#destroy();
  }

  credited(bytes: number): void {
    this.#input.credit(bytes);
  }

  #writeHandshake(head: RequestHead): string {
    if (head.protocol !== "websocket") throw new TypeError("no tunnel but a WebSocket can be asked for");
    const key = newWebSocketKey();
    writeWebSocketHead(this.output.open(), head, key);
    return key;
  }

  /** Ends the connection, and the stream without a word to it. */
  #destroy(): void {
    if (this.#reading === "over") return;
    this.#stream?.finish();
    this.#stream = undefined;
    this.#cut();
    this.#events.closed();
  }

  #over(failure: StreamFailure): void {
    if (this.#reading === "over") return;
    const isTunnelEnded = this.#backendEnded && this.#stream?.isSent === true;
    const stream = this.#stream;
    this.#stream = undefined;
    this.#cut();
    if (isTunnelEnded) stream?.finish();
    else stream?.fail(failure);
    this.#events.closed();
  }

  #cut(): void {
    this.#reading = "over";
    this.#input.stop();
    this.output.discard();
    this.#transport.destroy();
  }
}

/** RFC 9112 §9.3. */
function isKeptOpen(head: ResponseHead, connection: ConnectionFields): boolean {
  return !connection.close && (head.minor === 1 || connection.keepAlive);
}
