/**
 * An HTTP/2 connection (RFC 9113): frames, flow control, and the rules that hold for both roles.
 *
 * Nothing waits here: bytes come in through `received`, and what they lead to goes out in one write at the end of the
 * turn. What a peer can have us keep is bounded: by the windows, by the length of a header block, and because nothing
 * more is read from a peer that does not take what it is sent.
 *
 * @module
 */

import { ByteWriter } from "../../wire/byte_writer.ts";
import type { FieldList } from "../../wire/field_list.ts";
import { type HeaderBlock, HpackDecoder, HpackError } from "../../wire/hpack_decoder.ts";
import { HpackEncoder } from "../../wire/hpack_encoder.ts";
import * as h2 from "../../wire/http2_frames.ts";
import type { ErrorCode } from "../../wire/http2_frames.ts";
import { HEAD_LIMITS } from "./head_limits.ts";
import type { Http2Stream } from "./http2_stream.ts";
import { HIGH_WATER, type Transport, type TransportEvents } from "./transport.ts";

/** The longest list of fields, each with 32 octets more (RFC 9113 §6.5.2). */
export const MAX_HEADER_LIST = HEAD_LIMITS.maxLength;
/** The longest header block, and the most frames it may come in: more is an attack (CVE-2024-27316). */
const MAX_BLOCK = 64 * 1024;
const MAX_BLOCK_FRAMES = 64;
const HEADER_TABLE_SIZE = 4096;

/** Frames that do nothing useful: so many at once, and so many a second, are taken for chatter, more for an attack. */
const NOISE_BURST = 10_000;
const NOISE_PER_SECOND = 100;

/** How long a peer may take to read the GOAWAY that ends its connection. */
const LINGER_MS = 1_000;

/** How many streams that we reset are remembered: frames that were on their way to them are no fault of the peer's. */
const MAX_REMEMBERED = 256;

/** See the module. */
export abstract class Http2Connection implements TransportEvents {
  protected readonly transport: Transport;
  protected readonly out: ByteWriter = new ByteWriter(4096);
  protected readonly streams: Map<number, Http2Stream> = new Map();
  readonly #decoder = new HpackDecoder(HEADER_TABLE_SIZE, MAX_HEADER_LIST);
  readonly #encoder = new HpackEncoder();
  /** A frame whose end has not come. */
  readonly #partial = new ByteWriter(0);
  /** The header block that is being received, and of which stream. */
  readonly #block = new ByteWriter(0);
  #blockStream = 0;
  #blockEnds = false;
  #blockFrames = 0;

  #sendWindow = h2.DEFAULT_WINDOW;
  #receiveWindow: number;
  readonly #windowSize: number;
  readonly #creditsAtOnce: boolean;
  #consumed = 0;
  #peerMaxFrame = h2.MAX_FRAME_LENGTH;
  #peerInitialWindow = h2.DEFAULT_WINDOW;
  #sawSettings = false;
  protected peerMaxStreams = 100; // until its SETTINGS have come
  /** `undefined` until its SETTINGS have come. */
  protected peerConnectProtocol: boolean | undefined;

  /** Streams that have something to send, as far as their own windows go. */
  readonly #ready: Set<Http2Stream> = new Set();
  readonly #resetByUs: Set<number> = new Set();
  #flushing = false;
  #paused = false;
  /** Where the last frame begins that was written, if it is one of DATA and not flushed. */
  #lastData = -1;
  #noise = 0;
  #noiseSince = performance.now();
  #linger: ReturnType<typeof setTimeout> | undefined;
  /** No frame is read or written any more. */
  protected over = false;

  /**
   * @param windowSize What all streams together may send us before it is credited.
   * @param creditsAtOnce Whether the connection's window is credited as bytes come, and only that of a stream when they
   * are dealt with.
   */
  constructor(transport: Transport, windowSize: number, creditsAtOnce: boolean) {
    this.transport = transport;
    this.#windowSize = windowSize;
    this.#receiveWindow = windowSize;
    this.#creditsAtOnce = creditsAtOnce;
  }

