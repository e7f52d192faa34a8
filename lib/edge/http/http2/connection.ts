/**
 * An HTTP/2 connection (RFC 9113): the rules that hold for both roles.
 *
 * Nothing waits here: bytes come in through `received`, and what they lead to goes out in one write at the end of the
 * turn. What a peer can have us keep is bounded: by the windows, by the length of a header block, and because nothing
 * more is read from a peer that does not take what it is sent.
 *
 * @module
 */

import { Timer } from "../../deadlines.ts";
import { type HeaderBlock, HpackError } from "../../../wire/hpack_decoder.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import type { ErrorCode } from "../../../wire/http2_frames.ts";
import { readTrailers } from "./head.ts";
import { HeaderBlocks, headerFragment, withoutPadding } from "./header_blocks.ts";
import { FrameReader } from "./frame_reader.ts";
import { NoiseLimit } from "./noise.ts";
import { Http2Output } from "./output.ts";
import { ReceiveWindow } from "./receive_window.ts";
import { ResetStreams } from "./reset_streams.ts";
import { SendFlow } from "./send_flow.ts";
import { readSettings, type ReceivedSettings } from "./settings.ts";
import { type Http2Stream, MAX_RECEIVE_WINDOW, type StreamOwner } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";
import { HIGH_WATER, type Transport, type TransportEvents } from "../transport.ts";

/** How long a peer may take to read the GOAWAY that ends its connection. */
const LINGER_MS = 1_000;

/**
 * What the windows of all streams together may grow by: clients that read much of many answers, and then nothing, can
 * have us hold that, and the first 64 KiB of each, but not the largest window of each.
 */
const MAX_GROWTH = 8 * 1024 * 1024;

/** Settings by their numbers. */
export type Settings = readonly (readonly [id: number, value: number])[];

/** In what the roles differ from the beginning. */
export interface RoleOptions {
  /** What all streams together may send us before it is credited. */
  readonly windowSize: number;
  /** Whether the connection's window is credited as bytes come, and only that of a stream when they are dealt with. */
  readonly creditsAtOnce: boolean;
  /** Whether the header fields that we send are Huffman-coded. */
  readonly huffman: boolean;
  /** A frame of ours that the peer's window cuts shorter than this makes good none of the peer's noise. */
  readonly leastUsefulFrame: number;
}

/** See the module. */
export abstract class Http2Connection implements TransportEvents, StreamOwner {
  readonly output: Http2Output;
  readonly sendFlow: SendFlow;
  protected readonly transport: Transport;
  protected readonly streams: StreamTable<Http2Stream> = new StreamTable();
  protected readonly noise: NoiseLimit;
  readonly #frames = new FrameReader((type, flags, id, payload) => this.#frame(type, flags, id, payload));
  readonly #blocks = new HeaderBlocks();
  readonly #window: ReceiveWindow;
  readonly #creditsAtOnce: boolean;
  readonly #resetByUs = new ResetStreams();
  /** What the windows of open streams have grown by. */
  #growth = 0;
  #sawSettings = false;
  #paused = false;
  #linger: Timer | undefined;
  /** No frame is read or written any more. */
  protected over = false;

