/**
 * The backend's side of connections of HTTP, both versions.
 *
 * @module
 */

import { FRAME_HEADER_LENGTH, setFrameHeader } from "../../lib/wire/http2_frames.ts";
import {
  ACK,
  BODY_HEAD,
  BODY_HEAD_1,
  BODY_LENGTH,
  DATA,
  DEFAULT_WINDOW,
  END_STREAM,
  frame,
  frameLength,
  GRPC_ANSWER,
  HEADERS,
  type HttpBehaviour,
  join,
  MAX_FRAME_LENGTH,
  OPEN_WINDOWS,
  PING,
  PREFACE,
  RST_STREAM,
  setStreams,
  SETTINGS,
  SETTINGS_INITIAL_WINDOW_SIZE,
  SMALL_ANSWER,
  SMALL_ANSWER_1,
  uint32At,
  WINDOW_UPDATE,
  windowUpdate,
} from "./http_protocol.ts";
import { type Poller, READABLE, RESET, WOULD_BLOCK, WRITABLE } from "./libc.ts";

const BUFFER = new Uint8Array(256 * 1024);
const CHUNK = new Uint8Array(256 * 1024);
const NOTHING = new Uint8Array(0);
const SETTINGS_ACK = frame(SETTINGS, ACK, 0, new Uint8Array(0));
/** What is received before it is credited. */
const CREDITED = 1024 * 1024;
/** Frames of a download that are written at once: as long as each other, so that only their headers are made. */
const FRAMES = new Uint8Array(16 * (FRAME_HEADER_LENGTH + MAX_FRAME_LENGTH));

/** Bytes both ways, as {@linkcode receive} and {@linkcode send} give and take them, in clear or over TLS. */
export interface Socket {
  readonly fd: number;
  read(buffer: Uint8Array<ArrayBuffer>): number;
  send(bytes: Uint8Array<ArrayBuffer>): number;
  close(): void;
}

/** What is common to both versions: bytes that wait, and an end. */
abstract class Peer {
  readonly #socket: Socket;
  readonly #poller: Poller;
  #unsent: Uint8Array<ArrayBuffer> | undefined;
  #unread: Uint8Array = NOTHING;
  #watched = READABLE;

  constructor(socket: Socket, poller: Poller) {
    this.#socket = socket;
    this.#poller = poller;
    poller.add(socket.fd, READABLE);
  }

  /** @returns How many of `bytes` were used; the rest comes again, with more behind it. */
  protected abstract take(bytes: Uint8Array): number;
  /** There is room to send, and nothing waits. @returns Whether there is more to send. */
  protected abstract more(): boolean;

  /** One read: a record of TLS is never longer than what there is room for, so what is left is the kernel's to tell of. */
  onReadable(): void {
    const kept = this.#unread.length;
    BUFFER.set(this.#unread);
    const n = this.#socket.read(BUFFER.subarray(kept));
    if (n === WOULD_BLOCK) return;
    if (n <= 0) return this.#socket.close();
    const bytes = BUFFER.subarray(0, kept + n);
    const used = this.take(bytes);
    this.#unread = used === bytes.length ? NOTHING : bytes.slice(used);
    this.#continue();
  }

  onWritable(): void {
    const bytes = this.#unsent;
    this.#unsent = undefined;
    if (bytes !== undefined) this.write(bytes);
    this.#continue();
  }

  /** Sends what is more, until there is no room, and watches for what is to come next. */
  #continue(): void {
    let more = true;
    while (more && this.#unsent === undefined) more = this.more();
    const watched = this.#unsent === undefined ? READABLE : READABLE | WRITABLE;
    if (watched !== this.#watched) this.#poller.change(this.#socket.fd, watched);
    this.#watched = watched;
  }

  /** Sends all of it, by and by. */
  protected write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#unsent !== undefined) return void (this.#unsent = join(this.#unsent, bytes));
    const sent = this.writeSome(bytes);
    if (sent < bytes.length) this.#unsent = bytes.slice(sent);
  }

  /** Sends what there is room for. @returns How much; what is behind it is the caller's to keep. */
  protected writeSome(bytes: Uint8Array<ArrayBuffer>): number {
    const sent = this.#socket.send(bytes);
    return sent === WOULD_BLOCK || sent === RESET ? 0 : sent;
  }

  protected keep(bytes: Uint8Array<ArrayBuffer>): void {
    this.#unsent = bytes;
  }
}

/** A connection of HTTP/2. */
export class Http2Peer extends Peer {
  readonly #behaviour: HttpBehaviour;
  readonly #answer: Uint8Array<ArrayBuffer>;
  /** Answers of one turn, sent together. */
  #answers: Uint8Array<ArrayBuffer>[] = [];
  #preface = false;
  #received = 0;
  #window = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  /** Downloads under way. */
  readonly #downloads = new Map<number, { window: number; left: number }>();

  constructor(socket: Socket, poller: Poller, behaviour: HttpBehaviour) {
    super(socket, poller);
    this.#behaviour = behaviour;
    this.#answer = behaviour === "grpc" ? GRPC_ANSWER : behaviour === "body" ? BODY_HEAD : SMALL_ANSWER;
  }

