/**
 * Header blocks of HTTP/2 as heads of requests and answers (RFC 9113 §8.2, §8.3).
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import type { HeaderBlock } from "../../wire/hpack_decoder.ts";
import { authorityHost } from "../../wire/http1_target.ts";
import { isFieldValue, isToken, permittedTrailers, readContentLength } from "../../wire/http_fields.ts";
import { HEAD_LIMITS } from "./head_limits.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** A head that breaks a rule. */
export interface MalformedHead {
  readonly malformed: string;
}

/** Fields that belong to a single connection of HTTP/1.1 (RFC 9113 §8.2.2). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Names are checked once: those that were right are remembered, as many and as long as there are in sound traffic. */
const KNOWN_NAMES = new Set<string>();
const MAX_KNOWN_NAMES = 1024;
const MAX_KNOWN_LENGTH = 40;

interface Pseudo {
  readonly values: Map<string, string>;
  /** Where the other fields begin. */
  readonly end: number;
}

/** The head of a request. */
export function readRequestHead(block: HeaderBlock): RequestHead | MalformedHead {
  const pseudo = readPseudo(block.fields);
  if ("malformed" in pseudo) return pseudo;
  const { values } = pseudo;
  for (const name of values.keys()) if (!REQUEST_PSEUDO.has(name)) return { malformed: "unknown_pseudo_field" };
  const method = values.get(":method") ?? "";
  const scheme = values.get(":scheme");
  const path = values.get(":path");
  const protocol = values.get(":protocol");
  if (!isToken(method) || method.length > 32) return { malformed: "bad_method" };
  const plainConnect = method === "CONNECT" && protocol === undefined;
  if (protocol !== undefined && method !== "CONNECT") return { malformed: "protocol_without_connect" };
  if (plainConnect ? scheme !== undefined || path !== undefined : scheme === undefined || path === undefined) {
    return { malformed: "wrong_pseudo_fields" };
  }
  if (scheme !== undefined && !isScheme(scheme)) return { malformed: "bad_scheme" };
  if (path !== undefined && !isPath(path, method)) return { malformed: "bad_path" };
  const fields = readFields(block.fields, pseudo.end);
  if ("malformed" in fields) return fields;
  const authority = values.get(":authority") ?? fields.host;
  if (authority === undefined || authorityHost(authority) === undefined) return { malformed: "bad_authority" };
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
  const status = pseudo.values.get(":status") ?? "";
  if (pseudo.values.size !== 1 || !/^[1-5]\d\d$/.test(status)) return { malformed: "bad_status" };
  const fields = readFields(block.fields, pseudo.end);
  if ("malformed" in fields) return fields;
  return { status: Number(status), fields: fields.list, neverIndexed: block.neverIndexed };
}

/** The fields behind a body: no pseudo-header fields, and those left out that may not be there. */
export function readTrailers({ fields }: HeaderBlock): FieldList | MalformedHead {
  const read = readFields(fields, 0);
  return "malformed" in read ? read : permittedTrailers(read.list);
}

const REQUEST_PSEUDO: ReadonlySet<string> = new Set([":method", ":scheme", ":authority", ":path", ":protocol"]);

function readPseudo(fields: FieldList): Pseudo | MalformedHead {
  const values = new Map<string, string>();
  let end = 0;
  for (; end < fields.length; end += 2) {
    const name = fields[end] ?? "";
    const value = fields[end + 1] ?? "";
    if (name.charCodeAt(0) !== 0x3a) break;
    if (values.has(name)) return { malformed: "pseudo_field_twice" };
    if (!isFieldValue(value)) return { malformed: "bad_field_value" };
    values.set(name, value);
  }
  return { values, end };
}

/** Checks fields and leaves out `host`, whose place is the authority. */
function readFields(fields: FieldList, start: number): { list: FieldList; host: string | undefined } | MalformedHead {
  if (fields.length - start > HEAD_LIMITS.maxFields * 2) return { malformed: "too_many_fields" };
  const list: FieldList = [];
  let host: string | undefined;
  for (let i = start; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    if (!isFieldName(name)) return { malformed: "bad_field_name" };
    if (!isFieldValue(value)) return { malformed: "bad_field_value" };
    if (CONNECTION_FIELDS.has(name)) return { malformed: "connection_specific_field" };
    if (name === "te" && value !== "trailers") return { malformed: "te_other_than_trailers" };
    if (name === "host") {
      if (host !== undefined) return { malformed: "host_twice" };
      host = value;
    } else list.push(name, value);
  }
  return { list, host };
}

/** A token without upper-case letters. */
function isFieldName(name: string): boolean {
  if (KNOWN_NAMES.has(name)) return true;
  if (!isToken(name) || /[A-Z]/.test(name)) return false;
  if (KNOWN_NAMES.size < MAX_KNOWN_NAMES && name.length <= MAX_KNOWN_LENGTH) KNOWN_NAMES.add(name);
  return true;
}

/** RFC 3986 §3.1. Which it is makes no difference: proxies before us may have ended TLS. */
function isScheme(scheme: string): boolean {
  return scheme === "https" || scheme === "http" || /^[a-z][a-z0-9+.-]{0,31}$/i.test(scheme);
}

/** RFC 9113 §8.3.1: not empty, and in origin form. */
function isPath(path: string, method: string): boolean {
  if (path === "*") return method === "OPTIONS";
  return path.charCodeAt(0) === 0x2f && /^[!-~]+$/.test(path) && !path.includes("#");
}
