/**
 * The first line of an HTTP/1.1 message (RFC 9112 §3 and §4), in a section that `findSectionEnd` has found whole.
 *
 * @module
 */

import { type HeadError, type HeadRule, malformed } from "./_http1_error.ts";
import { CR, LF, OCTET_CLASSES, SP, TOKEN, VALUE, VISIBLE } from "./_octets.ts";

/** The most octets of a method: the longest that is registered has 17. */
export const MAX_METHOD_LENGTH = 32;

/** The most octets of a request target. RFC 9112 §3 wants 8000 octets of request line to be taken at least. */
export const MAX_TARGET_LENGTH = 8192;

/** Where the parts of a request line end; one space is behind method and target. */
export interface RequestLine {
  readonly methodEnd: number;
  readonly targetEnd: number;
  readonly minor: 0 | 1;
  /** Where the next line begins. */
  readonly next: number;
}

/** Reads the request line at `start`. */
export function parseRequestLine(bytes: Uint8Array, start: number): RequestLine | HeadError {
  const methodEnd = skip(bytes, start, TOKEN);
  if (bytes[methodEnd] !== SP) return brokenAt(bytes, methodEnd, "request_line", "method");
  if (methodEnd === start) return malformed("request_line");
  if (methodEnd - start > MAX_METHOD_LENGTH) return malformed("method_too_long");

  const targetStart = methodEnd + 1;
  const targetEnd = skip(bytes, targetStart, VISIBLE);
  if (bytes[targetEnd] !== SP) return brokenAt(bytes, targetEnd, "request_line", "target_characters");
  if (targetEnd === targetStart) return malformed("request_line");
  if (targetEnd - targetStart > MAX_TARGET_LENGTH) return malformed("target_too_long");

  const versionStart = targetEnd + 1;
  const minor = parseVersion(bytes, versionStart);
  const lineEnd = typeof minor === "number" ? versionStart + VERSION_LENGTH : skip(bytes, versionStart, VISIBLE);
  if (bytes[lineEnd] === SP) return malformed("request_line");
  if (typeof minor !== "number") return minor;
  return isLineEnd(bytes, lineEnd)
    ? { methodEnd, targetEnd, minor, next: lineEnd + 2 }
    : brokenAt(bytes, lineEnd, "version", "version");
}

/** What a status line says. */
export interface StatusLine {
  readonly minor: 0 | 1;
  /** 100 to 999. */
  readonly status: number;
  /** Where the next line begins. */
  readonly next: number;
}

/** Reads the status line at `start`. The space behind the status may be missing where there is no reason phrase. */
export function parseStatusLine(bytes: Uint8Array, start: number): StatusLine | HeadError {
  const minor = parseVersion(bytes, start);
  if (typeof minor !== "number") return minor;
  let at = start + VERSION_LENGTH;
  if (bytes[at] !== SP) return brokenAt(bytes, at, "status_line", "status_line");
  let status = 0;
  for (const digitsEnd = at + 3; at < digitsEnd;) {
    const digit = (bytes[++at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return brokenAt(bytes, at, "status_line", "status_line");
    status = 10 * status + digit;
  }
  at++;
  if (status < 100) return malformed("status_line");
  if (bytes[at] === SP) at = skip(bytes, at, VALUE);
  return isLineEnd(bytes, at) ? { minor, status, next: at + 2 } : brokenAt(bytes, at, "status_line", "status_line");
}

const ZERO = 48;
const NINE = 57;
const HTTP_1 = Uint8Array.from("HTTP/1.", (character) => character.charCodeAt(0));
const VERSION_LENGTH = HTTP_1.length + 1;

/**
 * The minor version of the HTTP/1 that stands at `at`. A higher one than 1 is taken for 1: it may only add what a
 * recipient that does not know it can leave out (RFC 9110 §2.5).
 */
function parseVersion(bytes: Uint8Array, at: number): 0 | 1 | HeadError {
  let matching = 0;
  while (matching < HTTP_1.length && bytes[at + matching] === HTTP_1[matching]) matching++;
  const minor = bytes[at + matching] ?? 0;
  if (matching === HTTP_1.length && minor >= ZERO && minor <= NINE) return minor === ZERO ? 0 : 1;
  const spelt = String.fromCharCode(...bytes.subarray(at, at + VERSION_LENGTH + 1));
  return malformed(/^HTTP\/\d\.\d(?!\d)/.test(spelt) ? "version_unsupported" : "version");
}

/** The offset of the first octet from `at` that is not of the class. */
function skip(bytes: Uint8Array, at: number, octetClass: number): number {
  while (((OCTET_CLASSES[bytes[at] ?? 0] ?? 0) & octetClass) !== 0) at++;
  return at;
}

function isLineEnd(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === CR && bytes[at + 1] === LF;
}

/** The line cannot go on with the octet at `at`: the rule that is broken where the line ends there, or where not. */
function brokenAt(bytes: Uint8Array, at: number, atLineEnd: HeadRule, elsewhere: HeadRule): HeadError {
  if (bytes[at] !== CR) return malformed(elsewhere);
  return malformed(bytes[at + 1] === LF ? atLineEnd : "bare_cr");
}
