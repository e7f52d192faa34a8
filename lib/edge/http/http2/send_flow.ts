/**
 * What streams send, as far as the peer's windows and the network go (RFC 9113 §5.2).
 *
 * @module
 */

import * as h2 from "../../../wire/http2_frames.ts";
import type { Http2Output } from "./output.ts";
import { HIGH_WATER } from "../transport.ts";

/** A stream that sends. */
export interface Sender {
  readonly id: number;
  /** What the peer lets it send; negative after its initial window was lowered (RFC 9113 §6.9.2). */
  sendWindow: number;
  /** How many bytes wait to be sent. */
  readonly waiting: number;
  /** Sends one frame of what waits. */
  sendWaiting(): void;
}

/** See the module. */
export class SendFlow {
  readonly #output: Http2Output;
  readonly #leastUseful: number;
  readonly #useful: () => void;
  /** What the peer lets all streams together send. */
  #window = h2.DEFAULT_WINDOW;
  /** What it lets a new stream send. */
  #initialWindow = h2.DEFAULT_WINDOW;
  /** Streams that could send, but for the connection's window and the network. The next in turn is the first. */
  readonly #ready = new Set<Sender>();
  /** Whether the connection's window has cut the last frame short. */
  #isCut = false;

  /**
   * @param leastUseful A frame that the window cut shorter is of no use.
   * @param useful Told of each frame that is of use.
   */
  constructor(output: Http2Output, leastUseful: number, useful: () => void) {
    this.#output = output;
    this.#leastUseful = leastUseful;
    this.#useful = useful;
  }

  get initialWindow(): number {
    return this.#initialWindow;
  }

  /** Sends what may leave of `bytes`. @returns How much that was. */
  send(stream: Sender, bytes: Uint8Array): number {
    if (this.#isBlocked) return 0;
    this.#output.reserveData(Math.min(bytes.length, HIGH_WATER));
    let sent = 0;
    while (sent < bytes.length) {
      const written = this.sendFrame(stream, sent === 0 ? bytes : bytes.subarray(sent));
      if (written === 0) break;
      sent += written;
    }
    return sent;
  }

  /** Sends one frame, with what may leave of `bytes`. @returns How much that was. */
  sendFrame(stream: Sender, bytes: Uint8Array): number {
    if (this.#isBlocked) return 0;
    const length = Math.min(bytes.length, h2.MAX_FRAME_LENGTH, this.#window, stream.sendWindow);
    if (length <= 0) return 0;
    this.#isCut = length === this.#window && length < Math.min(bytes.length, h2.MAX_FRAME_LENGTH, stream.sendWindow);
    this.#window -= length;
    stream.sendWindow -= length;
    this.#output.data(stream.id, length === bytes.length ? bytes : bytes.subarray(0, length));
    if (length >= this.#leastUseful || length === bytes.length) this.#useful();
    return length;
  }

  /** Has a stream send what waits once that can leave. */
  wait(stream: Sender): void {
    if (stream.waiting > 0 && stream.sendWindow > 0) this.#ready.add(stream);
  }

  forget(stream: Sender): void {
    this.#ready.delete(stream);
  }

  /** The peer lets all streams together send more. */
  widen(increment: number): void {
    this.#window += increment;
    if (this.#window > h2.MAX_WINDOW) throw new h2.Http2Error("FLOW_CONTROL_ERROR", "a window over 2^31-1");
    this.pump();
  }

  /** The peer lets one stream send more. @returns Whether its window is not too large now. */
  widenStream(stream: Sender, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > h2.MAX_WINDOW) return false;
    this.wait(stream);
    this.pump();
    return true;
  }

  /** RFC 9113 §6.9.2: the windows of open streams change by the difference. */
  setInitialWindow(size: number, streams: Iterable<Sender>): void {
    const difference = size - this.#initialWindow;
    this.#initialWindow = size;
    for (const stream of streams) {
      stream.sendWindow += difference;
      if (stream.sendWindow > h2.MAX_WINDOW) throw new h2.Http2Error("FLOW_CONTROL_ERROR", "a window over 2^31-1");
      this.wait(stream);
    }
    this.pump();
  }

  /** Sends a frame of each stream in turn, until none can send any more. */
  pump(): void {
    // A stream that is put back is come to again: a set is walked in the order of insertion.
    for (const stream of this.#ready) {
      if (this.#isBlocked) return;
      this.#isCut = false;
      stream.sendWaiting();
      // It keeps its turn: otherwise a peer that grants little at a time would starve every other stream.
      if (this.#isCut) return;
      this.#ready.delete(stream);
      this.wait(stream);
    }
  }

  get #isBlocked(): boolean {
    return this.#window <= 0 || this.#output.backlog >= HIGH_WATER;
  }
}
