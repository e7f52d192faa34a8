/**
 * Header blocks of HTTP/2 as heads of requests and answers (RFC 9113 §8.2, §8.3).
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import type { HeaderBlock } from "../../../wire/hpack_decoder.ts";
import { isFieldValue, isToken, permittedTrailers, readContentLength } from "../../../wire/http_fields.ts";
import { readAuthority } from "../authority.ts";
import { HEAD_LIMITS } from "../head_limits.ts";
import type { RequestHead, ResponseHead } from "../message.ts";

/** A head that breaks a rule. */
export interface MalformedHead {
  readonly malformed: string;
  /** What to answer, where nothing is wrong with the framing of the request. */
  readonly status?: 417 | 431;
}

/** What there is to say about a name: a field that is passed on, or one of the exceptions; `""` where it is no name. */
type NameKind = "ordinary" | "host" | "te" | "expect" | "connection" | "";

/**
 * Names are checked once: those that were right are remembered, as many and as long as there are in sound traffic. Those
 * that belong to a single connection of HTTP/1.1 are known from the start (RFC 9113 §8.2.2).
 */
interface KnownName {
  readonly name: string;
  readonly kind: NameKind;
  /** The last value of it that was found sound: most come again and again, as the very same string of a table. */
  sound: string;
}
const known = (name: string, kind: NameKind): KnownName => ({ name, kind, sound: "" });
const KNOWN_NAMES = new Map<string, KnownName>([
  known("connection", "connection"),
  known("keep-alive", "connection"),
  known("proxy-connection", "connection"),
  known("transfer-encoding", "connection"),
  known("upgrade", "connection"),
  known("te", "te"),
  known("expect", "expect"),
  known("host", "host"),
].map((name) => [name.name, name]));
const NO_NAME = known("", "");
const MAX_KNOWN_NAMES = 1024;
const MAX_KNOWN_LENGTH = 40;

/** Names by their places in the last heads: the next one mostly has the same, and none needs to be looked up. */
const REQUEST_NAMES: KnownName[] = [];
const RESPONSE_NAMES: KnownName[] = [];
const MAX_PLACES = 32;

/** The pseudo-header fields that were there (RFC 9113 §8.3). */
interface Pseudo {
  method: string | undefined;
  scheme: string | undefined;
  authority: string | undefined;
  path: string | undefined;
  protocol: string | undefined;
  status: string | undefined;
  /** There is one that nobody knows. */
  unknown: boolean;
  /** Where the other fields begin. */
  end: number;
}

/** The head of a request. */
export function readRequestHead(block: HeaderBlock): RequestHead | MalformedHead {
  const pseudo = readPseudo(block.fields);
  if ("malformed" in pseudo) return pseudo;
  const { method = "", scheme, path, protocol } = pseudo;
  if (pseudo.unknown || pseudo.status !== undefined) return { malformed: "unknown_pseudo_field" };
  if (!isToken(method) || method.length > 32) return { malformed: "bad_method" };
  const plainConnect = method === "CONNECT" && protocol === undefined;
  if (protocol !== undefined && method !== "CONNECT") return { malformed: "protocol_without_connect" };
  if (plainConnect ? scheme !== undefined || path !== undefined : scheme === undefined || path === undefined) {
    return { malformed: "wrong_pseudo_fields" };
  }
  if (scheme !== undefined && !isScheme(scheme)) return { malformed: "bad_scheme" };
  if (path !== undefined && !isPath(path, method)) return { malformed: "bad_path" };
  const fields = readFields(block.fields, pseudo.end, REQUEST_NAMES);
  if ("malformed" in fields) return fields;
  if (fields.isExpectationUnmet) return { malformed: "expectation", status: 417 };
  const authority = pseudo.authority ?? fields.host;
  if (authority === undefined || readAuthority(authority) === undefined) return { malformed: "bad_authority" };
  if (fields.host !== undefined && fields.host.toLowerCase() !== authority.toLowerCase()) {
    return { malformed: "host_differs_from_authority" };
  }
  const contentLength = readContentLength(fields.list);
  if (contentLength === "malformed") return { malformed: "bad_content_length" };
  const { neverIndexed } = block;
  return { method, authority, path: path ?? "", protocol, fields: fields.list, neverIndexed, contentLength };
}

/** The head of an answer. */
export function readResponseHead(block: HeaderBlock): ResponseHead | MalformedHead {
  const pseudo = readPseudo(block.fields);
  if ("malformed" in pseudo) return pseudo;
  const { status = "" } = pseudo;
  // It is the only one of an answer, and thus what the list begins with.
  if (pseudo.end !== 2 || !/^[1-5]\d\d$/.test(status)) return { malformed: "bad_status" };
  const fields = readFields(block.fields, pseudo.end, RESPONSE_NAMES);
  if ("malformed" in fields) return fields;
  return { status: Number(status), fields: fields.list, neverIndexed: block.neverIndexed };
}