  /** Writes our SETTINGS. */
  protected begin(settings: readonly (readonly [id: number, value: number])[]): void {
    h2.writeSettings(this.out, settings);
    this.writeWindowUpdate(0, this.#windowSize - h2.DEFAULT_WINDOW);
  }

  // ---- What a role adds ----------------------------------------------------------------------------------------------

  /** A whole header block came. @param block `undefined`: its list is too large. */
  protected abstract headers(id: number, block: HeaderBlock | undefined, end: boolean): void;
  /** Whether a stream of this number is yet to be opened. */
  protected abstract isIdle(id: number): boolean;
  /** The peer reset a stream. */
  protected abstract streamReset(stream: Http2Stream, code: number): void;
  protected abstract goAway(lastStream: number, code: number): void;
  /** The highest stream of the peer's that we have dealt with: what our GOAWAY tells. */
  protected abstract readonly lastPeerStream: number;
  /** A stream is over. */
  protected abstract streamClosed(): void;
  /** The connection is over; its streams have failed. */
  protected abstract connectionClosed(error: string | undefined): void;
  protected pong(): void {}

  // ---- What streams use ----------------------------------------------------------------------------------------------

  /** Writes what the windows allow of `bytes`. @returns How much that was. */
  writeData(stream: Http2Stream, bytes: Uint8Array): number {
    let sent = 0;
    while (sent < bytes.length) {
      const written = this.writeFrame(stream, sent === 0 ? bytes : bytes.subarray(sent));
      if (written === 0) break;
      sent += written;
    }
    return sent;
  }

  /** Writes one frame of `bytes`, as far as the windows allow. @returns How much that was. */
  writeFrame(stream: Http2Stream, bytes: Uint8Array): number {
    if (this.over || this.transport.backlog + this.out.length >= HIGH_WATER) return 0;
    const length = Math.min(bytes.length, this.#peerMaxFrame, this.#sendWindow, stream.sendWindow);
    if (length <= 0) return 0;
    this.#sendWindow -= length;
    stream.sendWindow -= length;
    const at = this.out.length;
    h2.writeFrameHeader(this.out, length, h2.DATA, 0, stream.id);
    this.out.put(length === bytes.length ? bytes : bytes.subarray(0, length));
    this.#lastData = at;
    this.flushSoon();
    return length;
  }

  /** Has a stream sent what waits once that can leave. */
  waitToSend(stream: Http2Stream): void {
    if (stream.sendWindow > 0) this.#ready.add(stream);
  }

  /** Ends our half of a stream. */
  writeEnd(stream: Http2Stream, trailers: FieldList | undefined): void {
    if (trailers !== undefined && trailers.length > 0) return this.writeHeaders(stream.id, [trailers], true);
    if (this.#lastData >= 0 && h2.uint32At(this.out.bytes, this.#lastData + 5) === stream.id) {
      this.out.bytes[this.#lastData + 4] = h2.END_STREAM; // on the frame that is there already
      return;
    }
    h2.writeFrameHeader(this.out, 0, h2.DATA, h2.END_STREAM, stream.id);
    this.flushSoon();
  }

  /** Writes a header block of several lists of fields, the first of them pseudo-header fields. */
  writeHeaders(id: number, lists: readonly FieldList[], end: boolean, neverIndexed?: ReadonlySet<string>): void {
    if (this.over) return;
    const { out } = this;
    const at = out.length;
    h2.writeFrameHeader(out, 0, h2.HEADERS, 0, id);
    for (const fields of lists) this.#encoder.encode(fields, out, neverIndexed);
    const length = out.length - at - h2.FRAME_HEADER_LENGTH;
    const endStream = end ? h2.END_STREAM : 0;
    if (length <= h2.MAX_FRAME_LENGTH) {
      h2.setFrameHeader(out.bytes, at, length, h2.HEADERS, endStream | h2.END_HEADERS, id);
    } else this.#splitHeaders(at, id, endStream);
    this.#lastData = -1;
    this.flushSoon();
  }

  #splitHeaders(at: number, id: number, endStream: number): void {
    const { out } = this;
    const block = out.bytes.slice(at + h2.FRAME_HEADER_LENGTH, out.length);
    out.length = at;
    for (let start = 0; start < block.length; start += h2.MAX_FRAME_LENGTH) {
      const part = block.subarray(start, start + h2.MAX_FRAME_LENGTH);
      const last = start + part.length === block.length ? h2.END_HEADERS : 0;
      const [type, flags] = start === 0 ? [h2.HEADERS, endStream | last] : [h2.CONTINUATION, last];
      h2.writeFrameHeader(out, part.length, type, flags, id);
      out.put(part);
    }
  }

  /** Resets a stream. */
  writeReset(stream: Http2Stream, code: ErrorCode): void {
    this.resetById(stream.id, code);
  }

  /** Resets a stream that may not have become one. */
  protected resetById(id: number, code: ErrorCode): void {
    if (this.over) return;
    h2.writeFrameHeader(this.out, 4, h2.RST_STREAM, 0, id);
    h2.writeUint32(this.out, h2.ERROR_CODES[code]);
    this.#resetByUs.add(id);
    if (this.#resetByUs.size > MAX_REMEMBERED) {
      for (const oldest of this.#resetByUs) {
        this.#resetByUs.delete(oldest);
        break;
      }
    }
    this.flushSoon();
  }

  writeWindowUpdate(id: number, increment: number): void {
    if (this.over || increment <= 0) return;
    h2.writeFrameHeader(this.out, 4, h2.WINDOW_UPDATE, 0, id);
    h2.writeUint32(this.out, increment);
    this.flushSoon();
  }

  /** So many bytes are dealt with, whatever stream they came on. */
  creditConnection(bytes: number): void {
    if (!this.#creditsAtOnce) this.#credit(bytes);
  }

  #credit(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed * 2 < this.#windowSize) return;
    this.#receiveWindow += this.#consumed;
    this.writeWindowUpdate(0, this.#consumed);
    this.#consumed = 0;
  }

  forget(stream: Http2Stream): void {
    this.streams.delete(stream.id);
    this.#ready.delete(stream);
    if (stream.outstanding > 0) this.creditConnection(stream.outstanding);
    stream.outstanding = 0;
    if (!this.over) this.streamClosed();
  }

  // ---- The transport -------------------------------------------------------------------------------------------------

  received(bytes: Uint8Array): void {
    if (this.over) return;
    try {
      this.#parse(bytes);
    } catch (error) {
      if (error instanceof h2.Http2Error) return this.fail(error.code, error.message);
      if (error instanceof HpackError) return this.fail("COMPRESSION_ERROR", error.message);
      throw error;
    }
    if (!this.#paused && this.transport.backlog + this.out.length >= HIGH_WATER * 2) {
      this.#paused = true; // it has us answer more than it reads
      this.transport.pause();
    }
  }

  ended(): void {
    if (this.over) return;
    this.#finish("the peer closed the connection", this.streams.size === 0 ? undefined : "closed with open streams");
    this.transport.end();
    this.#lingerThenDestroy();
  }

  drained(): void {
    if (this.#paused && this.transport.backlog < HIGH_WATER) {
      this.#paused = false;
      this.transport.resume();
    }
    if (!this.over) this.#pump();
  }

  closed(error: string | undefined): void {
    clearTimeout(this.#linger);
    this.#finish(error ?? "the connection was closed", error);
  }

  /** Ends the connection at once, and every stream with it. */
  protected destroy(detail: string): void {
    clearTimeout(this.#linger);
    this.#finish(detail, detail);
    this.transport.destroy();
  }

  /** Ends the connection for a breach of the protocol. */
  protected fail(code: ErrorCode, message: string): void {
    if (this.over) return;
    this.writeGoAway(this.lastPeerStream, code);
    this.#flush();
    this.#finish(`${code}: ${message}`, `${code}: ${message}`);
    this.transport.end();
    this.#lingerThenDestroy();
  }

  /** Ends a connection that has nothing to do any more. */
  protected endInOrder(): void {
    if (this.over) return;
    this.#flush();
    this.#finish("the connection has ended", undefined);
    this.transport.end();
    this.#lingerThenDestroy();
  }

  protected writeGoAway(lastStream: number, code: ErrorCode): void {
    h2.writeFrameHeader(this.out, 8, h2.GOAWAY, 0, 0);
    h2.writeUint32(this.out, lastStream);
    h2.writeUint32(this.out, h2.ERROR_CODES[code]);
    this.flushSoon();
  }

  protected writePing(): void {
    h2.writeFrameHeader(this.out, 8, h2.PING, 0, 0);
    this.out.put(new Uint8Array(8));
    this.flushSoon();
  }

  #lingerThenDestroy(): void {
    this.#linger = setTimeout(() => this.transport.destroy(), LINGER_MS);
  }

  #finish(detail: string, error: string | undefined): void {
    if (this.over) return;
    this.over = true;
    for (const stream of [...this.streams.values()]) stream.fail({ kind: "reset", detail });
    this.connectionClosed(error);
  }

  /** Has all that is written in this turn leave in one write. */
  protected flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.out.length === 0 || this.over) return;
    const bytes = this.out.taken();
    this.#lastData = -1;
    this.transport.write(bytes);
    if (this.#ready.size > 0) this.#pump();
  }

  /** Sends a frame of each stream in turn, until none can send any more. */
  #pump(): void {
    for (let progress = true; progress && this.#ready.size > 0;) {
      progress = false;
      for (const stream of this.#ready) {
        if (this.#sendWindow <= 0 || this.transport.backlog + this.out.length >= HIGH_WATER) return;
        if (stream.pump()) progress = true;
        if (!stream.waiting || stream.sendWindow <= 0) this.#ready.delete(stream);
      }
    }
  }

  // ---- Frames --------------------------------------------------------------------------------------------------------

  #parse(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.over) {
      if (this.#partial.length > 0) {
        at = this.#complete(bytes, at);
        continue;
      }
      const length = frameLength(bytes, at);
      if (length === undefined || at + length > bytes.length) {
        this.#partial.put(bytes.subarray(at));
        return;
      }
      this.#frame(bytes, at, length);
      at += length;
    }
  }

