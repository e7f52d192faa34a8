/**
 * Octets of an HTTP/2 connection as frames (RFC 9113 §4.1).
 *
 * @module
 */

import { ByteWriter } from "../../../wire/byte_writer.ts";
import { FRAME_HEADER_LENGTH, Http2Error, MAX_FRAME_LENGTH, uint32At } from "../../../wire/http2_frames.ts";

/**
 * Takes a frame.
 *
 * @param payload Valid during the call only.
 * @returns Whether more frames are wanted.
 */
export type OnFrame = (type: number, flags: number, stream: number, payload: Uint8Array) => boolean;

/** Buffers for frames that come in parts. They are shared, since most connections have none most of the time. */
const SPARE: ByteWriter[] = [];
const MAX_SPARE = 64;

/** See the module. A frame whose end has not come is kept: one, of 16,384 octets at most. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #partial: ByteWriter | undefined;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** The type of the frame that came in part, where that is known. */
  get partialType(): number | undefined {
    return this.#partial?.written[3];
  }

  /** Takes octets in any portions. @throws {Http2Error} If a frame is too long, or as `onFrame` does. */
  read(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#partial !== undefined) {
        at = this.#complete(this.#partial, bytes, at);
        continue;
      }
      const length = frameLength(bytes, at);
      if (length === undefined || at + length > bytes.length) {
        this.#partial = SPARE.pop() ?? new ByteWriter(FRAME_HEADER_LENGTH + MAX_FRAME_LENGTH);
        this.#partial.put(bytes.subarray(at));
        return;
      }
      if (!this.#frame(bytes, at, length)) return;
      at += length;
    }
  }

  /** Gives up the frame whose end has not come. */
  stop(): void {
    if (this.#partial !== undefined) give(this.#partial);
    this.#partial = undefined;
  }

  /** Adds to a frame that came in part. @returns Where the next begins. */
  #complete(partial: ByteWriter, bytes: Uint8Array, at: number): number {
    if (partial.length < FRAME_HEADER_LENGTH) {
      const taken = Math.min(FRAME_HEADER_LENGTH - partial.length, bytes.length - at);
      partial.put(bytes.subarray(at, at + taken));
      at += taken;
    }
    const length = frameLength(partial.written, 0);
    if (length === undefined) return at;
    const taken = Math.min(length - partial.length, bytes.length - at);
    partial.put(bytes.subarray(at, at + taken));
    if (partial.length < length) return at + taken;
    this.#partial = undefined;
    try {
      return this.#frame(partial.bytes, 0, length) ? at + taken : bytes.length;
    } finally {
      give(partial);
    }
  }

  #frame(bytes: Uint8Array, at: number, length: number): boolean {
    const payload = bytes.subarray(at + FRAME_HEADER_LENGTH, at + length);
    return this.#onFrame(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, uint32At(bytes, at + 5) & 0x7fffffff, payload);
  }
}

function give(buffer: ByteWriter): void {
  buffer.clear();
  if (SPARE.length < MAX_SPARE) SPARE.push(buffer);
}

/** The length of the frame that begins at `at`, its header included; `undefined` where its header is not whole. */
function frameLength(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length - at < FRAME_HEADER_LENGTH) return undefined;
  const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
  if (length > MAX_FRAME_LENGTH) throw new Http2Error("FRAME_SIZE_ERROR", "a frame over 16,384 octets");
  return length + FRAME_HEADER_LENGTH;
}
