/**
 * Finds the server name and the ALPN protocols in the ClientHello that opens a TLS connection, without being its server.
 *
 * The hello may arrive in any number of segments and be fragmented over any number of TLS records (RFC 8446 §5.1,
 * RFC 5246 §6.2.1).
 *
 * @module
 */

import {
  type ClientHelloMessageRule,
  type ClientHelloNames,
  parseClientHelloMessage,
} from "./_client_hello_message.ts";
import { uint16 } from "./_vector.ts";

export type { ClientHelloMessageRule, ClientHelloNames };

/** The most octets, record headers included, that a ClientHello may take. */
export const MAX_CLIENT_HELLO_BYTES = 65536;

/** The rules that the records around a ClientHello can break. */
export type ClientHelloRecordRule =
  /** Message and record headers come to more than `MAX_CLIENT_HELLO_BYTES`: told as soon as the length field is seen. */
  | "too_large"
  /** A record of another content type stands between two fragments of the message (RFC 8446 §5.1). */
  | "record_type"
  /** A record after the first has a major version other than 3 (RFC 8446 §5.1). */
  | "record_version"
  /** A record is empty or longer than 2^14 octets (RFC 8446 §5.1). */
  | "record_length"
  /** The first handshake message is not a ClientHello (RFC 8446 §4). */
  | "handshake_type"
  /** The record in which the message ends holds more: a ClientHello ends with its record (RFC 8446 §5.1). */
  | "record_boundary";

/** The rule that a malformed ClientHello breaks. */
export type ClientHelloRule = ClientHelloRecordRule | ClientHelloMessageRule;

/** What the first octets of a connection say. */
export type ClientHelloResult =
  /** No answer yet; `needed`, counted from the first octet, is the least number of octets that can give one. */
  | { readonly kind: "need_more"; readonly needed: number }
  /** A whole ClientHello; `length` is the number of octets up to the end of the record in which it ends. */
  | { readonly kind: "hello"; readonly length: number } & ClientHelloNames
  /** The octets do not begin with a TLS handshake record: another protocol, or SSL 2.0. */
  | { readonly kind: "not_tls" }
  | { readonly kind: "malformed"; readonly rule: ClientHelloRule };

/**
 * What `parseClientHello` keeps between two calls for one connection, so that all calls together do work in proportion
 * to the octets received, however small the segments and the records. For its eyes only.
 */
export interface ClientHelloProgress {
  /** Where the first record begins that has not been seen whole. */
  offset: number;
  /** How many octets of the message the records before `offset` carry. */
  carried: number;
  /** The first octets of the message, its type and length, as one number. */
  header: number;
  /** How many octets `header` has taken in: 0 to 4. */
  headerOctets: number;
}

/** A new connection's progress. */
export function newClientHelloProgress(): ClientHelloProgress {
  return { offset: 0, carried: 0, header: 0, headerOctets: 0 };
}

const HANDSHAKE = 22; // RFC 8446 §5.1, ContentType
const MAJOR_VERSION = 3; // of SSL 3.0 and every TLS
const CLIENT_HELLO = 1; // RFC 8446 §4, HandshakeType
const RECORD_HEADER = 5; // type, version, length
const MESSAGE_HEADER = 4; // type, 24-bit length
const MAX_FRAGMENT = 2 ** 14; // RFC 8446 §5.1

/**
 * Looks for a ClientHello at the start of a connection.
 *
 * Every answer but `need_more` is final: octets that follow do not change it, and it comes with the first octet that
 * decides it. A hello in a single record is read in place; a fragmented one is put together once, when it is complete.
 * Nothing of `bytes` is kept.
 *
 * Accepted are all that TLS 1.0 to 1.3 clients send: any minor version, GREASE (RFC 8701), encrypted ClientHello (the
 * outer server name is the one found), pre-shared keys, early data behind the hello, a hello with no extensions. The
 * record in which it ends must hold nothing behind it: RFC 8446 §5.1 demands that, and no TLS 1.2 client may send
 * another message before it has heard from the server.
 *
 * @param bytes All octets received so far, from the first.
 * @param progress The progress of this connection, where calls are to be repeated with more octets.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = new TextEncoder();
 * assert.deepEqual(parseClientHello(text.encode("GET / HTTP/1.1\r\n")), { kind: "not_tls" });
 * assert.deepEqual(parseClientHello(Uint8Array.of(22, 3, 1, 2)), { kind: "need_more", needed: 5 });
 * ```
 */