  /** Adds to a frame that came in part. @returns Where the next begins. */
  #complete(bytes: Uint8Array, at: number): number {
    const partial = this.#partial;
    if (partial.length < h2.FRAME_HEADER_LENGTH) {
      const taken = Math.min(h2.FRAME_HEADER_LENGTH - partial.length, bytes.length - at);
      partial.put(bytes.subarray(at, at + taken));
      at += taken;
    }
    const length = frameLength(partial.written, 0);
    if (length === undefined) return at;
    const taken = Math.min(length - partial.length, bytes.length - at);
    partial.put(bytes.subarray(at, at + taken));
    if (partial.length === length) {
      this.#frame(partial.taken(), 0, length);
    }
    return at + taken;
  }

  #frame(bytes: Uint8Array, at: number, length: number): void {
    const type = bytes[at + 3] ?? 0;
    const flags = bytes[at + 4] ?? 0;
    const id = h2.uint32At(bytes, at + 5) & 0x7fffffff;
    const payload = bytes.subarray(at + h2.FRAME_HEADER_LENGTH, at + length);
    if (!this.#sawSettings && type !== h2.SETTINGS) throw broken("the first frame must be SETTINGS");
    if (this.#blockStream !== 0 && (type !== h2.CONTINUATION || id !== this.#blockStream)) {
      throw broken("a frame within a header block");
    }
    switch (type) {
      case h2.DATA:
        return this.#onData(id, flags, payload);
      case h2.HEADERS:
        return this.#onHeaders(id, flags, payload);
      case h2.CONTINUATION:
        return this.#onContinuation(flags, payload);
      case h2.SETTINGS:
        return this.#onSettings(id, flags, payload);
      case h2.WINDOW_UPDATE:
        return this.#onWindowUpdate(id, payload);
      case h2.RST_STREAM:
        return this.#onReset(id, payload);
      case h2.PING:
        return this.#onPing(id, flags, payload);
      case h2.GOAWAY:
        if (id !== 0) throw broken("GOAWAY on a stream");
        if (payload.length < 8) throw new h2.Http2Error("FRAME_SIZE_ERROR", "GOAWAY of the wrong length");
        return this.goAway(h2.uint32At(payload, 0) & 0x7fffffff, h2.uint32At(payload, 4));
      case h2.PRIORITY:
        if (id === 0) throw broken("PRIORITY without a stream");
        if (payload.length !== 5) throw new h2.Http2Error("FRAME_SIZE_ERROR", "PRIORITY of the wrong length");
        return this.#countNoise();
      case h2.PUSH_PROMISE:
        throw broken("PUSH_PROMISE, which was not allowed");
      default:
        return this.#countNoise(); // RFC 9113 §5.5: unknown types are passed over
    }
  }

  #onData(id: number, flags: number, payload: Uint8Array): void {
    if (id === 0) throw broken("DATA without a stream");
    this.#receiveWindow -= payload.length;
    if (this.#receiveWindow < 0) throw new h2.Http2Error("FLOW_CONTROL_ERROR", "more than the connection's window");
    if (this.#creditsAtOnce) this.#credit(payload.length);
    const data = withoutPadding(flags, payload);
    const end = (flags & h2.END_STREAM) !== 0;
    if (data.length === 0 && !end) this.#countNoise();
    const stream = this.streams.get(id);
    if (stream === undefined || stream.remoteEnded) {
      this.creditConnection(payload.length);
      if (this.isIdle(id)) throw broken("DATA on an idle stream");
      if (stream === undefined && this.#resetByUs.has(id)) return this.#countNoise();
      throw new h2.Http2Error("STREAM_CLOSED", "DATA on a closed stream");
    }
    stream.receiveWindow -= payload.length;
    if (stream.receiveWindow < 0) {
      this.creditConnection(payload.length);
      this.resetById(id, "FLOW_CONTROL_ERROR");
      return stream.fail({ kind: "malformed", detail: "more than the stream's window" });
    }
    const padding = payload.length - data.length;
    if (padding > 0) {
      stream.outstanding += padding;
      stream.credit(padding);
    }
    const rule = data.length > 0 ? stream.receiveData(data) : undefined;
    this.#judge(stream, rule ?? (end && !stream.closed ? stream.receiveEnd(undefined) : undefined));
  }

  #onHeaders(id: number, flags: number, payload: Uint8Array): void {
    if (id === 0) throw broken("HEADERS without a stream");
    let fragment = withoutPadding(flags, payload);
    if ((flags & h2.HAS_PRIORITY) !== 0) {
      if (fragment.length < 5) throw new h2.Http2Error("FRAME_SIZE_ERROR", "HEADERS too short for its priority");
      fragment = fragment.subarray(5);
    }
    const end = (flags & h2.END_STREAM) !== 0;
    if ((flags & h2.END_HEADERS) !== 0) return this.headers(id, this.#decoder.decode(fragment), end);
    this.#blockStream = id;
    this.#blockEnds = end;
    this.#blockFrames = 1;
    this.#block.put(fragment);
  }

  #onContinuation(flags: number, payload: Uint8Array): void {
    const id = this.#blockStream;
    if (id === 0) throw broken("CONTINUATION without HEADERS");
    this.#blockFrames++;
    if (this.#block.length + payload.length > MAX_BLOCK || this.#blockFrames > MAX_BLOCK_FRAMES) {
      throw new h2.Http2Error("ENHANCE_YOUR_CALM", "a header block without end");
    }
    this.#block.put(payload);
    if ((flags & h2.END_HEADERS) === 0) return;
    this.#blockStream = 0;
    const block = this.#decoder.decode(this.#block.taken());
    this.headers(id, block, this.#blockEnds);
  }

  /** A stream whose peer broke a rule is reset (RFC 9113 §8.1.1). */
  #judge(stream: Http2Stream, rule: string | undefined): void {
    if (rule === undefined) return;
    this.resetById(stream.id, "PROTOCOL_ERROR");
    stream.fail({ kind: "malformed", detail: rule });
  }

  /** The trailers of a stream (RFC 9113 §8.1). */
  protected receiveTrailers(stream: Http2Stream, block: HeaderBlock | undefined, end: boolean): void {
    if (stream.remoteEnded) throw new h2.Http2Error("STREAM_CLOSED", "HEADERS on a closed stream");
    if (block === undefined) return this.#judge(stream, "trailers_too_large");
    if (!end) return this.#judge(stream, "trailers_without_end");
    this.#judge(stream, stream.receiveEnd(block.fields));
  }

  /** HEADERS on a stream that is not there. */
  protected headersOnClosed(id: number): void {
    if (this.#resetByUs.has(id)) return this.#countNoise();
    throw new h2.Http2Error("STREAM_CLOSED", "HEADERS on a closed stream");
  }

  #onReset(id: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new h2.Http2Error("FRAME_SIZE_ERROR", "RST_STREAM of the wrong length");
    if (id === 0 || this.isIdle(id)) throw broken("RST_STREAM on an idle stream");
    this.#countNoise();
    const stream = this.streams.get(id);
    if (stream !== undefined) this.streamReset(stream, h2.uint32At(payload, 0));
  }

  #onPing(id: number, flags: number, payload: Uint8Array): void {
    if (id !== 0) throw broken("PING on a stream");
    if (payload.length !== 8) throw new h2.Http2Error("FRAME_SIZE_ERROR", "PING of the wrong length");
    if ((flags & h2.ACK) !== 0) return this.pong();
    this.#countNoise();
    h2.writeFrameHeader(this.out, 8, h2.PING, h2.ACK, 0);
    this.out.put(payload);
    this.flushSoon();
  }

  #onWindowUpdate(id: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new h2.Http2Error("FRAME_SIZE_ERROR", "WINDOW_UPDATE of the wrong length");
    const increment = h2.uint32At(payload, 0) & 0x7fffffff;
    this.#countNoise();
    if (id === 0) {
      if (increment === 0) throw broken("WINDOW_UPDATE of nothing");
      this.#sendWindow += increment;
      if (this.#sendWindow > h2.MAX_WINDOW) throw new h2.Http2Error("FLOW_CONTROL_ERROR", "a window over 2^31-1");
      return this.#pump();
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) throw broken("WINDOW_UPDATE on an idle stream");
      return;
    }
    stream.sendWindow += increment;
    if (increment === 0 || stream.sendWindow > h2.MAX_WINDOW) {
      this.resetById(id, increment === 0 ? "PROTOCOL_ERROR" : "FLOW_CONTROL_ERROR");
      return stream.fail({ kind: "malformed", detail: "a wrong WINDOW_UPDATE" });
    }
    if (stream.waiting) {
      this.waitToSend(stream);
      this.#pump();
    }
  }

  #onSettings(id: number, flags: number, payload: Uint8Array): void {
    if (id !== 0) throw broken("SETTINGS on a stream");
    const ack = (flags & h2.ACK) !== 0;
    if (payload.length % 6 !== 0 || (ack && payload.length > 0)) {
      throw new h2.Http2Error("FRAME_SIZE_ERROR", "SETTINGS of the wrong length");
    }
    if (ack) {
      if (!this.#sawSettings) throw broken("the first frame must be SETTINGS");
      return;
    }
    if (this.#sawSettings) this.#countNoise();
    else this.peerMaxStreams = h2.MAX_WINDOW; // no limit where it names none
    this.#sawSettings = true;
    this.peerConnectProtocol ??= false;
    if (payload.length > 6 * 64) throw new h2.Http2Error("ENHANCE_YOUR_CALM", "SETTINGS without end");
    for (let at = 0; at < payload.length; at += 6) {
      this.#onSetting(((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0), h2.uint32At(payload, at + 2));
    }
    h2.writeFrameHeader(this.out, 0, h2.SETTINGS, h2.ACK, 0);
    this.flushSoon();
    this.settingsChanged();
    this.#pump();
  }

  /** The peer's SETTINGS are others now. */
  protected settingsChanged(): void {}

  #onSetting(id: number, value: number): void {
    switch (id) {
      case h2.SETTINGS_HEADER_TABLE_SIZE:
        return this.#encoder.setMaxTableSize(value);
      case h2.SETTINGS_ENABLE_PUSH:
        if (value > 1) throw broken("ENABLE_PUSH is neither 0 nor 1");
        return;
      case h2.SETTINGS_MAX_CONCURRENT_STREAMS:
        this.peerMaxStreams = value;
        return;
      case h2.SETTINGS_INITIAL_WINDOW_SIZE:
        return this.#setInitialWindow(value);
      case h2.SETTINGS_MAX_FRAME_SIZE:
        if (value < h2.MAX_FRAME_LENGTH || value > 2 ** 24 - 1) throw broken("MAX_FRAME_SIZE out of range");
        // Larger frames would hold up the other streams, and need larger buffers.
        return;
      case h2.SETTINGS_ENABLE_CONNECT_PROTOCOL:
        if (value > 1) throw broken("ENABLE_CONNECT_PROTOCOL is neither 0 nor 1");
        this.peerConnectProtocol = value === 1;
        return;
    }
  }

  /** RFC 9113 §6.9.2: the windows of open streams change by the difference. */
  #setInitialWindow(value: number): void {
    if (value > h2.MAX_WINDOW) throw new h2.Http2Error("FLOW_CONTROL_ERROR", "INITIAL_WINDOW_SIZE over 2^31-1");
    const difference = value - this.#peerInitialWindow;
    this.#peerInitialWindow = value;
    for (const stream of this.streams.values()) {
      stream.sendWindow += difference;
      if (stream.sendWindow > h2.MAX_WINDOW) throw new h2.Http2Error("FLOW_CONTROL_ERROR", "a window over 2^31-1");
      if (stream.waiting) this.waitToSend(stream);
    }
  }

  /** The window that a new stream begins with. */
  protected get initialSendWindow(): number {
    return this.#peerInitialWindow;
  }

  /** Counts a frame that does nothing useful by itself: a leaky bucket. */
  #countNoise(): void {
    if (++this.#noise < NOISE_BURST) return;
    const now = performance.now();
    this.#noise = Math.max(0, this.#noise - (now - this.#noiseSince) * NOISE_PER_SECOND / 1000);
    this.#noiseSince = now;
    if (this.#noise >= NOISE_BURST) throw new h2.Http2Error("ENHANCE_YOUR_CALM", "too many frames to no purpose");
  }
}

/** The length of the frame that begins at `at`, its header included; `undefined` where its header is not whole. */
function frameLength(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length - at < h2.FRAME_HEADER_LENGTH) return undefined;
  const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
  if (length > h2.MAX_FRAME_LENGTH) throw new h2.Http2Error("FRAME_SIZE_ERROR", "a frame over 16,384 octets");
  return length + h2.FRAME_HEADER_LENGTH;
}

/** RFC 9113 §6.1. */
function withoutPadding(flags: number, payload: Uint8Array): Uint8Array {
  if ((flags & h2.PADDED) === 0) return payload;
  const padding = payload[0];
  if (padding === undefined) throw new h2.Http2Error("FRAME_SIZE_ERROR", "a padded frame without its padding");
  if (padding >= payload.length) throw broken("padding longer than the frame");
  return payload.subarray(1, payload.length - padding);
}

function broken(message: string): h2.Http2Error {
  return new h2.Http2Error("PROTOCOL_ERROR", message);
}
