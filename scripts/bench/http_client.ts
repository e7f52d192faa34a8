/**
 * The client's side of the HTTP rows: requests over TLS, as many at once as the load says, each followed by another.
 *
 * @module
 */

import { FRAME_HEADER_LENGTH, setFrameHeader } from "../../lib/wire/http2_frames.ts";
import {
  ACK,
  DATA,
  END_HEADERS,
  END_STREAM,
  frameLength,
  GET_BLOCKS,
  GET_REQUEST_1,
  GOAWAY,
  GRPC_BLOCKS,
  GRPC_DATA,
  HEADERS,
  HTTP_HOST,
  LARGE_WINDOW,
  OPEN_WINDOWS,
  PREFACE,
  RST_STREAM,
  setStreams,
  SETTINGS,
  SMALL_LENGTH,
  STATUS_200,
  uint32At,
  windowUpdate,
} from "./http_protocol.ts";
import { close, connect, Poller, READABLE, WOULD_BLOCK } from "./libc.ts";
import { type TlsConnection, TlsContext } from "./libssl.ts";
import { type HttpLoadKind, type Load, measure, type Measurement } from "./measurement.ts";
import { quantile } from "./statistics.ts";

/** What a connection tells of its requests. */
interface Requests {
  /** One is answered. @param ms How long that took. @returns Whether another is to be sent. */
  answered(ms: number): boolean;
  /** So much of a body came. */
  data(bytes: number): void;
}

/** A client's connection. */
interface Connection {
  /** Its handshake is done: sends the first requests. */
  begin(): void;
  /** Takes what is there. */
  onReadable(): void;
}

const BUFFER = new Uint8Array(64 * 1024);
const OUT = new Uint8Array(64 * 1024);
const NOTHING = new Uint8Array(0);
const SETTINGS_ACK = new Uint8Array(FRAME_HEADER_LENGTH);
setFrameHeader(SETTINGS_ACK, 0, 0, SETTINGS, ACK, 0);
/** Streams whose beginning is known at once. */
const TIMES = 1024;

/** Requests over HTTP/2. */
class Http2Client implements Connection {
  readonly #tls: TlsConnection;
  readonly #requests: Requests;
  readonly #streams: number;
  readonly #blocks: typeof GET_BLOCKS;
  readonly #data: Uint8Array<ArrayBuffer> | undefined;
  readonly #sentAt = new Float64Array(TIMES);
  #nextId = 1;
  /** What of OUT is to be sent. */
  #written = 0;
  #unread: Uint8Array = NOTHING;
  #received = 0;

  constructor(tls: TlsConnection, requests: Requests, kind: HttpLoadKind, streams: number) {
    this.#tls = tls;
    this.#requests = requests;
    this.#streams = streams;
    this.#blocks = kind === "grpc" ? GRPC_BLOCKS : GET_BLOCKS;
    this.#data = kind === "grpc" ? GRPC_DATA : undefined;
  }

