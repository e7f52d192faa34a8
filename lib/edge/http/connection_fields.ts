/**
 * The fields of an HTTP/1.1 message that are for one connection, and not for who is behind it (RFC 9110 §7.6.1).
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import { listIncludes } from "../../wire/http_fields.ts";

/** What the fields of a connection say. */
export interface ConnectionFields {
  readonly close: boolean;
  readonly keepAlive: boolean;
  /** The protocols that the peer would change to, or has changed to; `undefined` where `connection` does not say so. */
  readonly upgrade: string | undefined;
  /** The peer takes trailers. */
  readonly trailers: boolean;
  /** How long the peer says that it keeps the connection while it is idle, in ms. */
  readonly idleLimitMs: number | undefined;
}

const SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/**
 * What `connection` may not take away, and what a sender may not name there (RFC 9110 §7.6.1): the framing, whom a request
 * is for, and what a policy refuses it for.
 */
const NEVER_SPECIFIC: ReadonlySet<string> = new Set(["content-length", "host", "user-agent"]);

/** Takes the fields of the connection, and those that `connection` names, out of `fields`. */
export function takeConnectionFields(fields: FieldList): ConnectionFields {
  const named = namedFields(fields);
  let upgrade: string | undefined;
  let trailers = false;
  let idleLimitMs: number | undefined;
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    if (SPECIFIC.has(name)) {
      if (name === "te") trailers ||= listIncludes(value, "trailers");
      else if (name === "upgrade") upgrade = upgrade === undefined ? value : `${upgrade}, ${value}`;
      else if (name === "keep-alive") idleLimitMs = timeoutMs(value) ?? idleLimitMs;
    } else if (named === undefined || !named.has(name) || NEVER_SPECIFIC.has(name)) {
      fields[kept++] = name;
      fields[kept++] = value;
    }
  }
  fields.length = kept;
  return {
    close: named?.has("close") ?? false,
    keepAlive: named?.has("keep-alive") ?? false,
    upgrade: named?.has("upgrade") ? upgrade : undefined,
    trailers,
    idleLimitMs,
  };
}

const CLOSE: ReadonlySet<string> = new Set(["close"]);
const KEEP_ALIVE: ReadonlySet<string> = new Set(["keep-alive"]);

/** The members of all `connection` fields, in lower case. */
function namedFields(fields: FieldList): ReadonlySet<string> | undefined {
  let list: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === "connection") list = list === undefined ? fields[i + 1] : `${list},${fields[i + 1]}`;
  }
  if (list === undefined) return undefined;
  const members = list.toLowerCase();
  if (members === "keep-alive") return KEEP_ALIVE;
  if (members === "close") return CLOSE;
  return new Set(members.split(",").map((member) => member.trim()));
}

/** Reads `timeout=N`, in seconds, out of a Keep-Alive field. */
function timeoutMs(value: string): number | undefined {
  const seconds = /(?:^|[,\s])timeout=([0-9]{1,6})(?:$|[,\s])/i.exec(value)?.[1];
  return seconds === undefined ? undefined : 1000 * Number(seconds);
}

/** Puts one `content-length` with this number in place of all that there are; adds none. */
export function unifyContentLength(fields: FieldList, length: number): void {
  let kept = 0;
  let seen = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const isLength = name === "content-length";
    if (isLength && seen) continue;
    seen ||= isLength;
    fields[kept++] = name;
    fields[kept++] = isLength ? String(length) : fields[i + 1] ?? "";
  }
  fields.length = kept;
}

/** Takes every field of this name, in lower case, out of `fields`. */
export function removeField(fields: FieldList, name: string): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const other = fields[i] ?? "";
    if (other === name) continue;
    fields[kept++] = other;
    fields[kept++] = fields[i + 1] ?? "";
  }
  fields.length = kept;
}