  constructor(transport: Transport, options: RoleOptions) {
    const { windowSize, creditsAtOnce, huffman, leastUsefulFrame } = options;
    this.transport = transport;
    this.noise = new NoiseLimit(transport.turn);
    this.output = new Http2Output(transport, huffman, () => this.#flushed());
    this.sendFlow = new SendFlow(this.output, leastUsefulFrame, () => this.noise.useful());
    this.#window = new ReceiveWindow(windowSize, windowSize);
    this.#creditsAtOnce = creditsAtOnce;
  }

  /** Writes our SETTINGS. */
  protected begin(settings: Settings): void {
    this.output.settings(settings);
    this.output.windowUpdate(0, this.#window.size - h2.DEFAULT_WINDOW);
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
  /** @param isBreach Whether it was ended for a breach of the protocol by the peer. */
  protected abstract connectionClosed(error: string | undefined, isBreach: boolean): void;
  /** The peer's SETTINGS came. @param first Whether none had come before. */
  protected abstract settingsReceived(settings: ReceivedSettings, first: boolean): void;
  protected pong(): void {}

  // ---- What streams use ----------------------------------------------------------------------------------------------

  /** Resets a stream, even one that has not become one. */
  reset(id: number, code: ErrorCode): void {
    if (this.over) return;
    this.output.reset(id, code);
    this.#resetByUs.add(id);
  }

  /** So many bytes are dealt with, whatever stream they came on. */
  credit(bytes: number): void {
    if (!this.#creditsAtOnce) this.#credit(bytes);
  }

  #credit(bytes: number): void {
    const increment = this.#window.credit(bytes);
    if (increment > 0) this.output.windowUpdate(0, increment);
  }

  /** Whether the window of one more stream may grow. */
  get streamsMayGrow(): boolean {
    return this.#growth + MAX_RECEIVE_WINDOW / 2 <= MAX_GROWTH;
  }

  /** The window of a stream has grown; by less than nothing where the stream is over. */
  streamGrew(bytes: number): void {
    this.#growth += bytes;
  }

  /** A stream is over. */
  forget(stream: Http2Stream): void {
    this.streams.delete(stream);
    this.sendFlow.forget(stream);
    if (!this.over) this.streamClosed();
  }

  // ---- The transport -------------------------------------------------------------------------------------------------

  received(bytes: Uint8Array): void {
    if (this.over) return;
    try {
      this.#frames.read(bytes);
    } catch (error) {
      if (error instanceof h2.Http2Error) return this.fail(error.code, error.message);
      if (error instanceof HpackError) return this.fail("COMPRESSION_ERROR", error.message);
      throw error;
    }
    if (this.#paused || this.over || this.output.backlog < HIGH_WATER * 2) return;
    this.#paused = true; // it has us answer more than it reads
    this.transport.pause();
  }

  ended(): void {
    if (this.over) return;
    this.#end("the peer closed the connection", this.streams.size === 0 ? undefined : "closed with open streams");
  }

  drained(): void {
    if (this.over) return;
    this.#resumeIfRoom();
    this.sendFlow.pump();
  }

  closed(error: string | undefined): void {
    this.#stopLingering();
    this.#finish(error ?? "the connection was closed", error);
  }

  #flushed(): void {
    this.#resumeIfRoom();
    this.sendFlow.pump();
  }

  #resumeIfRoom(): void {
    if (!this.#paused || this.output.backlog >= HIGH_WATER) return;
    this.#paused = false;
    this.transport.resume();
  }

  /** Ends the connection at once, and every stream with it. */
  protected destroy(detail: string): void {
    this.#stopLingering();
    this.#finish(detail, detail);
    this.transport.destroy();
  }

  /** Ends the connection for a breach of the protocol. */
  protected fail(code: ErrorCode, message: string): void {
    if (this.over) return;
    this.output.goAway(this.lastPeerStream, code);
    this.#end(`${code}: ${message}`, `${code}: ${message}`, true);
  }

  /** Ends a connection that has nothing to do any more. */
  protected endInOrder(): void {
    if (!this.over) this.#end("the connection has ended", undefined);
  }

  #end(detail: string, error: string | undefined, isBreach = false): void {
    this.output.flush();
    this.#finish(detail, error, isBreach);
    this.transport.end();
    // Unread bytes would have the system reset the connection, and what was sent last be lost.
    if (this.#paused) this.transport.resume();
    this.#linger = new Timer(() => this.transport.destroy());
    this.transport.turn.deadlines.set(this.#linger, LINGER_MS);
  }

  #stopLingering(): void {
    if (this.#linger !== undefined) this.transport.turn.deadlines.clear(this.#linger);
  }

  #finish(detail: string, error: string | undefined, isBreach = false): void {
    if (this.over) return;
    this.over = true;
    this.output.stop();
    this.#frames.stop();
    for (const stream of this.streams.values()) stream.fail({ kind: "reset", detail });
    this.connectionClosed(error, isBreach);
  }

  /** Whether a header block has begun and its end has not come. */
  protected get isHeadPending(): boolean {
    const { partialType } = this.#frames;
    return this.#blocks.stream !== 0 || partialType === h2.HEADERS || partialType === h2.CONTINUATION;
  }

  // ---- Frames --------------------------------------------------------------------------------------------------------

  /** @returns Whether the next is to be read. */
  #frame(type: number, flags: number, id: number, payload: Uint8Array): boolean {
    if (!this.#sawSettings && type !== h2.SETTINGS) throw h2.breach("the first frame must be SETTINGS");
    if (this.#blocks.stream !== 0 && (type !== h2.CONTINUATION || id !== this.#blocks.stream)) {
      throw h2.breach("a frame within a header block");
    }
    switch (type) {
      case h2.DATA:
        this.#onData(id, flags, payload);
        break;
      case h2.HEADERS:
        this.#onHeaders(id, flags, payload);
        break;
      case h2.CONTINUATION:
        this.#onContinuation(flags, payload);
        break;
      case h2.SETTINGS:
        this.#onSettings(id, flags, payload);
        break;
      case h2.WINDOW_UPDATE:
        this.#onWindowUpdate(id, payload);
        break;
      case h2.RST_STREAM:
        this.#onReset(id, payload);
        break;
      case h2.PING:
        this.#onPing(id, flags, payload);
        break;
      case h2.GOAWAY:
        this.#onGoAway(id, payload);
        break;
      case h2.PRIORITY: // of no effect (RFC 9113 §5.3.2)
        if (id === 0) throw h2.breach("PRIORITY without a stream");
        assertLength(payload, 5, "PRIORITY");
        this.noise.count();
        break;
      case h2.PUSH_PROMISE:
        throw h2.breach("PUSH_PROMISE, which was not allowed");
      default: // RFC 9113 §5.5: unknown types are passed over
        this.noise.count();
    }
    return !this.over;
  }

  #onData(id: number, flags: number, payload: Uint8Array): void {
    if (id === 0) throw h2.breach("DATA without a stream");
    if (!this.#window.take(payload.length)) {
      throw new h2.Http2Error("FLOW_CONTROL_ERROR", "more than the connection's window");
    }
    if (this.#creditsAtOnce) this.#credit(payload.length);
    const data = withoutPadding(flags, payload);
    const end = (flags & h2.END_STREAM) !== 0;
    if (data.length > 0) this.noise.useful();
    else if (!end) this.noise.count();
    const stream = this.streams.get(id);
    if (stream === undefined || stream.remoteEnded) {
      this.credit(payload.length);
      if (this.isIdle(id)) throw h2.breach("DATA on an idle stream");
      if (stream === undefined && this.#resetByUs.has(id)) return;
      throw new h2.Http2Error("STREAM_CLOSED", "DATA on a closed stream");
    }
    if (!stream.takeWindow(payload.length)) {
      return this.refuse(stream, "more than the stream's window", "FLOW_CONTROL_ERROR");
    }
    if (payload.length > data.length) stream.credit(payload.length - data.length);
    const rule = data.length > 0 ? stream.receiveData(data) : undefined;
    if (rule !== undefined) this.refuse(stream, rule);
    else if (end && !stream.closed) this.#endOf(stream);
  }

  #endOf(stream: Http2Stream): void {
    const rule = stream.receiveEnd(undefined);
    if (rule !== undefined) this.refuse(stream, rule);
  }

  #onHeaders(id: number, flags: number, payload: Uint8Array): void {
    if (id === 0) throw h2.breach("HEADERS without a stream");
    const fragment = headerFragment(flags, payload);
    const end = (flags & h2.END_STREAM) !== 0;
    if ((flags & h2.END_HEADERS) !== 0) this.headers(id, this.#blocks.decode(fragment), end);
    else this.#blocks.begin(id, fragment, end);
  }

  #onContinuation(flags: number, payload: Uint8Array): void {
    this.#blocks.add(payload);
    if ((flags & h2.END_HEADERS) === 0) return;
    const { stream, endsStream } = this.#blocks;
    this.headers(stream, this.#blocks.end(), endsStream);
  }

  /** HEADERS behind those that a stream began with (RFC 9113 §8.1). */
  protected trailers(stream: Http2Stream, block: HeaderBlock | undefined, end: boolean): void {
    if (stream.remoteEnded) throw new h2.Http2Error("STREAM_CLOSED", "HEADERS on a closed stream");
    if (block === undefined) return this.refuse(stream, "trailers_too_large");
    if (!end) return this.refuse(stream, "trailers_without_end");
    const trailers = readTrailers(block);
    const rule = "malformed" in trailers ? trailers.malformed : stream.receiveEnd(trailers);
    if (rule !== undefined) this.refuse(stream, rule);
  }

  /** HEADERS on a stream that is not there. */
  protected headersOnClosed(id: number): void {
    if (!this.#resetByUs.has(id)) throw new h2.Http2Error("STREAM_CLOSED", "HEADERS on a closed stream");
    this.noise.count();
  }

  /** The peer broke a rule on one stream alone (RFC 9113 §5.4.2). */
  protected refuse(stream: Http2Stream, rule: string, code: ErrorCode = "PROTOCOL_ERROR"): void {
    this.reset(stream.id, code);
    stream.fail({ kind: "malformed", detail: rule });
  }

  #onReset(id: number, payload: Uint8Array): void {
    assertLength(payload, 4, "RST_STREAM");
    if (id === 0 || this.isIdle(id)) throw h2.breach("RST_STREAM on an idle stream");
    this.noise.count();
    const stream = this.streams.get(id);
    if (stream !== undefined) this.streamReset(stream, h2.uint32At(payload, 0));
  }

  #onPing(id: number, flags: number, payload: Uint8Array): void {
    if (id !== 0) throw h2.breach("PING on a stream");
    assertLength(payload, 8, "PING");
    this.noise.count();
    if ((flags & h2.ACK) !== 0) this.pong();
    else this.output.ping(h2.ACK, payload);
  }

  #onGoAway(id: number, payload: Uint8Array): void {
    if (id !== 0) throw h2.breach("GOAWAY on a stream");
    if (payload.length < 8) throw new h2.Http2Error("FRAME_SIZE_ERROR", "GOAWAY of the wrong length");
    this.noise.count();
    this.goAway(h2.uint32At(payload, 0) & 0x7fffffff, h2.uint32At(payload, 4));
  }

  #onWindowUpdate(id: number, payload: Uint8Array): void {
    assertLength(payload, 4, "WINDOW_UPDATE");
    const increment = h2.uint32At(payload, 0) & 0x7fffffff;
    this.noise.count();
    if (id === 0) {
      if (increment === 0) throw h2.breach("WINDOW_UPDATE of nothing");
      return this.sendFlow.widen(increment);
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) throw h2.breach("WINDOW_UPDATE on an idle stream");
      return;
    }
    if (increment === 0) return this.refuse(stream, "WINDOW_UPDATE of nothing");
    if (!this.sendFlow.widenStream(stream, increment)) {
      this.refuse(stream, "a window over 2^31-1", "FLOW_CONTROL_ERROR");
    }
  }

  #onSettings(id: number, flags: number, payload: Uint8Array): void {
    if (id !== 0) throw h2.breach("SETTINGS on a stream");
    this.noise.count();
    if ((flags & h2.ACK) !== 0) {
      assertLength(payload, 0, "an acknowledgement of SETTINGS");
      if (!this.#sawSettings) throw h2.breach("the first frame must be SETTINGS");
      return;
    }
    const settings = readSettings(payload);
    this.output.settingsAck(); // ahead of what they release (RFC 9113 §6.5.3)
    for (const size of settings.headerTableSizes ?? []) this.output.setHeaderTableSize(size);
    if (settings.initialWindowSize !== undefined) {
      this.sendFlow.setInitialWindow(settings.initialWindowSize, this.streams.values());
    }
    const first = !this.#sawSettings;
    this.#sawSettings = true;
    this.settingsReceived(settings, first);
  }
}

function assertLength(payload: Uint8Array, length: number, what: string): void {
  if (payload.length !== length) throw new h2.Http2Error("FRAME_SIZE_ERROR", `${what} of the wrong length`);
}
