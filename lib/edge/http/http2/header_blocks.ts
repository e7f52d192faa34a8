/**
 * Header blocks out of HEADERS and CONTINUATION (RFC 9113 §4.3).
 *
 * @module
 */

import { ByteWriter } from "../../../wire/byte_writer.ts";
import { type HeaderBlock, HpackDecoder } from "../../../wire/hpack_decoder.ts";
import { breach, HAS_PRIORITY, Http2Error, PADDED } from "../../../wire/http2_frames.ts";
import { HEAD_LIMITS } from "../head_limits.ts";

/** The longest list of fields, each with 32 octets more (RFC 9113 §6.5.2). */
export const MAX_HEADER_LIST = HEAD_LIMITS.maxLength;
/**
 * The longest header block, and the most frames it may come in: more is an attack (CVE-2024-27316). It is longer than any
 * that is taken, so that one that is too large is told so, and the other requests of its connection go on.
 */
const MAX_BLOCK = 256 * 1024;
const MAX_BLOCK_FRAMES = 64;
/** What the peer's encoder starts with, which we leave as it is. */
const HEADER_TABLE_SIZE = 4096;

/** See the module. Each block is decoded, whatever stream it is for: the table of the connection depends on it. */
const EMPTY = new ByteWriter(0);

export class HeaderBlocks {
  readonly #decoder = new HpackDecoder(HEADER_TABLE_SIZE, MAX_HEADER_LIST);
  /** The block that has begun, and is kept until its end has come. */
  #block = EMPTY;
  #frames = 0;
  /** Of which stream: 0 where none has begun. */
  stream = 0;
  /** Whether its HEADERS ended the stream. */
  endsStream = false;

  /** A block that came in a single frame. @returns `undefined` where its list is too large. */
  decode(fragment: Uint8Array): HeaderBlock | undefined {
    return this.#decoder.decode(fragment);
  }

  /** Begins a block with what came in HEADERS. */
  begin(stream: number, fragment: Uint8Array, endsStream: boolean): void {
    this.stream = stream;
    this.endsStream = endsStream;
    this.#frames = 1;
    this.#block = new ByteWriter(fragment.length);
    this.#block.put(fragment);
  }

  /** Adds what came in CONTINUATION. */
  add(fragment: Uint8Array): void {
    if (this.stream === 0) throw breach("CONTINUATION without HEADERS");
    this.#frames++;
    if (this.#block.length + fragment.length > MAX_BLOCK || this.#frames > MAX_BLOCK_FRAMES) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a header block without end");
    }
    this.#block.put(fragment);
  }

  /** Ends the block. @returns As `decode`. */
  end(): HeaderBlock | undefined {
    const block = this.#block.written;
    this.stream = 0;
    this.#block = EMPTY;
    return this.#decoder.decode(block);
  }
}

/** What of HEADERS is a header block: neither padding nor priority (RFC 9113 §6.2). */
export function headerFragment(flags: number, payload: Uint8Array): Uint8Array {
  const fragment = withoutPadding(flags, payload);
  if ((flags & HAS_PRIORITY) === 0) return fragment;
  if (fragment.length < 5) throw new Http2Error("FRAME_SIZE_ERROR", "HEADERS too short for its priority");
  return fragment.subarray(5);
}

/** The payload of HEADERS or DATA without its padding (RFC 9113 §6.1). */
export function withoutPadding(flags: number, payload: Uint8Array): Uint8Array {
  if ((flags & PADDED) === 0) return payload;
  const padding = payload[0];
  if (padding === undefined) throw new Http2Error("FRAME_SIZE_ERROR", "a padded frame without its padding");
  if (padding >= payload.length) throw breach("padding longer than the frame");
  return payload.subarray(1, payload.length - padding);
}