export function parseClientHello(bytes: Uint8Array, progress = newClientHelloProgress()): ClientHelloResult {
  for (;;) {
    const { offset, carried } = progress;
    const verdict = checkRecordHeader(bytes, offset);
    if (verdict) return verdict;
    const start = offset + RECORD_HEADER;
    const end = start + uint16(bytes, offset + 3);
    if (bytes.length === RECORD_HEADER) return needMore(RECORD_HEADER + 1);
    if (bytes[RECORD_HEADER] !== CLIENT_HELLO) return malformed("handshake_type");

    const headerEnd = start - carried + MESSAGE_HEADER;
    readMessageHeader(bytes, headerEnd, end, progress);
    if (progress.headerOctets < MESSAGE_HEADER && headerEnd <= end) return needMore(headerEnd);
    if (progress.headerOctets === MESSAGE_HEADER) {
      const length = MESSAGE_HEADER + (progress.header & 0xffffff);
      const missing = length - carried - (end - start); // what is left for later records to carry
      if (missing < 0) return malformed("record_boundary");
      const least = end + missing + RECORD_HEADER * Math.ceil(missing / MAX_FRAGMENT);
      if (least > MAX_CLIENT_HELLO_BYTES) return malformed("too_large");
      if (missing === 0) return bytes.length < end ? needMore(end) : readMessage(bytes, end, length);
    }
    if (bytes.length <= end) return needMore(end + 1);
    progress.offset = end;
    progress.carried += end - start;
  }
}

/** The answer that the record header at `offset` gives; `undefined` where it is there and sound. */
function checkRecordHeader(bytes: Uint8Array, offset: number): ClientHelloResult | undefined {
  const available = bytes.length - offset;
  if (available < 1) return needMore(offset + 1);
  if (bytes[offset] !== HANDSHAKE) return offset === 0 ? { kind: "not_tls" } : malformed("record_type");
  if (available < 2) return needMore(offset + 2);
  if (bytes[offset + 1] !== MAJOR_VERSION) return offset === 0 ? { kind: "not_tls" } : malformed("record_version");
  if (available < RECORD_HEADER) return needMore(offset + RECORD_HEADER);
  const length = uint16(bytes, offset + 3);
  return length === 0 || length > MAX_FRAGMENT ? malformed("record_length") : undefined;
}

/** Takes in what there is of the message header in the record that ends at `end`; it ends at `headerEnd` if it can. */
function readMessageHeader(bytes: Uint8Array, headerEnd: number, end: number, progress: ClientHelloProgress): void {
  const limit = Math.min(headerEnd, end, bytes.length);
  for (let at = headerEnd - MESSAGE_HEADER + progress.headerOctets; at < limit; at++) {
    progress.header = (progress.header << 8) | (bytes[at] ?? 0);
    progress.headerOctets++;
  }
}

/** Reads the message of `length` octets, its header included, which the records in `bytes[0 .. end]` carry. */
function readMessage(bytes: Uint8Array, end: number, length: number): ClientHelloResult {
  const names = end === RECORD_HEADER + length
    ? parseClientHelloMessage(bytes, RECORD_HEADER + MESSAGE_HEADER, end)
    : parseClientHelloMessage(joinFragments(bytes, end, length), MESSAGE_HEADER, length);
  if (typeof names === "string") return malformed(names);
  return { kind: "hello", serverName: names.serverName, alpn: names.alpn, length: end };
}

function joinFragments(bytes: Uint8Array, end: number, length: number): Uint8Array {
  const message = new Uint8Array(length);
  let filled = 0;
  for (let offset = 0; offset < end;) {
    const start = offset + RECORD_HEADER;
    offset = start + uint16(bytes, offset + 3);
    message.set(bytes.subarray(start, offset), filled);
    filled += offset - start;
  }
  return message;
}

function needMore(needed: number): ClientHelloResult {
  return { kind: "need_more", needed };
}

function malformed(rule: ClientHelloRule): ClientHelloResult {
  return { kind: "malformed", rule };
}
