/**
 * A connection to a backend that speaks HTTP/1.1 (RFC 9112).
 *
 * @module
 */

import { type HeadLimits, parseResponseHead, type ResponseHead } from "../../../wire/http1_head.ts";
import { Http1ClientStream, type Http1ClientStreamOwner } from "./client_stream.ts";
import { Http1Connection } from "./connection.ts";
import { writeRequestHead, writeWebSocketHead } from "./request_head.ts";
import { readInterim, readResponse, readSwitch } from "./response.ts";
import type {
  ClientConnection,
  ClientConnectionEvents,
  ClientStreamEvents,
  HttpStream,
  RequestHead,
  StreamEvents,
  StreamFailure,
} from "../message.ts";
import type { Transport } from "../transport.ts";
import { newWebSocketKey } from "../websocket_handshake.ts";

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
export class Http1ClientConnection extends Http1Connection implements ClientConnection, Http1ClientStreamOwner {
  readonly carriesWebSockets = true;
  readonly ready = true;
  readonly capacity = 1;
  /** Whether it has served a request: the backend may have closed it while it was idle, and not seen the next one. */
  used = false;
  /** How long the backend says that it keeps the connection while it is idle, in ms (`Keep-Alive: timeout`). */
  idleLimitMs: number | undefined;
  readonly #events: ClientConnectionEvents;
  #reading: Reading = "idle";
  #stream: Http1ClientStream | undefined;
  #interimAnswers = 0;
  /** The backend keeps the connection open behind the answer that is being read. */
  #isPersistent = false;
  #closing = false;
  /** Of a tunnel. */
  #backendEnded = false;

  constructor(transport: Transport, events: ClientConnectionEvents, options: Http1ClientOptions) {
    super(transport, options.limits);
    this.#events = events;
    transport.start(this);
  }

  get available(): boolean {
    return this.#reading === "idle" && !this.#closing;
  }

  get active(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  /**
   * Sends a request. One whose head cannot be written in HTTP/1.1 fails a little later, and does the connection no harm.
   *
   * @throws {TypeError} If it is not available.
   */
  request(head: RequestHead, end: boolean, events: ClientStreamEvents): HttpStream {
    if (!this.available) throw new TypeError("the connection is not available");
    const key = head.protocol === undefined ? undefined : newWebSocketKey();
    const stream = new Http1ClientStream(this, head, end, key, events);
    this.#stream = stream;
    this.#reading = "head";
    this.#interimAnswers = 0;
    try {
      this.#write(head, end, key);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#takeBack(stream, error.message);
    }
    return stream;
  }

  close(): void {
    this.#closing = true;
    if (this.#reading === "idle") this.brokenOff();
  }

  #write(head: RequestHead, end: boolean, key: string | undefined): void {
    if (key === undefined) {
      this.body.begin(writeRequestHead(this.output.open(), head, end), head.contentLength);
    } else {
      writeWebSocketHead(this.output.open(), head, key);
    }
  }

  /** Nothing was written of a request. Nobody listens to its stream before `request` returns. */
  #takeBack(stream: Http1ClientStream, detail: string): void {
    stream.hold();
    this.transport.turn.atEnd({
      endTurn: () => {
        try {
          this.#tookBack(stream, detail);
        } catch (thrown) {
          this.transport.fault(thrown);
        }
      },
    });
  }

