/**
 * An HTTP/2 connection of ours to a backend.
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import type { HeaderBlock } from "../../../wire/hpack_decoder.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import { readContentLength } from "../../../wire/http_fields.ts";
import { Timer } from "../../deadlines.ts";
import { DialError } from "../backend/dial_error.ts";
import { Http2Connection } from "./connection.ts";
import { readResponseHead } from "./head.ts";
import { MAX_HEADER_LIST } from "./header_blocks.ts";
import type { ReceivedSettings } from "./settings.ts";
import { Http2Stream } from "./stream.ts";
import type {
  ClientConnection,
  ClientConnectionEvents,
  ClientStreamEvents,
  HttpStream,
  RequestHead,
  StreamEvents,
  StreamFailure,
} from "../message.ts";
import { hasNoContent } from "../response_content.ts";
import type { Transport } from "../transport.ts";

/**
 * What all answers of one connection together may be on their way at once. It is given back as they come, whoever they
 * are for: a client that does not read holds up its own stream only.
 */
const RECEIVE_WINDOW = 16 * 1024 * 1024;

/** Requests at once on one connection, whatever the backend allows. */
const MAX_STREAMS = 1_000;

/** How long a connection may be silent while requests wait for their answers, and then take to answer a PING. */
const SILENCE_MS = 5_000;

/**
 * The same once a PING was answered, until something else comes or a request is sent: servers of gRPC end a connection on
 * which PING comes more often than every 5 minutes without anything between.
 */
const ALIVE_MS = 310_000;

const PING_PAYLOAD = new Uint8Array(8);

/** What a connection to a backend is given. */
export interface Http2ClientOptions {
  /** `https` over TLS. */
  readonly scheme: "http" | "https";
  /** How long the backend may take to send its SETTINGS, in ms. */
  readonly settingsMs: number;
}

/** One request of ours. */
class Http2ClientStream extends Http2Stream {
  readonly events: ClientStreamEvents;
  readonly #method: string;
  /** Whether bytes go both ways for as long as either side likes (RFC 8441). */
  #tunnel: boolean;
  #answered = false;

  constructor(connection: Http2Connection, id: number, events: ClientStreamEvents, { method, protocol }: RequestHead) {
    super(connection, id, connection.sendFlow.initialWindow);
    this.events = events;
    this.#method = method;
    this.#tunnel = protocol !== undefined;
  }

