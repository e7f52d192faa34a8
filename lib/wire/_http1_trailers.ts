/**
 * The trailer section of a chunked body (RFC 9112 §7.1.2), in whatever pieces it comes.
 *
 * @module
 */

import type { HeadError } from "./_http1_error.ts";
import { findSectionEnd, type HeadLimits, parseFields } from "./_http1_section.ts";
import { CR, decodeLatin1, LF } from "./_octets.ts";
import type { FieldList } from "./field_list.ts";
import { permittedTrailers } from "./http_fields.ts";

const NOTHING = new Uint8Array(0);

/** Collects the octets of a trailer section until it has ended. */
export class TrailerCollector {
  /** The fields that may be trailers, once the section has ended, or what is wrong with it. */
  fields: FieldList | HeadError | undefined = undefined;

  readonly #limits: HeadLimits;
  readonly #progress = { searched: 0 };
  /** Its first `#length` octets are what has come so far. */
  #octets = NOTHING;
  #length = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** @returns How many octets belong to the section: all, until it has ended or is malformed. */
  feed(bytes: Uint8Array): number {
    if (this.#length === 0) { // most often all of it is here, and most often it is empty
      if (bytes[0] === CR && bytes[1] === LF) {
        this.fields = [];
        return 2;
      }
      const end = this.#read(bytes);
      if (end !== undefined) return end;
      this.#keep(bytes);
      return bytes.length;
    }
    const before = this.#length;
    this.#keep(bytes.subarray(0, this.#limits.maxLength - before));
    const end = this.#read(this.#octets.subarray(0, this.#length));
    return end === undefined ? bytes.length : end - before;
  }

  /** @returns Where the section ends, or what has come of it if it is malformed; `undefined` before that. */
  #read(bytes: Uint8Array): number | undefined {
    const end = findSectionEnd(bytes, 0, this.#limits, this.#progress);
    if (end === undefined) return undefined;
    this.fields = typeof end === "number" ? this.#parse(bytes, end) : end;
    return typeof end === "number" ? end : bytes.length;
  }

  #parse(bytes: Uint8Array, end: number): FieldList | HeadError {
    const fields = parseFields(bytes, 0, end, decodeLatin1(bytes, 0, end), 0, this.#limits.maxFields);
    return Array.isArray(fields) ? permittedTrailers(fields) : fields;
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#octets.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#octets.length));
      grown.set(this.#octets.subarray(0, this.#length));
      this.#octets = grown;
    }
    this.#octets.set(bytes, this.#length);
    this.#length = length;
  }
}
