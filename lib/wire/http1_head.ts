/**
 * Heads of HTTP/1.0 and HTTP/1.1 messages (RFC 9112): start line and fields.
 *
 * What the specification lets a recipient mend (lone LF, folded lines, spaces around the name, other line forms) is
 * refused instead: two parties that mend it differently are how requests are smuggled.
 *
 * @module
 */

import { type HeadError, type HeadRule, malformed } from "./_http1_error.ts";
import { findSectionEnd, type HeadLimits, type HeadProgress, parseFields } from "./_http1_section.ts";
import { MAX_METHOD_LENGTH, MAX_TARGET_LENGTH, parseRequestLine, parseStatusLine } from "./_http1_start_line.ts";
import { CR, decodeLatin1, LF } from "./_octets.ts";
import type { FieldList } from "./field_list.ts";

export { type HeadError, type HeadLimits, type HeadProgress, type HeadRule, MAX_METHOD_LENGTH, MAX_TARGET_LENGTH };

const MAX_EMPTY_OCTETS = 8; // CR LF, four times

/** A request up to its body. */
export interface RequestHead {
  readonly kind: "head";
  readonly method: string;
  /** As it was sent, in visible ASCII: for `parseTarget`. */
  readonly target: string;
  /** The minor version: HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1;
  /** Names in lower case. */
  readonly fields: FieldList;
  /** The octets of the head, empty lines ahead of it included: the body begins there. */
  readonly length: number;
}

/** A response up to its body, or an interim one (1xx). */
export interface ResponseHead {
  readonly kind: "head";
  /** 100 to 999. */
  readonly status: number;
  /** The minor version: HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1;
  /** Names in lower case. */
  readonly fields: FieldList;
  /** The octets of the head. */
  readonly length: number;
}

/**
 * Reads the head of a request at the start of `bytes`.
 *
 * Up to four empty lines ahead of it are skipped (RFC 9112 §2.2). There is exactly one Host field, which HTTP/1.0 may
 * lack; whether its value is sound is for `parseTarget` to say. However the octets come, the answer is the same.
 *
 * @param bytes All octets received so far, from the first.
 * @param progress The progress of this head.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const bytes = new TextEncoder().encode("GET /a HTTP/1.1\r\nHost: git.example.net\r\n\r\n");
 * const head = parseRequestHead(bytes, { maxLength: 16384, maxFields: 100 }, { searched: 0 });
 * const fields = ["host", "git.example.net"];
 * assert.deepEqual(head, { kind: "head", method: "GET", target: "/a", minor: 1, fields, length: bytes.length });
 * ```
 */
export function parseRequestHead(
  bytes: Uint8Array,
  limits: HeadLimits,
  progress: HeadProgress,
): RequestHead | HeadError | { readonly kind: "need_more" } {
  let start = 0;
  while (bytes[start] === CR && bytes[start + 1] === LF && start <= MAX_EMPTY_OCTETS) start += 2;
  if (start > MAX_EMPTY_OCTETS) return malformed("empty_lines");
  const end = findSectionEnd(bytes, start, limits, progress);
  if (end === undefined) return { kind: "need_more" };
  if (typeof end !== "number") return isOneLine(bytes, start, limits) ? malformed("target_too_long") : end;

  const line = parseRequestLine(bytes, start);
  if ("kind" in line) return line;
  const text = decodeLatin1(bytes, start, end);
  const fields = parseFields(bytes, line.next, end, text, start, limits.maxFields);
  if (!Array.isArray(fields)) return fields;
  const hosts = countHosts(fields);
  if (hosts > 1) return malformed("host_repeated");
  if (hosts === 0 && line.minor === 1) return malformed("host_missing");
  return {
    kind: "head",
    method: text.slice(0, line.methodEnd - start),
    target: text.slice(line.methodEnd + 1 - start, line.targetEnd - start),
    minor: line.minor,
    fields,
    length: end,
  };
}

function countHosts(fields: FieldList): number {
  let count = 0;
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === "host") count++;
  return count;
}

/** Tells whether a head that is malformed is so for its first line, which fills all that a head may have. */
function isOneLine(bytes: Uint8Array, start: number, limits: HeadLimits): boolean {
  return bytes.length >= limits.maxLength && !bytes.subarray(start, limits.maxLength).includes(LF);
}

/**
 * Reads the head of a response at the start of `bytes`, an interim one (1xx) like any other.
 *
 * However the octets come, the answer is the same.
 *
 * @param bytes All octets received so far, from the first.
 * @param progress The progress of this head.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const bytes = new TextEncoder().encode("HTTP/1.1 204 No Content\r\nServer: demo\r\n\r\n");
 * const head = parseResponseHead(bytes, { maxLength: 16384, maxFields: 100 }, { searched: 0 });
 * assert.deepEqual(head, { kind: "head", status: 204, minor: 1, fields: ["server", "demo"], length: bytes.length });
 * ```
 */
export function parseResponseHead(
  bytes: Uint8Array,
  limits: HeadLimits,
  progress: HeadProgress,
): ResponseHead | HeadError | { readonly kind: "need_more" } {
  const end = findSectionEnd(bytes, 0, limits, progress);
  if (end === undefined) return { kind: "need_more" };
  if (typeof end !== "number") return end;
  const line = parseStatusLine(bytes, 0);
  if ("kind" in line) return line;
  const text = decodeLatin1(bytes, line.next, end);
  const fields = parseFields(bytes, line.next, end, text, line.next, limits.maxFields);
  if (!Array.isArray(fields)) return fields;
  return { kind: "head", status: line.status, minor: line.minor, fields, length: end };
}
