/**
 * What a proxy changes in the fields that it passes on.
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import { fieldValue, mayBeTrailer } from "../../wire/http_fields.ts";
import { randomUuid } from "../../wire/uuid.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** Whose request it is. */
export interface Forwarded {
  /** The real client's IP address. */
  readonly address: string;
  readonly requestId: string;
}

/** Meant for a proxy, and no business of the backend's (RFC 9110 §11.7). */
const FOR_PROXIES: ReadonlySet<string> = new Set(["proxy-authorization", "proxy-authenticate", "proxy-connection"]);

/**
 * The fields of a request that are not passed on as they came. Most are set by us: a client that sends them could pretend
 * to be another. `proxy` becomes the variable HTTP_PROXY of scripts, which is a setting of theirs (CVE-2016-5385).
 */
const OWN: ReadonlySet<string> = new Set([
  ...FOR_PROXIES,
  "content-length",
  "forwarded",
  "proxy",
  "transfer-encoding",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "x-request-id",
]);

/** A bit for each length that they have: it spares most fields the look-up. */
const OWN_LENGTHS = [...OWN].reduce((lengths, { length }) => lengths | (1 << length), 0);
const MAX_OWN_LENGTH = 31;

/** What CGI and its successors make `_` of, so that the backend cannot tell it from `-` any more (RFC 3875 §4.1.18). */
const FOLDED = /[^a-z0-9-]/;

/** Names of such a length that are not: most requests have one or two, and always the same. Begun anew when full. */
const OTHERS = new Set<string>();
const MAX_OTHERS = 256;

/** Whether a backend may take a name, in lower case, for one of {@linkcode OWN}. */
function isOwn(name: string): boolean {
  const { length } = name;
  if (length > MAX_OWN_LENGTH || (OWN_LENGTHS & (1 << length)) === 0 || OTHERS.has(name)) return false;
  if (OWN.has(name) || (FOLDED.test(name) && OWN.has(unfolded(name)))) return true;
  if (OTHERS.size >= MAX_OTHERS) OTHERS.clear();
  OTHERS.add(name);
  return false;
}

function unfolded(name: string): string {
  return name.replaceAll(/[^a-z0-9]/g, "-");
}

/** The head of a request as the backend gets it. */
export function forwardedRequest(head: RequestHead, { address, requestId }: Forwarded): RequestHead {
  const { fields: given } = head;
  const fields: FieldList = [];
  let chain = "";
  let elements: string | undefined;
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i] ?? "";
    const value = given[i + 1] ?? "";
    if (!isOwn(name)) fields.push(name, value);
    else if (name === "x-forwarded-for") chain += `${value}, `;
    else if (name === "forwarded") elements = elements === undefined ? value : `${elements}, ${value}`;
  }
  // Written anew: the list may have named it several times, alike.
  if (head.contentLength !== undefined && fieldValue(given, "content-length") !== undefined) {
    fields.push("content-length", String(head.contentLength));
  }
  if (elements !== undefined) fields.push("forwarded", withElement(elements, address, head.authority));
  fields.push("x-forwarded-for", chain + address, "x-forwarded-proto", "https", "x-forwarded-host", head.authority);
  fields.push("x-real-ip", address, "x-request-id", requestId);
  const { method, authority, path, protocol, neverIndexed, contentLength } = head;
  return { method, authority, path, protocol, fields, neverIndexed, contentLength };
}

// RFC 7239 §4, with the spaces around ";" that many senders write.
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/.source;
const IS_TOKEN = new RegExp(`^${TOKEN}$`);
const PAIR = `${TOKEN}=(?:${TOKEN}|${/"(?:[^"\\]|\\.)*"/.source})`;
const ELEMENT = `${PAIR}(?:[ \\t]*;[ \\t]*${PAIR})*`;
const FORWARDED = new RegExp(`^${ELEMENT}(?:[ \\t]*,[ \\t]*${ELEMENT})*$`);

/** Elements of Forwarded with ours behind them. A quotation that they leave open would swallow it: then they are dropped. */
function withElement(elements: string, address: string, authority: string): string {
  const before = FORWARDED.test(elements) ? `${elements}, ` : "";
  const client = address.includes(":") ? `"[${address}]"` : address;
  const host = authority === "" ? "" : `;host=${IS_TOKEN.test(authority) ? authority : `"${authority}"`}`;
  return `${before}for=${client};proto=https${host}`;
}

/**
 * The trailers of a request as the backend gets them: with none of our fields, since some backends add them to those of
 * the head, and none that may not be there but for its spelling.
 */
export function forwardedTrailers(fields: FieldList): FieldList {
  for (let i = 0; i < fields.length; i += 2) {
    if (mayPassAsTrailer(fields[i] ?? "")) continue;
    return fields.filter((_, j) => mayPassAsTrailer(fields[j - j % 2] ?? ""));
  }
  return fields;
}

function mayPassAsTrailer(name: string): boolean {
  return !isOwn(name) && (!FOLDED.test(name) || mayBeTrailer(unfolded(name)));
}

/** The head of an answer as the client gets it. */
export function forwardedResponse(head: ResponseHead): ResponseHead {
  const { fields } = head;
  for (let i = 0; i < fields.length; i += 2) {
    if (!FOR_PROXIES.has(fields[i] ?? "")) continue;
    return { ...head, fields: fields.filter((_, j) => !FOR_PROXIES.has(fields[j - j % 2] ?? "")) };
  }
  return head;
}

const REQUEST_ID = /^[\w.:+/=@-]{1,128}$/;

/** The request's own id where it has a sound one, else a new one. */
export function requestIdOf(fields: FieldList): string {
  const given = fieldValue(fields, "x-request-id");
  return given !== undefined && REQUEST_ID.test(given) ? given : randomUuid();
}
