/**
 * A client's side of an HTTP/2 connection without its GOAWAY frames (RFC 9113 §6.8).
 *
 * @module
 */

import { FRAME_HEADER_LENGTH, GOAWAY, PREFACE } from "../wire/http2_frames.ts";

/**
 * Takes GOAWAY frames out of what a client sends; all else passes as it is, sound or not.
 *
 * By GOAWAY a client says that it will not read pushed streams any more, of which there are none, and mostly that it is
 * about to leave, which the end of its connection says too. The HTTP/2 of Deno 2.9.6 must not see it: now and then its
 * nghttp2 fails an assertion over it (`find_stream_on_goaway_func`), which ends the whole program
 * (https://github.com/denoland/deno/issues/36788).
 */
export class GoawayFilter {
  /** How much is still to come of the preface or of a frame behind its header. */
  #left = PREFACE.length;
  #passes = true;
  readonly #header = new Uint8Array(FRAME_HEADER_LENGTH);
  #headerLength = 0;

  /** What passes of these octets, which may begin and end anywhere; the header of a frame is kept until it is whole. */
  filter(bytes: Uint8Array): Uint8Array {
    const passed = new Uint8Array(this.#headerLength + bytes.length);
    let length = 0;
    const pass = (part: Uint8Array) => {
      passed.set(part, length);
      length += part.length;
    };
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const part = bytes.subarray(at, at + this.#left);
        if (this.#passes) pass(part);
        this.#left -= part.length;
        at += part.length;
        continue;
      }
      const part = bytes.subarray(at, at + FRAME_HEADER_LENGTH - this.#headerLength);
      this.#header.set(part, this.#headerLength);
      this.#headerLength += part.length;
      at += part.length;
      if (this.#headerLength < FRAME_HEADER_LENGTH) break;
      this.#headerLength = 0;
      const [high = 0, middle = 0, low = 0, type] = this.#header;
      this.#left = high << 16 | middle << 8 | low;
      this.#passes = type !== GOAWAY;
      if (this.#passes) pass(this.#header);
    }
    return passed.subarray(0, length);
  }
}
