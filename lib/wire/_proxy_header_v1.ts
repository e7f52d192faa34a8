/**
 * The text form of the PROXY protocol header (proxy-protocol.txt §2.1).
 *
 * @module
 */

import { malformed, needMore, type ProxyHeaderResult } from "./_proxy_header.ts";
import { latin1 } from "./_vector.ts";
import { type IpAddress, parseIpAddress } from "./ip_address.ts";
import { parsePort } from "./socket_address.ts";

const MAX_LENGTH = 107; // CR LF included
const TCP4 = "PROXY TCP4 ";
const TCP6 = "PROXY TCP6 ";
const UNKNOWN = "PROXY UNKNOWN";

/** The octets of the shortest line: UNKNOWN and CR LF. */
export const MIN_V1_LENGTH: number = UNKNOWN.length + 2;

/** Reads a version 1 header at the start of `bytes`; no spelling but that of §2.1 is accepted. */
export function parseProxyHeaderV1(bytes: Uint8Array): ProxyHeaderResult {
  const text = latin1(bytes, 0, Math.min(bytes.length, MAX_LENGTH));
  if (text.startsWith(TCP4)) return parseTcp(text, TCP4_ADDRESS);
  if (text.startsWith(TCP6)) return parseTcp(text, TCP6_ADDRESS);
  if (text.startsWith(UNKNOWN)) return parseUnknown(text);
  if (TCP4.startsWith(text) || TCP6.startsWith(text) || UNKNOWN.startsWith(text)) return needMore(MIN_V1_LENGTH);
  return malformed(text.startsWith("PROXY ") ? "protocol" : "signature");
}

/** Behind UNKNOWN, whatever stands before the CR LF is ignored. */
function parseUnknown(text: string): ProxyHeaderResult {
  const next = text.charAt(UNKNOWN.length);
  if (next !== "" && next !== " " && next !== "\r") return malformed("protocol");
  const lineEnd = text.indexOf("\r\n", UNKNOWN.length);
  if (next === "\r" && lineEnd !== UNKNOWN.length && text.length > MIN_V1_LENGTH - 1) return malformed("line_end");
  if (lineEnd < 0) return unfinished(text, text.length + (text.endsWith("\r") ? 1 : 2));
  return { kind: "header", version: 1, length: lineEnd + 2, source: undefined, destination: undefined, tlvs: [] };
}

function parseTcp(text: string, address: Field<IpAddress>): ProxyHeaderResult {
  const tail = "0 0\r\n".length;
  const source = readField(text, TCP4.length, address, " ", address.shortest + 1 + tail);
  if ("kind" in source) return source;
  const destination = readField(text, source.next, address, " ", tail);
  if ("kind" in destination) return destination;
  const sourcePort = readField(text, destination.next, PORT, " ", "0\r\n".length);
  if ("kind" in sourcePort) return sourcePort;
  const destinationPort = readField(text, sourcePort.next, PORT, "\r", "\n".length);
  if ("kind" in destinationPort) return destinationPort;
  if (text.length === destinationPort.next) return unfinished(text, text.length + 1);
  if (text.charAt(destinationPort.next) !== "\n") return malformed("line_end");
  return {
    kind: "header",
    version: 1,
    length: destinationPort.next + 1,
    source: { address: source.value, port: sourcePort.value },
    destination: { address: destination.value, port: destinationPort.value },
    tlvs: [],
  };
}

interface Field<Value> {
  readonly rule: "address" | "port";
  /** What the field matches however little of it is there. */
  readonly beginning: RegExp;
  /** The octets of its shortest value. */
  readonly shortest: number;
  readonly parse: (text: string) => Value | undefined;
}

const TCP4_ADDRESS: Field<IpAddress> = {
  rule: "address",
  beginning: /^[0-9.]{0,15}$/,
  shortest: "0.0.0.0".length,
  parse: parseIpAddress,
};

const TCP6_ADDRESS: Field<IpAddress> = {
  rule: "address",
  // Groups and colons take 39 octets at most, the IPv4-mapped form of inet_ntop(3), which senders write, up to 45.
  beginning: /^[0-9a-fA-F:.]{0,45}$/,
  shortest: "::".length,
  parse: (text) => text.includes(":") ? parseIpAddress(text) : undefined,
};

const PORT: Field<number> = { rule: "port", beginning: /^[0-9]{0,5}$/, shortest: "0".length, parse: parsePort };

/**
 * Reads the field that begins at `start`.
 *
 * @param behind How many octets the shortest possible line has behind this field's delimiter.
 * @returns The value and the offset behind the delimiter, or the answer for the whole header.
 */
function readField<Value>(
  text: string,
  start: number,
  field: Field<Value>,
  delimiter: " " | "\r",
  behind: number,
): { readonly value: Value; readonly next: number } | ProxyHeaderResult {
  const end = text.indexOf(delimiter, start);
  const content = text.slice(start, end < 0 ? text.length : end);
  if (!field.beginning.test(content)) return malformed(field.rule);
  if (end < 0) return unfinished(text, start + Math.max(content.length, field.shortest) + 1 + behind);
  const value = field.parse(content);
  return value === undefined ? malformed(field.rule) : { value, next: end + 1 };
}

function unfinished(text: string, needed: number): ProxyHeaderResult {
  return text.length === MAX_LENGTH ? malformed("too_large") : needMore(Math.min(needed, MAX_LENGTH));
}
