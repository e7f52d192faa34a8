/**
 * An HTTP/2 connection of ours to a backend.
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import type { HeaderBlock } from "../../../wire/hpack_decoder.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import { readContentLength } from "../../../wire/http_fields.ts";
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

/** How many a backend takes that has not said so yet. */
const MAX_UNTOLD_STREAMS = 100;

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
  #peerMaxStreams = MAX_UNTOLD_STREAMS;
  #carriesWebSockets: boolean | undefined;

  /** @param scheme `https` over TLS. */
  constructor(transport: Transport, events: ClientConnectionEvents, scheme: "http" | "https") {
    // Backends are near: the octets that Huffman coding saves are worth less than the time that it takes.
    super(transport, { windowSize: RECEIVE_WINDOW, creditsAtOnce: true, huffman: false });
    this.#events = events;
    this.#scheme = scheme;
    this.output.preface();
    this.begin([
      [h2.SETTINGS_ENABLE_PUSH, 0],
      [h2.SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST],
    ]);
    transport.start(this);
  }

  get available(): boolean {
    return !this.#draining && !this.over && this.streams.size < Math.min(this.#peerMaxStreams, MAX_STREAMS) &&
      this.#nextId <= h2.MAX_WINDOW;
  }

  get active(): number {
    return this.streams.size;
  }

  get carriesWebSockets(): boolean | undefined {
    return this.#carriesWebSockets;
  }

  request(head: RequestHead, end: boolean, events: ClientStreamEvents): HttpStream {
    if (!this.available) throw new TypeError("no request can be sent on this connection now");
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = new Http2ClientStream(this, id, events, head);
    this.streams.set(id, stream);
    this.output.headers(id, [pseudoFields(head, this.#scheme), head.fields], end, head.neverIndexed);
    if (end) stream.endWithHead();
    return stream;
  }

  override received(bytes: Uint8Array): void {
    if (this.#carriesWebSockets === undefined && isHttp1(bytes)) {
      return this.fail("PROTOCOL_ERROR", 'the backend speaks HTTP/1.1; set backend_protocol = "http1"');
    }
    super.received(bytes);
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
    for (const stream of [...this.streams.values()]) {
      if (stream.id > lastStream) {
        stream.fail({ kind: "refused", detail: `the backend is going away: ${h2.errorCodeName(code)}` });
      }
    }
    if (this.streams.size === 0) this.endInOrder();
    if (!this.over) this.#events.changed();
  }

  protected settingsReceived(settings: ReceivedSettings, first: boolean): void {
    if (settings.enablePush === true) throw h2.breach("a server enables push");
    if (first) this.#peerMaxStreams = MAX_STREAMS; // no limit where it names none
    this.#peerMaxStreams = settings.maxConcurrentStreams ?? this.#peerMaxStreams;
    this.#carriesWebSockets = settings.enableConnectProtocol ?? this.#carriesWebSockets ?? false;
    this.#events.changed();
  }

  protected streamClosed(): void {
    if (this.#draining && this.streams.size === 0) this.endInOrder();
    else this.#events.changed();
  }

  protected connectionClosed(): void {
    this.#events.closed();
  }
}

/** What a server of HTTP/1.1 answers to a preface that is no request of its own. */
function isHttp1(bytes: Uint8Array): boolean {
  return [0x48, 0x54, 0x54, 0x50, 0x2f, 0x31].every((octet, i) => bytes[i] === octet); // HTTP/1
}

function pseudoFields({ method, authority, path, protocol }: RequestHead, scheme: string): FieldList {
  const fields = [":method", method, ":scheme", scheme, ":authority", authority, ":path", path];
  if (protocol !== undefined) fields.push(":protocol", protocol);
  return fields;
}