  protected take(bytes: Uint8Array): number {
    let at = 0;
    if (!this.#preface) {
      if (bytes.length < PREFACE.length) return 0;
      at = PREFACE.length;
      this.#preface = true;
      this.#answers.push(OPEN_WINDOWS);
    }
    while (bytes.length - at >= FRAME_HEADER_LENGTH) {
      const length = frameLength(bytes, at);
      const next = at + FRAME_HEADER_LENGTH + length;
      if (next > bytes.length) break;
      this.#frame(bytes, at, length);
      at = next;
    }
    const answers = this.#answers;
    this.#answers = [];
    if (answers.length > 0) this.write(join(...answers));
    return at;
  }

  #frame(bytes: Uint8Array, at: number, length: number): void {
    const type = bytes[at + 3];
    const flags = bytes[at + 4] ?? 0;
    const stream = uint32At(bytes, at + 5);
    const payload = at + FRAME_HEADER_LENGTH;
    switch (type) {
      case HEADERS:
        if ((flags & END_STREAM) !== 0) this.#onRequest(stream);
        return;
      case DATA:
        this.#credit(length);
        if ((flags & END_STREAM) !== 0) this.#onRequest(stream);
        return;
      case SETTINGS:
        if ((flags & ACK) === 0) this.#onSettings(bytes.subarray(payload, payload + length));
        return;
      case WINDOW_UPDATE:
        return this.#widen(stream, uint32At(bytes, payload));
      case PING:
        if ((flags & ACK) === 0) this.#answers.push(frame(PING, ACK, 0, bytes.subarray(payload, payload + length)));
        return;
      case RST_STREAM:
        this.#downloads.delete(stream);
    }
  }

  #onRequest(stream: number): void {
    const answer = this.#answer.slice();
    setStreams(answer, stream);
    this.#answers.push(answer);
    if (this.#behaviour === "body") {
      this.#downloads.set(stream, { window: this.#initialWindow, left: BODY_LENGTH });
    }
  }

  #credit(length: number): void {
    this.#received += length;
    if (this.#received < CREDITED) return;
    this.#answers.push(windowUpdate(this.#received));
    this.#received = 0;
  }

  #onSettings(settings: Uint8Array): void {
    for (let at = 0; at < settings.length; at += 6) {
      if (settings[at + 1] !== SETTINGS_INITIAL_WINDOW_SIZE) continue;
      const size = uint32At(settings, at + 2);
      for (const download of this.#downloads.values()) download.window += size - this.#initialWindow;
      this.#initialWindow = size;
    }
    this.#answers.push(SETTINGS_ACK);
  }

  #widen(stream: number, increment: number): void {
    if (stream === 0) return void (this.#window += increment);
    const download = this.#downloads.get(stream);
    if (download !== undefined) download.window += increment;
  }

  /** Frames of one download; the next is another's. */
  protected more(): boolean {
    for (const [stream, download] of this.#downloads) {
      if (this.#window <= 0) return false;
      const allowed = Math.min(this.#window, download.window, download.left);
      if (allowed <= 0) continue;
      const taken = this.#sendFrames(stream, allowed, download.left);
      this.#window -= taken;
      download.window -= taken;
      download.left -= taken;
      this.#downloads.delete(stream);
      if (download.left > 0) this.#downloads.set(stream, download);
      return true;
    }
    return false;
  }

  /** @returns How many bytes of the body have gone, or will without fail. */
  #sendFrames(stream: number, allowed: number, left: number): number {
    const whole = FRAME_HEADER_LENGTH + MAX_FRAME_LENGTH;
    let written = 0;
    for (let body = 0; body < allowed && written < FRAMES.length;) {
      const length = Math.min(MAX_FRAME_LENGTH, allowed - body);
      body += length;
      setFrameHeader(FRAMES, written, length, DATA, body === left ? END_STREAM : 0, stream);
      written += FRAME_HEADER_LENGTH + length;
    }
    const sent = this.writeSome(FRAMES.subarray(0, written));
    // The frame that has gone in part has to follow; those behind it have not begun.
    const end = Math.min(written, Math.ceil(Math.max(sent, 1) / whole) * whole);
    if (sent < end) this.keep(FRAMES.slice(sent, end));
    return end - Math.ceil(end / whole) * FRAME_HEADER_LENGTH;
  }
}

/** A connection of HTTP/1.1, for a proxy that has no HTTP/2 to its backends. Requests come one at a time, without a body. */
export class Http1Peer extends Peer {
  readonly #downloads: boolean;
  #left = 0;

  constructor(socket: Socket, poller: Poller, behaviour: HttpBehaviour) {
    super(socket, poller);
    this.#downloads = behaviour === "body1";
  }

  protected take(bytes: Uint8Array): number {
    const [a, b, c, d] = bytes.subarray(-4);
    if (a !== 13 || b !== 10 || c !== 13 || d !== 10) return 0;
    this.#left = this.#downloads ? BODY_LENGTH : 0;
    this.write(this.#downloads ? BODY_HEAD_1 : SMALL_ANSWER_1);
    return bytes.length;
  }

  protected more(): boolean {
    if (this.#left === 0) return false;
    const chunk = this.#left < CHUNK.length ? CHUNK.subarray(0, this.#left) : CHUNK;
    const sent = this.writeSome(chunk);
    if (sent === 0) this.keep(chunk.slice());
    this.#left -= sent === 0 ? chunk.length : sent;
    return this.#left > 0;
  }
}
