/**
 * The chunked transfer coding (RFC 9112 §7.1), as it is received.
 *
 * @module
 */

import type { HeadRule } from "./_http1_error.ts";
import type { HeadLimits } from "./_http1_section.ts";
import { TrailerCollector } from "./_http1_trailers.ts";
import { CR, LF, OCTET_CLASSES, VALUE } from "./_octets.ts";
import type { FieldList } from "./field_list.ts";

/** The rule that a chunked body breaks. */
export type ChunkedRule =
  /** A chunk size is not 1 to 16 hexadecimal digits with an extension or CR LF behind them. */
  | "chunk_size"
  /** A chunk size is beyond 2^53-1. */
  | "chunk_too_large"
  /** A chunk extension holds a control character. */
  | "chunk_extension"
  /** The extensions of a chunk have more than 256 octets. */
  | "chunk_extension_too_long"
  /** The octets behind a chunk's data are not CR LF. */
  | "chunk_end"
  /** As in a head; of trailers. */
  | HeadRule;

const MAX_SIZE_DIGITS = 16;
const MAX_EXTENSION_LENGTH = 256;

const SEMICOLON = 59;
const NO_DIGIT = 255;

const HEX_DIGITS: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet);
  return /[0-9a-fA-F]/.test(character) ? parseInt(character, 16) : NO_DIGIT;
});

/** What the next octet is part of. */
type Part = "size" | "extension" | "size_lf" | "data" | "data_cr" | "data_lf" | "trailers";

/**
 * Takes a chunked body apart, in whatever pieces it comes; keeps no octet of it but those of the trailer section.
 *
 * Sizes have no sign, no space and no more than 16 digits. Extensions are skipped (RFC 9112 §7.1.1). Trailer fields that
 * may not be trailers are dropped, as RFC 9110 §6.5.1 allows: see `mayBeTrailer`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const octets = new TextEncoder().encode("3\r\nabc\r\n0\r\ngrpc-status: 0\r\n\r\nGET / ");
 * const decoder = new ChunkedDecoder({ maxLength: 16384, maxFields: 100 });
 * let body = "";
 * const taken = decoder.feed(octets, (piece) => body += new TextDecoder().decode(piece));
 * assert.deepEqual([taken, body, decoder.done], [octets.length - 6, "abc", true]);
 * assert.deepEqual(decoder.trailers, ["grpc-status", "0"]);
 * ```
 */
export class ChunkedDecoder {
  /** The body and its trailers have come to their end. */
  done = false;
  /** The trailer fields, names in lower case, once all is done. */
  trailers: FieldList = [];
  /** The rule that the body broke: there is no going on. */
  error: ChunkedRule | undefined = undefined;

  #part: Part = "size";
  /** Octets of data that are still to come, or what is known of them. */
  #size = 0;
  #digits = 0;
  #extensionLength = 0;
  readonly #trailers: TrailerCollector;

  /** @param limits The bounds of the trailer section. */
  constructor(limits: HeadLimits) {
    this.#trailers = new TrailerCollector(limits);
  }

  /**
   * Takes octets.
   *
   * @param onData Called with each piece of the body, none of them empty: a view of `bytes`.
   * @returns How many octets were taken: all, unless the body is done or malformed.
   */
  feed(bytes: Uint8Array, onData: (piece: Uint8Array) => void): number {
    let at = 0;
    while (at < bytes.length && !this.done && this.error === undefined) {
      switch (this.#part) {
        case "data": {
          const end = Math.min(bytes.length, at + this.#size);
          this.#size -= end - at;
          if (this.#size === 0) this.#part = "data_cr";
          onData(bytes.subarray(at, end));
          at = end;
          break;
        }
        case "trailers":
          at += this.#feedTrailers(at === 0 ? bytes : bytes.subarray(at));
          break;
        default:
          this.#feedOctet(bytes[at] ?? 0);
          if (this.error === undefined) at++;
      }
    }
    return at;
  }

  #feedOctet(octet: number): void {
    switch (this.#part) {
      case "size":
        return this.#feedSize(octet);
      case "extension":
        return this.#feedExtension(octet);
      case "size_lf":
        if (octet !== LF) return this.#fail("bare_cr");
        this.#part = this.#size === 0 ? "trailers" : "data";
        this.#digits = 0;
        this.#extensionLength = 0;
        return;
      case "data_cr":
        if (octet !== CR) return this.#fail("chunk_end");
        this.#part = "data_lf";
        return;
      case "data_lf":
        if (octet !== LF) return this.#fail("chunk_end");
        this.#part = "size";
        return;
    }
  }

  #feedSize(octet: number): void {
    const digit = HEX_DIGITS[octet] ?? NO_DIGIT;
    if (digit !== NO_DIGIT) {
      this.#size = 16 * this.#size + digit;
      if (++this.#digits > MAX_SIZE_DIGITS) return this.#fail("chunk_size");
      if (this.#size > Number.MAX_SAFE_INTEGER) return this.#fail("chunk_too_large");
      return;
    }
    if (this.#digits === 0) return this.#fail("chunk_size");
    if (octet === CR) this.#part = "size_lf";
    else if (octet === SEMICOLON) this.#part = "extension";
    else this.#fail(octet === LF ? "bare_lf" : "chunk_size");
  }

  #feedExtension(octet: number): void {
    if (octet === CR) this.#part = "size_lf";
    else if (octet === LF) this.#fail("bare_lf");
    else if (((OCTET_CLASSES[octet] ?? 0) & VALUE) === 0) this.#fail("chunk_extension");
    else if (++this.#extensionLength > MAX_EXTENSION_LENGTH) this.#fail("chunk_extension_too_long");
  }

  #feedTrailers(bytes: Uint8Array): number {
    const taken = this.#trailers.feed(bytes);
    const { fields } = this.#trailers;
    if (Array.isArray(fields)) {
      this.trailers = fields;
      this.done = true;
    } else if (fields !== undefined) {
      this.#fail(fields.rule);
    }
    return taken;
  }

  #fail(rule: ChunkedRule): void {
    this.error = rule;
  }
}
