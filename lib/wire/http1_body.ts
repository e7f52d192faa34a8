/**
 * How the body of an HTTP/1.1 message is delimited (RFC 9112 §6.3).
 *
 * @module
 */

import { type HeadError, malformed } from "./_http1_error.ts";
import type { FieldList } from "./field_list.ts";
import { fieldValues, readContentLength } from "./http_fields.ts";

/** Where a body ends. */
export type BodyFraming =
  | { readonly kind: "none" }
  /** After `length` octets: 0 to 2^53-1. */
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  /** With the connection: of responses only. */
  | { readonly kind: "until_close" };

const NONE = { kind: "none" } as const;
const CHUNKED = { kind: "chunked" } as const;
const UNTIL_CLOSE = { kind: "until_close" } as const;

/** The framing of a request, from its fields with names in lower case. */
export function requestFraming(
  fields: FieldList,
  minor: 0 | 1,
): Exclude<BodyFraming, { readonly kind: "until_close" }> | HeadError {
  return declaredFraming(fields, minor) ?? NONE;
}

/**
 * The framing of a response, from its fields with names in lower case.
 *
 * Interim responses (1xx), 204, 304, answers to HEAD and what accepts a CONNECT have no body, whatever they declare; but
 * malformed declarations are errors there too. After a `none` the next octets are another response, or a backend's fault.
 *
 * @param requestMethod The method of the request that is answered.
 * @param status 100 to 999.
 */
export function responseFraming(
  requestMethod: string,
  status: number,
  fields: FieldList,
  minor: 0 | 1,
): BodyFraming | HeadError {
  // A client ignores both fields in what accepts a CONNECT (RFC 9112 §6.3, 2).
  if (requestMethod === "CONNECT" && status >= 200 && status < 300) return NONE;
  const declared = declaredFraming(fields, minor) ?? UNTIL_CLOSE;
  if (declared.kind === "malformed") return declared;
  const hasBody = status >= 200 && status !== 204 && status !== 304 && requestMethod !== "HEAD";
  return hasBody ? declared : NONE;
}

function declaredFraming(
  fields: FieldList,
  minor: 0 | 1,
): Exclude<BodyFraming, { readonly kind: "none" | "until_close" }> | HeadError | undefined {
  const length = readContentLength(fields);
  const codings = fieldValues(fields, "transfer-encoding");
  if (codings.length > 0) return length === undefined ? codedFraming(codings, minor) : malformed("two_lengths");
  if (length === "malformed") return malformed("content_length");
  return length === undefined ? undefined : { kind: "length", length };
}

const CHUNKED_ALONE = /^chunked$/i; // without the u flag, i folds no letter from outside ASCII (KELVIN SIGN) onto one inside
/** Of a list of codings: all that stand before the last, and the last. */
const CODINGS = /^((?:[!#$%&'*+.^_`|~0-9a-z-]+[ \t]*,[ \t]*)*)([!#$%&'*+.^_`|~0-9a-z-]+)$/i;

/**
 * Only `chunked`, alone, is taken: no recipient can disagree about what that means. Where it is not last, a request has
 * no length, which is its sender's fault (RFC 9112 §6.3, 4); where an unknown coding stands before it, the fault is that
 * we do not know it (§6.1).
 */
function codedFraming(values: readonly string[], minor: 0 | 1): { readonly kind: "chunked" } | HeadError {
  if (minor === 0) return malformed("transfer_encoding_in_http_1_0");
  const codings = values.join(", ");
  if (CHUNKED_ALONE.test(codings)) return CHUNKED;
  const [, before, last] = CODINGS.exec(codings) ?? [];
  if (before === undefined || last === undefined) return malformed("transfer_encoding");
  if (!CHUNKED_ALONE.test(last)) return malformed("chunked_not_last");
  return malformed(/(?:^|[ \t,])chunked[ \t]*,/i.test(before) ? "chunked_twice" : "transfer_coding");
}