  protected get receiver(): StreamEvents {
    return this.events;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** @returns What rule the head broke. */
  receiveHead(block: HeaderBlock, end: boolean): string | undefined {
    const head = readResponseHead(block);
    if ("malformed" in head) return head.malformed;
    if (head.status < 200) {
      if (end || head.status === 101) return "bad_informational";
      this.events.informational(head);
      return undefined;
    }
    const contentLength = readContentLength(head.fields);
    if (contentLength === "malformed") return "bad_content_length";
    this.#tunnel &&= head.status < 300;
    if (!this.#tunnel) {
      const expected = hasNoContent(this.#method, head.status) ? 0 : contentLength;
      if (end && expected !== undefined && expected > 0) return "body_missing";
      this.expect(expected);
    }
    this.#answered = true;
    this.remoteEnded = end;
    this.events.response(head, end);
    if (end && this.localEnded) this.close();
    return undefined;
  }

  override receiveData(bytes: Uint8Array): string | undefined {
    return this.#answered ? super.receiveData(bytes) : "body_without_head";
  }

  override receiveEnd(trailers: FieldList | undefined): string | undefined {
    return this.#answered ? super.receiveEnd(trailers) : "end_without_head";
  }

  /** An answer that is whole stays so, whatever becomes of the rest of its request (RFC 9113 §8.1). */
  override fail(failure: StreamFailure): void {
    if (this.remoteEnded && !this.#tunnel) this.close();
    else super.fail(failure);
  }

  endWithHead(): void {
    this.endedWithHead();
  }

  protected localEnd(): void {}
}

/** See the module. */
export class Http2ClientConnection extends Http2Connection implements ClientConnection {
  readonly #events: ClientConnectionEvents;
  readonly #scheme: "http" | "https";
  #nextId = 1;
  #draining = false;
  /** None before its SETTINGS are there: more than it takes would be refused, and what it grants is not known. */
  #peerMaxStreams = 0;
  #ready = false;
  /** Bounds the wait for SETTINGS, and then silence while requests wait. */
  readonly #silence = new Timer(() => this.#expire());
  #isWatched = true;
  #isPinging = false;
  /** A PING was answered, and nothing has come or been sent since. */
  #isAlive = false;
  #carriesWebSockets: boolean | undefined;

  constructor(transport: Transport, events: ClientConnectionEvents, { scheme, settingsMs }: Http2ClientOptions) {
    // Backends are near: the octets that Huffman coding saves are worth less than the time that it takes. A backend with
    // small windows is no attack.
    super(transport, { windowSize: RECEIVE_WINDOW, creditsAtOnce: true, huffman: false, leastUsefulFrame: 1 });
    this.#events = events;
    transport.turn.deadlines.set(this.#silence, settingsMs);
    this.#scheme = scheme;
    this.output.preface();
    this.begin([
      [h2.SETTINGS_ENABLE_PUSH, 0],
      [h2.SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST],
    ]);
    transport.start(this);
  }

  get available(): boolean {
    return !this.#draining && !this.over && !this.#isPinging &&
      this.streams.size < Math.min(this.#peerMaxStreams, MAX_STREAMS) &&
      this.#nextId <= h2.MAX_WINDOW;
  }

  get ready(): boolean {
    return this.#ready;
  }

  get capacity(): number {
    return Math.max(1, Math.min(this.#peerMaxStreams, MAX_STREAMS));
  }

  get active(): number {
    return this.streams.size;
  }

  get carriesWebSockets(): boolean | undefined {
    return this.#carriesWebSockets;
  }

  request(head: RequestHead, end: boolean, events: ClientStreamEvents): HttpStream {
    if (!this.available) throw new TypeError("no request can be sent on this connection now");
    if (this.streams.size === 0 || this.#isAlive) this.#watch();
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = new Http2ClientStream(this, id, events, head);
    this.streams.add(stream);
    this.output.headers(id, [pseudoFields(head, this.#scheme), head.fields], end, head.neverIndexed);
    if (end) stream.endWithHead();
    return stream;
  }

  override received(bytes: Uint8Array): void {
    if (!this.#ready && isHttp1(bytes)) {
      return this.fail("PROTOCOL_ERROR", 'the backend speaks HTTP/1.1; set backend_protocol = "http1"');
    }
    if (this.#isAlive) this.#watch();
    else if (this.#isWatched && this.#ready && !this.#isPinging) {
      this.transport.turn.deadlines.extend(this.#silence, SILENCE_MS);
    }
    super.received(bytes);
  }

  /** Waits for something to come, from now on. */
  #watch(): void {
    const { deadlines } = this.transport.turn;
    if (this.#isWatched && !this.#isAlive) deadlines.extend(this.#silence, SILENCE_MS);
    else deadlines.set(this.#silence, SILENCE_MS);
    this.#isWatched = true;
    this.#isAlive = false;
  }

  #expire(): void {
    try {
      this.#silent();
    } catch (thrown) {
      this.transport.fault(thrown);
    }
  }

  /** Nothing has come for too long. */
  #silent(): void {
    if (this.over) return;
    if (!this.#ready) return this.destroy(NO_SETTINGS);
    this.#isWatched = false;
    if (this.streams.size === 0 && !this.#isPinging) return; // nobody waits: the next request watches again
    if (this.#isPinging) return this.destroy("the backend is silent, and answers no PING");
    this.#isPinging = this.#isWatched = true;
    this.output.ping(0, PING_PAYLOAD);
    this.transport.turn.deadlines.set(this.#silence, SILENCE_MS);
  }

  protected override pong(): void {
    if (!this.#isPinging) return;
    this.#isPinging = false;
    this.#isAlive = true;
    this.transport.turn.deadlines.set(this.#silence, ALIVE_MS);
    this.#events.changed();
  }

  close(): void {
    if (this.over) return;
    this.#draining = true;
    if (this.streams.size > 0) return;
    this.output.goAway(0, "NO_ERROR");
    this.endInOrder();
  }

  protected get lastPeerStream(): number {
    return 0;
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextId;
  }

  protected headers(id: number, block: HeaderBlock | undefined, end: boolean): void {
    if (this.isIdle(id)) throw h2.breach("HEADERS on an idle stream");
    const stream = this.streams.get(id);
    if (!(stream instanceof Http2ClientStream)) return this.headersOnClosed(id);
    if (stream.answered) return this.trailers(stream, block, end);
    const rule = block === undefined ? "header_list_too_large" : stream.receiveHead(block, end);
    if (rule !== undefined) this.refuse(stream, rule);
  }

  protected streamReset(stream: Http2Stream, code: number): void {
    const kind = code === h2.ERROR_CODES.REFUSED_STREAM ? "refused" : "reset";
    stream.fail({ kind, detail: `the backend reset the stream: ${h2.errorCodeName(code)}` });
  }

  /** RFC 9113 §6.8: requests above the number were not looked at, and those below are answered yet. */
  protected goAway(lastStream: number, code: number): void {
    this.#draining = true;
    for (const stream of this.streams.values()) {
      if (stream.id > lastStream) {
        stream.fail({ kind: "refused", detail: `the backend is going away: ${h2.errorCodeName(code)}` });
      }
    }
    if (this.streams.size === 0) this.endInOrder();
    if (!this.over) this.#events.changed();
  }

  protected settingsReceived(settings: ReceivedSettings, first: boolean): void {
    if (settings.enablePush === true) throw h2.breach("a server enables push");
    if (first) this.#begun();
    this.#peerMaxStreams = settings.maxConcurrentStreams ?? this.#peerMaxStreams;
    this.#carriesWebSockets = settings.enableConnectProtocol ?? this.#carriesWebSockets ?? false;
    this.#events.changed();
  }

  #begun(): void {
    this.#ready = true;
    this.#isWatched = false;
    this.#peerMaxStreams = MAX_STREAMS; // no limit where it names none
    this.transport.turn.deadlines.clear(this.#silence);
  }

  protected streamClosed(): void {
    if (this.#draining && this.streams.size === 0) this.endInOrder();
    else this.#events.changed();
  }

  protected connectionClosed(error: string | undefined): void {
    this.transport.turn.deadlines.clear(this.#silence);
    if (this.#ready || this.#draining) return this.#events.closed();
    const kind = error === NO_SETTINGS ? "timeout" : "unreachable";
    this.#events.closed(new DialError(kind, error ?? "the backend closed the connection before its SETTINGS came"));
  }
}

const NO_SETTINGS = "the backend does not send its SETTINGS";

/** What a server of HTTP/1.1 answers to a preface that is no request of its own. */
function isHttp1(bytes: Uint8Array): boolean {
  return [0x48, 0x54, 0x54, 0x50, 0x2f, 0x31].every((octet, i) => bytes[i] === octet); // HTTP/1
}

function pseudoFields({ method, authority, path, protocol }: RequestHead, scheme: string): FieldList {
  const fields = [":method", method, ":scheme", scheme, ":authority", authority, ":path", path];
  if (protocol !== undefined) fields.push(":protocol", protocol);
  return fields;
}