/** The fields behind a body: no pseudo-header fields, and those left out that may not be there. */
export function readTrailers({ fields }: HeaderBlock): FieldList | MalformedHead {
  const read = readFields(fields, 0, []);
  return "malformed" in read ? read : permittedTrailers(read.list);
}

function readPseudo(fields: FieldList): Pseudo | MalformedHead {
  const pseudo: Pseudo = {
    method: undefined,
    scheme: undefined,
    authority: undefined,
    path: undefined,
    protocol: undefined,
    status: undefined,
    unknown: false,
    end: 0,
  };
  for (; pseudo.end < fields.length; pseudo.end += 2) {
    const name = fields[pseudo.end] ?? "";
    const value = fields[pseudo.end + 1] ?? "";
    if (name.charCodeAt(0) !== 0x3a) break;
    const key = PSEUDO_KEYS.get(name);
    // The others have rules of their own, which allow less.
    if ((key === undefined || key === "protocol") && !isFieldValue(value)) return { malformed: "bad_field_value" };
    if (key === undefined) pseudo.unknown = true;
    else if (pseudo[key] !== undefined) return { malformed: "pseudo_field_twice" };
    else pseudo[key] = value;
  }
  return pseudo;
}

const PSEUDO_KEYS: ReadonlyMap<string, Exclude<keyof Pseudo, "unknown" | "end">> = new Map([
  [":method", "method"],
  [":scheme", "scheme"],
  [":authority", "authority"],
  [":path", "path"],
  [":protocol", "protocol"],
  [":status", "status"],
]);

interface ReadFields {
  /** All but `host`, whose place is the authority. */
  readonly list: FieldList;
  readonly host: string | undefined;
  /** The client expects what no backend could give through us (RFC 9110 §10.1.1). */
  readonly isExpectationUnmet: boolean;
}

/** Checks fields. */
function readFields(fields: FieldList, start: number, recent: KnownName[]): ReadFields | MalformedHead {
  if (fields.length - start > HEAD_LIMITS.maxFields * 2 && countFields(fields, start) > HEAD_LIMITS.maxFields) {
    return { malformed: "too_many_fields", status: 431 };
  }
  const list: FieldList = [];
  let host: string | undefined;
  let isExpectationUnmet = false;
  for (let i = start; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    let known = recent[(i - start) >> 1];
    if (known === undefined || known.name !== name) known = lookUp(name, (i - start) >> 1, recent);
    const { kind } = known;
    if (kind === "") return { malformed: "bad_field_name" };
    if (value !== known.sound) {
      if (!isFieldValue(value)) return { malformed: "bad_field_value" };
      if (value.length <= 256) known.sound = value;
    }
    if (kind === "connection") return { malformed: "connection_specific_field" };
    if (kind === "te" && value !== "trailers") return { malformed: "te_other_than_trailers" };
    if (kind === "expect" && value.toLowerCase() !== "100-continue") isExpectationUnmet = true;
    if (kind === "host") {
      if (host !== undefined) return { malformed: "host_twice" };
      host = value;
    } else list.push(name, value);
  }
  return { list, host, isExpectationUnmet };
}

/** How many fields there are: the crumbs of a cookie are one (RFC 9113 §8.2.3). */
function countFields(fields: FieldList, start: number): number {
  let count = 0;
  let crumbs = 0;
  for (let i = start; i < fields.length; i += 2) {
    if (fields[i] === "cookie") crumbs = 1;
    else count++;
  }
  return count + crumbs;
}

function lookUp(name: string, place: number, recent: KnownName[]): KnownName {
  const known = KNOWN_NAMES.get(name) ?? newName(name);
  if (place <= recent.length && place < MAX_PLACES && known.name === name) recent[place] = known;
  return known;
}

/** A token without upper-case letters. */
function newName(name: string): KnownName {
  if (!isToken(name) || /[A-Z]/.test(name)) return NO_NAME;
  const ordinary = known(name, "ordinary");
  if (KNOWN_NAMES.size < MAX_KNOWN_NAMES && name.length <= MAX_KNOWN_LENGTH) KNOWN_NAMES.set(name, ordinary);
  return ordinary;
}

/** RFC 3986 §3.1. Which it is makes no difference: proxies before us may have ended TLS. */
function isScheme(scheme: string): boolean {
  return scheme === "https" || scheme === "http" || /^[a-z][a-z0-9+.-]{0,31}$/i.test(scheme);
}

/** RFC 9113 §8.3.1: not empty, and in origin form. */
function isPath(path: string, method: string): boolean {
  if (path === "*") return method === "OPTIONS";
  return /^\/[!"$-~]*$/.test(path); // no "#"
}
