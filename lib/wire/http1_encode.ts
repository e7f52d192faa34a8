/**
 * HTTP/1.1 messages as they are sent (RFC 9112).
 *
 * What could end a line early or be read as two fields is not written: a caller that has not checked what it was given
 * gets an exception, and nothing is written of the head or the trailer section.
 *
 * @module
 */

import { REASON_PHRASES } from "./_reason_phrases.ts";
import { consistsOf, CR, LF, VISIBLE } from "./_octets.ts";
import type { ByteWriter } from "./byte_writer.ts";
import type { FieldList } from "./field_list.ts";
import { isFieldValue, isToken, permittedTrailers } from "./http_fields.ts";

/**
 * Writes the head of a request.
 *
 * @param target Visible ASCII in one of the forms of RFC 9112 §3.2.
 * @throws {TypeError} Where the method or a name is not a token, the target not visible ASCII, a value no field value.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ByteWriter } from "./byte_writer.ts";
 * const out = new ByteWriter();
 * encodeRequestHead(out, "GET", "/a", ["host", "git.example.net"]);
 * const text = new TextDecoder().decode(out.bytes.subarray(0, out.length));
 * assert.equal(text, "GET /a HTTP/1.1\r\nhost: git.example.net\r\n\r\n");
 * assert.throws(() => encodeRequestHead(out, "GET", "/ HTTP/1.1\r\n", []), TypeError);
 * ```
 */
export function encodeRequestHead(out: ByteWriter, method: string, target: string, fields: FieldList): void {
  if (!isToken(method)) throw new TypeError("the method of a request must be a token");
  if (target === "" || !consistsOf(target, VISIBLE)) {
    throw new TypeError("the target of a request must be visible ASCII");
  }
  checkFields(fields);
  putFields(out, `${method} ${target} HTTP/1.1\r\n`, fields);
}

/**
 * Writes the head of a response with the standard reason phrase; a status that has none gets an empty one.
 *
 * @param status 100 to 999.
 * @throws {TypeError} Where the status is out of range, a name is not a token or a value no field value.
 */
export function encodeResponseHead(out: ByteWriter, status: number, fields: FieldList): void {
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new TypeError(`the status of a response must be 100 to 999, not ${status}`);
  }
  checkFields(fields);
  putFields(out, `HTTP/1.1 ${status} ${REASON_PHRASES[status] ?? ""}\r\n`, fields);
}

/**
 * Writes what stands before the data of a chunk; `encodeChunkEnd` writes what stands behind it.
 *
 * @param length 1 to 2^53-1: a chunk of 0 octets would be the last.
 * @throws {TypeError} Where the length is out of range.
 */
export function encodeChunkHeader(out: ByteWriter, length: number): void {
  if (!Number.isSafeInteger(length) || length < 1) {
    throw new TypeError(`the length of a chunk must be 1 to 2^53-1, not ${length}`);
  }
  out.latin1(`${length.toString(16)}\r\n`);
}

/** Writes what stands behind the data of a chunk. */
export function encodeChunkEnd(out: ByteWriter): void {
  out.octet(CR);
  out.octet(LF);
}

/**
 * Writes the end of a chunked body with its trailer section; fields that may not be trailers are left out.
 *
 * @throws {TypeError} Where a name is not a token or a value no field value.
 */
export function encodeLastChunk(out: ByteWriter, trailers: FieldList): void {
  checkFields(trailers);
  putFields(out, "0\r\n", trailers.length === 0 ? trailers : permittedTrailers(trailers));
}

function checkFields(fields: FieldList): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1];
    if (!isToken(name)) throw new TypeError(`the name of a field must be a token, and the one at ${i / 2} is not`);
    if (value === undefined || !isFieldValue(value)) { // a token is harmless to show, if it is not endless
      const field = name.slice(0, 80);
      throw new TypeError(`the value of field ${field} must be octets without control characters or outer spaces`);
    }
  }
}

function putFields(out: ByteWriter, firstLine: string, fields: FieldList): void {
  let text = firstLine;
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  putText(out, text + "\r\n");
}

const utf8 = new TextEncoder();

/** Writes the octets that are the characters of `text`. */
function putText(out: ByteWriter, text: string): void {
  out.reserve(text.length);
  // For 650 characters a third of the time of a loop over them. Only ASCII text fits into as many octets as characters.
  const { read } = utf8.encodeInto(text, out.bytes.subarray(out.length, out.length + text.length));
  if (read === text.length) out.length += read;
  else out.latin1(text);
}
