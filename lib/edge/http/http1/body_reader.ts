/**
 * The body of an HTTP/1.1 message, as it is received.
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import type { BodyFraming } from "../../../wire/http1_body.ts";
import { ChunkedDecoder, type ChunkedRule } from "../../../wire/http1_chunked.ts";
import type { HeadLimits } from "../../../wire/http1_head.ts";

/** Takes the content. */
export interface BodyContent {
  /** @param piece Not empty, and valid during the call only. */
  bodyReceived(piece: Uint8Array): void;
}

const NO_FIELDS: FieldList = [];

/** Reads one body after the other. */
export class Http1BodyReader {
  readonly #limits: HeadLimits;
  readonly #content: BodyContent;
  readonly #onData: (piece: Uint8Array) => void;
  #kind: BodyFraming["kind"] = "none";
  #remaining = 0;
  #decoder: ChunkedDecoder | undefined;

  /** @param limits The bounds of a trailer section. */
  constructor(limits: HeadLimits, content: BodyContent) {
    this.#limits = limits;
    this.#content = content;
    this.#onData = (piece) => content.bodyReceived(piece);
  }

  /** Whether the body has come to its end; one that ends with the connection never does by itself. */
  get done(): boolean {
    switch (this.#kind) {
      case "none":
        return true;
      case "length":
        return this.#remaining === 0;
      case "chunked":
        return this.#decoder?.done === true;
      default:
        return false;
    }
  }

  /** Whether the body ends with the connection. */
  get endsWithConnection(): boolean {
    return this.#kind === "until_close";
  }

  /** The rule that the body broke: there is no going on. */
  get error(): ChunkedRule | undefined {
    return this.#decoder?.error;
  }

  /** What came behind the content. */
  get trailers(): FieldList {
    return this.#decoder?.trailers ?? NO_FIELDS;
  }

  begin(framing: BodyFraming): void {
    this.#kind = framing.kind;
    this.#remaining = framing.kind === "length" ? framing.length : 0;
    this.#decoder = framing.kind === "chunked" ? new ChunkedDecoder(this.#limits) : undefined;
  }

  /** Takes octets. @returns How many: all, unless the body is done or malformed. */
  feed(bytes: Uint8Array): number {
    switch (this.#kind) {
      case "none":
        return 0;
      case "length": {
        const piece = bytes.length <= this.#remaining ? bytes : bytes.subarray(0, this.#remaining);
        this.#remaining -= piece.length;
        if (piece.length > 0) this.#content.bodyReceived(piece);
        return piece.length;
      }
      case "chunked":
        return this.#decoder?.feed(bytes, this.#onData) ?? 0;
      case "until_close":
        this.#content.bodyReceived(bytes);
        return bytes.length;
    }
  }
}
