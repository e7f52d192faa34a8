/**
 * The body of an HTTP/1.1 message, as it is sent.
 *
 * @module
 */

import { encodeLastChunk } from "../../../wire/http1_encode.ts";
import type { FieldList } from "../../../wire/field_list.ts";
import type { Http1Output } from "./output.ts";

/** How a body is delimited; `raw` ends with the connection, or is a tunnel. */
export type SentFraming = "none" | "length" | "chunked" | "raw";

const NO_FIELDS: FieldList = [];

/** Writes one body after the other; what it is given must keep to the framing. */
export class Http1BodyWriter {
  readonly #output: Http1Output;
  #framing: SentFraming = "none";
  #remaining = 0;

  constructor(output: Http1Output) {
    this.#output = output;
  }

  get framing(): SentFraming {
    return this.#framing;
  }

  /** Begins a body. @param length Of `length`: its octets. */
  begin(framing: SentFraming, length = 0): void {
    this.#framing = framing;
    this.#remaining = length;
  }

  /** Writes a part. @returns `false` where it goes beyond the length: nothing of it is written then. */
  data(bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true; // as a chunk it would be the last one
    switch (this.#framing) {
      case "none":
        this.#output.skip(bytes.length);
        return true;
      case "length":
        if (bytes.length > this.#remaining) return false;
        this.#remaining -= bytes.length;
        this.#output.body(bytes, false);
        return true;
      case "chunked":
      case "raw":
        this.#output.body(bytes, this.#framing === "chunked");
        return true;
    }
  }

  /**
   * Ends the body, `raw` by the owner.
   *
   * @param trailers Left out where the framing has no place for them.
   * @returns `false` where it falls short of its length.
   * @throws {TypeError} Where a trailer field cannot be written.
   */
  end(trailers: FieldList = NO_FIELDS): boolean {
    if (this.#framing === "length") return this.#remaining === 0;
    if (this.#framing === "chunked") encodeLastChunk(this.#output.open(), trailers);
    return true;
  }
}
