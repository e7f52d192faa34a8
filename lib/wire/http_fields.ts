/**
 * Header and trailer fields: the rules that HTTP/1.1 and HTTP/2 share (RFC 9110 §5 and §6.5, RFC 9113 §8.2).
 *
 * @module
 */

import { consistsOf, HTAB, SP, TOKEN } from "./_octets.ts";
import type { FieldList } from "./field_list.ts";

/** Tells whether `text` is a token (RFC 9110 §5.6.2), as field names and methods are. */
export function isToken(text: string): boolean {
  return text !== "" && consistsOf(text, TOKEN);
}

/**
 * Tells whether `text` can stand as a field value (RFC 9110 §5.5): no control character but HTAB, no white space at
 * either end, every character an octet. Octets from 0x80 are allowed: they are opaque.
 */
export function isFieldValue(text: string): boolean {
  if (NO_VALUE_OCTET.test(text)) return false;
  return !isWhitespace(text.charCodeAt(0)) && !isWhitespace(text.charCodeAt(text.length - 1));
}

const NO_VALUE_OCTET = /[^\t\x20-\x7e\x80-\xff]/; // for values half the time of a loop, which is as fast for names

function isWhitespace(octet: number): boolean {
  return octet === SP || octet === HTAB;
}

/** The first value of the field with this lower-case name, in a list whose names are lower-case. */
export function fieldValue(fields: FieldList, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === name) return fields[i + 1];
  }
  return undefined;
}

/** All values of the fields with this lower-case name, in their order. */
export function fieldValues(fields: FieldList, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1];
    if (fields[i] === name && value !== undefined) values.push(value);
  }
  return values;
}

/**
 * Tells whether a comma-separated list (Connection, TE, Upgrade) has a member, in whatever case.
 *
 * A member with parameters (`trailers;q=1`) is another one.
 *
 * @param item In lower case.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.ok(listIncludes("Keep-Alive, Upgrade", "upgrade"));
 * assert.ok(!listIncludes("keep-alive-not", "keep-alive"));
 * ```
 */
export function listIncludes(value: string, item: string): boolean {
  if (value.length < item.length) return false;
  const list = value.toLowerCase();
  for (let start = 0; start <= list.length;) {
    const comma = list.indexOf(",", start);
    const end = comma < 0 ? list.length : comma;
    if (end - start >= item.length && trimmed(list, start, end) === item) return true;
    start = end + 1;
  }
  return false;
}

/** The part `start .. end` of `text` without the white space around it; a regular expression would be quadratic. */
function trimmed(text: string, start: number, end: number): string {
  while (start < end && isWhitespace(text.charCodeAt(start))) start++;
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const MAX_DIGITS = 16; // of 2^53-1

/**
 * Reads the content-length fields (RFC 9110 §8.6).
 *
 * Values that repeat the same number, in fields of their own or in one list (`5, 5`), count as one. Whoever passes the
 * message on must write that number in their place, not what was received.
 *
 * @returns 0 to 2^53-1; `undefined` where there is no such field; `"malformed"` where a value is not 1 to 16 digits, is
 * beyond that range or differs from another.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(readContentLength(["content-length", "5, 5"]), 5);
 * assert.equal(readContentLength(["content-length", "+5"]), "malformed");
 * ```
 */
export function readContentLength(fields: FieldList): number | undefined | "malformed" {
  let length: number | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "content-length") continue;
    const text = fields[i + 1] ?? "";
    const digits = plainDigits(text);
    if (length === undefined && digits >= 0) { // as it nearly always is
      length = digits;
      continue;
    }
    for (const member of text.split(",")) {
      const value = readDigits(member);
      if (value === undefined || (length ?? value) !== value) return "malformed";
      length = value;
    }
  }
  return length;
}

/** The number that `text` spells, white space around it aside. */
/** The number of 1 to 15 digits; -1 for any other text. */
function plainDigits(text: string): number {
  if (text.length === 0 || text.length > 15) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = 10 * value + digit;
  }
  return value;
}

function readDigits(text: string): number | undefined {
  const digits = /^[ \t]*([0-9]+)[ \t]*$/.exec(text)?.[1];
  if (digits === undefined || digits.length > MAX_DIGITS) return undefined;
  const value = Number(digits);
  return value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

/** What decides about framing, routing, authentication or the form of the content, and so comes ahead of it. */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "max-forwards",
  "pragma",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "www-authenticate",
]);

/** Tells whether a field with this lower-case name may come in a trailer section (RFC 9110 §6.5.1). */
export function mayBeTrailer(name: string): boolean {
  return !NOT_IN_TRAILERS.has(name) && !name.startsWith("if-");
}

/** The fields, with names in lower case, that may come in a trailer section. */
export function permittedTrailers(fields: FieldList): FieldList {
  const permitted: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (mayBeTrailer(name)) permitted.push(name, fields[i + 1] ?? "");
  }
  return permitted;
}