  #tookBack(stream: Http1ClientStream, detail: string): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#reading = "idle";
    stream.fail({ kind: "malformed", detail });
    if (this.#closing) this.close();
    else if (this.available) this.#events.changed();
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
        return this.#takeAnswerBody(bytes);
      case "tunnel":
        return this.takeBody(bytes);
      case "idle":
        // An answer that nobody asked for would be taken for that to the next request.
        this.brokenOff();
        return bytes.length;
      case "over":
        return bytes.length;
    }
  }

  inputEnded(): void {
    switch (this.#reading) {
      case "idle":
        return this.brokenOff();
      case "head":
        return this.lost("the backend closed the connection instead of answering");
      case "body":
        if (!this.incoming.endsWithConnection) {
          return this.lost("the backend closed the connection within the body of its answer");
        }
        return this.#finish(false);
      case "tunnel":
        this.#backendEnded = true;
        this.#stream?.events.end();
        if (this.isTransportClosed) this.lost(undefined);
        return;
      case "over":
        return;
    }
  }

  protected get listener(): StreamEvents | undefined {
    return this.#stream?.events;
  }

  protected lost(error: string | undefined): void {
    this.#end({ kind: "reset", detail: error ?? "the backend closed the connection" });
  }

  #takeHead(bytes: Uint8Array): number {
    const stream = this.#stream;
    const head = parseResponseHead(bytes, this.limits, this.progress);
    if (head.kind === "need_more" || stream === undefined) return 0;
    if (head.kind === "malformed") return this.#refuse(bytes, head.rule);
    if (head.status === 101) return this.#takeSwitch(bytes, head, stream);
    if (head.status >= 200) return this.#takeFinalHead(bytes, head, stream);
    if (++this.#interimAnswers > MAX_INTERIM_ANSWERS) return this.#refuse(bytes, "too many interim answers");
    stream.events.informational(readInterim(head));
    return head.length;
  }

  #takeFinalHead(bytes: Uint8Array, head: ResponseHead, stream: Http1ClientStream): number {
    const isWebSocket = stream.webSocketKey !== undefined;
    const response = readResponse(head, stream.head.method, isWebSocket);
    if (response.kind === "malformed") return this.#refuse(bytes, response.rule);
    this.idleLimitMs = response.idleLimitMs;
    this.#isPersistent = response.persistent;
    this.incoming.begin(response.framing);
    if (this.incoming.done) {
      const isReusable = this.#release(bytes.length > head.length);
      stream.events.response(response.head, true);
      this.#tellReleased(isReusable);
    } else {
      this.#reading = "body";
      stream.events.response(response.head, false);
    }
    return head.length;
  }

  #takeSwitch(bytes: Uint8Array, head: ResponseHead, stream: Http1ClientStream): number {
    const response = readSwitch(head, stream.webSocketKey);
    if ("kind" in response) return this.#refuse(bytes, response.rule);
    this.#reading = "tunnel";
    this.incoming.begin({ kind: "until_close" });
    this.body.begin("raw");
    stream.events.response(response, false);
    stream.switched();
    return head.length;
  }

  #takeAnswerBody(bytes: Uint8Array): number {
    const taken = this.takeBody(bytes);
    if (this.#reading !== "body") return taken;
    const { error } = this.incoming;
    if (error !== undefined) return this.#refuse(bytes, error);
    if (this.incoming.done) this.#finish(bytes.length > taken);
    return taken;
  }

  #finish(isFollowed: boolean): void {
    const stream = this.#stream;
    const { trailers } = this.incoming;
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
    this.input.forgetOutstanding();
    // A backend that has not read all of a request may read the rest of it, or may not.
    const isReusable = isSent && this.output.isClear && this.#isPersistent && !this.#closing && !isFollowed;
    this.#reading = isReusable ? "idle" : "over";
    if (!isReusable) this.cut();
    return isReusable;
  }

  #tellReleased(isReusable: boolean): void {
    if (isReusable) this.#events.changed();
    else this.#events.closed();
  }

  #refuse(bytes: Uint8Array, detail: string): number {
    this.#end({ kind: "malformed", detail });
    return bytes.length;
  }

  // ---- The end -------------------------------------------------------------------------------------------------------

  /** The stream was reset, or there is none: it hears nothing of the end. */
  brokenOff(): void {
    this.#end(undefined);
  }

  /** @param failure What the stream is told, where it is to be told anything. */
  #end(failure: StreamFailure | undefined): void {
    if (this.#reading === "over") return;
    const stream = this.#stream;
    const isWhole = this.#reading === "tunnel" && this.#backendEnded && stream?.isSent;
    this.#reading = "over";
    this.#stream = undefined;
    this.cut();
    if (isWhole || failure === undefined) stream?.finish();
    else stream?.fail(failure);
    this.#events.closed();
  }
}