  begin(): void {
    this.#put(PREFACE);
    this.#put(OPEN_WINDOWS);
    for (let i = 0; i < this.#streams; i++) this.#request();
    this.#flush();
  }

  onReadable(): void {
    for (;;) {
      const kept = this.#unread.length;
      BUFFER.set(this.#unread);
      const n = this.#tls.read(kept === 0 ? BUFFER : BUFFER.subarray(kept));
      if (n === WOULD_BLOCK) break;
      if (n <= 0) throw new Error("the proxy ended a connection");
      const used = this.#take(kept + n);
      this.#unread = used === kept + n ? NOTHING : BUFFER.slice(used, kept + n);
    }
    this.#flush();
  }

  #take(end: number): number {
    let at = 0;
    while (end - at >= FRAME_HEADER_LENGTH) {
      const next = at + FRAME_HEADER_LENGTH + frameLength(BUFFER, at);
      if (next > end) break;
      this.#frame(at, next);
      at = next;
    }
    return at;
  }

  #frame(at: number, next: number): void {
    const type = BUFFER[at + 3];
    const flags = BUFFER[at + 4] ?? 0;
    const payload = at + FRAME_HEADER_LENGTH;
    if (type === DATA) this.#onData(next - payload);
    if (type === HEADERS) this.#onHeaders(payload, flags);
    if (type === SETTINGS && (flags & ACK) === 0) this.#put(SETTINGS_ACK);
    if (type === RST_STREAM) throw new Error("the proxy reset a request");
    if (type === GOAWAY) throw new Error("the proxy is going away");
    if ((type !== DATA && type !== HEADERS) || (flags & END_STREAM) === 0) return;
    const id = uint32At(BUFFER, at + 5);
    const ms = performance.now() - (this.#sentAt[(id >>> 1) % TIMES] ?? NaN);
    if (this.#requests.answered(ms)) this.#request();
  }

  #onData(length: number): void {
    this.#requests.data(length);
    this.#received += length;
    if (this.#received < LARGE_WINDOW / 2) return;
    this.#put(windowUpdate(this.#received));
    this.#received = 0;
  }

  /** An answer is 200; trailers are what ends the stream. */
  #onHeaders(payload: number, flags: number): void {
    if ((flags & END_STREAM) !== 0) return;
    let at = payload;
    while (((BUFFER[at] ?? 0) & 0xe0) === 0x20) at++; // the size of the table may come first, RFC 7541 §6.3
    if (BUFFER[at] !== STATUS_200) throw new Error("the proxy answered with other than 200");
  }

  #request(): void {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#sentAt[(id >>> 1) % TIMES] = performance.now();
    const block = id === 1 ? this.#blocks.first : this.#blocks.next;
    const flags = this.#data === undefined ? END_HEADERS | END_STREAM : END_HEADERS;
    setFrameHeader(OUT, this.#written, block.length, HEADERS, flags, id);
    this.#written += FRAME_HEADER_LENGTH;
    this.#put(block);
    if (this.#data === undefined) return;
    setStreams(this.#data, id);
    this.#put(this.#data);
  }

  #put(bytes: Uint8Array): void {
    OUT.set(bytes, this.#written);
    this.#written += bytes.length;
  }

  #flush(): void {
    if (this.#written > 0) this.#tls.write(OUT, this.#written);
    this.#written = 0;
  }
}

/** Requests over HTTP/1.1, one at a time. */
class Http1Client implements Connection {
  readonly #tls: TlsConnection;
  readonly #requests: Requests;
  #received = 0;
  #sentAt = 0;

  constructor(tls: TlsConnection, requests: Requests) {
    this.#tls = tls;
    this.#requests = requests;
  }

  begin(): void {
    this.#received = 0;
    this.#sentAt = performance.now();
    this.#tls.write(GET_REQUEST_1);
  }

  onReadable(): void {
    for (;;) {
      const n = this.#tls.read(BUFFER.subarray(this.#received));
      if (n === WOULD_BLOCK) return;
      if (n <= 0) throw new Error("the proxy ended a connection");
      this.#received += n;
      const head = headLength(BUFFER, this.#received);
      if (head < 0 || this.#received < head + SMALL_LENGTH) continue;
      if (BUFFER[9] !== 0x32) throw new Error("the proxy answered with other than 200"); // the 2 of "HTTP/1.1 2"
      if (this.#requests.answered(performance.now() - this.#sentAt)) this.begin();
    }
  }
}

/** Where the body begins, or -1. */
function headLength(bytes: Uint8Array, end: number): number {
  for (let at = bytes.indexOf(13); at >= 0 && at + 4 <= end; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 2] === 13) return at + 4;
  }
  return -1;
}

/** Runs the load. */
export function runHttp(load: Load & { readonly kind: HttpLoadKind }): Measurement {
  const { kind } = load;
  const context = new TlsContext(HTTP_HOST, kind === "h1" ? "http/1.1" : "h2");
  const poller = new Poller();
  const connections: { connection: Connection; tls: TlsConnection; begun: boolean }[] = []; // by descriptor
  const latencies: number[] = [];
  let opened = 0;
  let bytes = 0;
  let described: string | undefined;
  const open = () => {
    const openedAt = performance.now();
    // Other source addresses, one after the other: those of closed connections are not to be had again at once.
    const fd = connect(load.port, 0x7f010000 + opened++ % 65536);
    const tls = context.connect(fd);
    const requests: Requests = {
      data: (length) => void (bytes += length),
      answered: (ms) => {
        latencies.push(kind === "tls" ? performance.now() - openedAt : ms);
        return kind !== "tls";
      },
    };
    const connection = kind === "h1"
      ? new Http1Client(tls, requests)
      : new Http2Client(tls, requests, kind, load.streams ?? 1);
    connections[fd] = { connection, tls, begun: false };
    tls.handshake();
    poller.add(fd, READABLE);
  };
  for (let i = 0; i < load.connections; i++) open();
  let before = 0;
  const measurement = measure(load, poller, () => kind === "body" ? bytes : latencies.length, (fd) => {
    const state = connections[fd];
    if (state === undefined) return;
    if (!state.begun) {
      if (!state.tls.handshake()) return;
      described ??= state.tls.describe();
      state.begun = true;
      state.connection.begin();
    }
    const answered = latencies.length;
    state.connection.onReadable();
    if (kind !== "tls" || latencies.length === answered) return;
    state.tls.free();
    close(fd);
    open();
  }, () => void (before = latencies.length));
  const measured = latencies.slice(before);
  const [p50 = 0, p99 = 0] = measured.length === 0 ? [] : [0.5, 0.99].map((share) => 1000 * quantile(measured, share));
  return { ...measurement, latency: { p50, p99 }, ...(described === undefined ? {} : { tls: described }) };
}
