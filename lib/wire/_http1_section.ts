/**
 * What heads and trailer sections have in common: lines of fields up to an empty one (RFC 9112 §5).
 *
 * @module
 */

import { type HeadError, type HeadRule, malformed } from "./_http1_error.ts";
import { CR, HTAB, LF, OCTET_CLASSES, SP, TOKEN, UPPER, VALUE } from "./_octets.ts";
import { hashStep, knownName } from "./_field_names.ts";
import type { FieldList } from "./field_list.ts";

/** The bounds of a head or a trailer section. */
export interface HeadLimits {
  /** Octets, the empty line at the end included. */
  readonly maxLength: number;
  readonly maxFields: number;
}

/**
 * What is kept between two calls for one head, so that all calls together do work in proportion to the octets received.
 */
export interface HeadProgress {
  /** The octets in which the end of the head has been sought: 0 for a new one, which is also what an answer leaves. */
  searched: number;
}

const COLON = 58;

/**
 * Looks for the empty line that ends the section at `start`, and checks on the way that every line ends with CR LF.
 *
 * @returns The offset behind it; `undefined` where the section has not ended yet.
 */
export function findSectionEnd(
  bytes: Uint8Array,
  start: number,
  limits: HeadLimits,
  progress: HeadProgress,
): number | undefined | HeadError {
  const limit = Math.min(bytes.length, limits.maxLength);
  // A loop: for lines as long as fields are, Uint8Array.indexOf takes twenty times as long.
  for (let at = Math.max(start, progress.searched); at < limit; at++) {
    if (bytes[at] !== LF) continue;
    if (at === start || bytes[at - 1] !== CR) return answer(malformed("bare_lf"), progress);
    if (at === start + 1 || bytes[at - 2] === LF) return answer(at + 1, progress);
  }
  if (limit === limits.maxLength) return answer(malformed("head_too_large"), progress);
  progress.searched = limit;
  return undefined;
}

function answer<Answer>(value: Answer, progress: HeadProgress): Answer {
  progress.searched = 0;
  return value;
}

/**
 * Reads the field lines from `start` to the empty line that ends at `end`; `findSectionEnd` has found it there.
 *
 * @param text The octets `textStart .. end`; decoded once, for names and values to be cut from.
 * @returns The fields, their names in lower case.
 */
export function parseFields(
  bytes: Uint8Array,
  start: number,
  end: number,
  text: string,
  textStart: number,
  maxFields: number,
): FieldList | HeadError {
  const fields: FieldList = [];
  const last = end - 2; // where the empty line begins
  for (let at = start; at < last;) {
    if (fields.length === 2 * maxFields) return malformed("too_many_fields");
    const nameStart = at;
    let classes = TOKEN;
    let seen = 0;
    let hash = 0;
    for (;; at++) {
      const octet = bytes[at] ?? 0;
      classes = OCTET_CLASSES[octet] ?? 0;
      if ((classes & TOKEN) === 0) break;
      seen |= classes;
      hash = hashStep(hash, octet);
    }
    const nameEnd = at;
    if (nameEnd === nameStart || bytes[nameEnd] !== COLON) {
      return malformed(brokenName(bytes, nameStart, nameEnd, nameStart === start));
    }

    do at++; while (bytes[at] === SP || bytes[at] === HTAB);
    const valueStart = at;
    while (((OCTET_CLASSES[bytes[at] ?? 0] ?? 0) & VALUE) !== 0) at++;
    if (bytes[at] !== CR) return malformed("field_value");
    if (bytes[at + 1] !== LF) return malformed("bare_cr");
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;
    at += 2;

    let name = knownName(bytes, nameStart, nameEnd, hash);
    if (name === undefined) {
      name = text.slice(nameStart - textStart, nameEnd - textStart);
      if ((seen & UPPER) !== 0) name = name.toLowerCase();
    }
    fields.push(name, text.slice(valueStart - textStart, valueEnd - textStart));
  }
  return fields;
}

/** Why the octets `start .. end` and what follows are not a field name and a colon. */
function brokenName(bytes: Uint8Array, start: number, end: number, isFirst: boolean): HeadRule {
  let at = end;
  while (bytes[at] === SP || bytes[at] === HTAB) at++;
  if (end === start && at > end) return isFirst ? "leading_whitespace" : "obs_fold";
  if (at > end && bytes[at] === COLON) return "space_before_colon";
  return bytes[end] === CR && bytes[end + 1] !== LF ? "bare_cr" : "field_name";
}
