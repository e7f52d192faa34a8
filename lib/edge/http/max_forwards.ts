/**
 * `Max-Forwards`: how far a request goes (RFC 9110 §7.6.2).
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import { fieldValue } from "../../wire/http_fields.ts";

/** What is passed on of a number that is larger. */
const MOST = 1_000_000;

/**
 * Counts the field down where it is a number; any other value is passed on as it is.
 *
 * @param fields Names in lower case. Changed.
 * @returns Whether the request may be forwarded: `false` where we are to answer it.
 */
export function countForward(fields: FieldList): boolean {
  const value = fieldValue(fields, "max-forwards");
  if (value === undefined || !/^[0-9]+$/.test(value)) return true;
  if (Number(value) === 0) return false;
  const left = String(Math.min(Number(value) - 1, MOST));
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === "max-forwards") fields[i + 1] = left;
  return true;
}
