/**
 * HTTP/2 frames (RFC 9113 §4, §6).
 *
 * @module
 */

import type { ByteWriter } from "./byte_writer.ts";

/** What a client's connection begins with (RFC 9113 §3.4). */
export const PREFACE: Uint8Array = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const FRAME_HEADER_LENGTH = 9;
/** The smallest SETTINGS_MAX_FRAME_SIZE there is, and ours. */
export const MAX_FRAME_LENGTH = 16_384;
/** What windows are before any SETTINGS. */
export const DEFAULT_WINDOW = 65_535;
/** What no window may exceed (RFC 9113 §6.9.1). */
export const MAX_WINDOW = 2 ** 31 - 1;

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const ACK = 1;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const HAS_PRIORITY = 0x20;

export const SETTINGS_HEADER_TABLE_SIZE = 1;
export const SETTINGS_ENABLE_PUSH = 2;
export const SETTINGS_MAX_CONCURRENT_STREAMS = 3;
export const SETTINGS_INITIAL_WINDOW_SIZE = 4;
export const SETTINGS_MAX_FRAME_SIZE = 5;
export const SETTINGS_MAX_HEADER_LIST_SIZE = 6;
/** RFC 8441 §3. */
export const SETTINGS_ENABLE_CONNECT_PROTOCOL = 8;

/** Error codes (RFC 9113 §7). */
export const ERROR_CODES = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

/** The name of an error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

const ERROR_NAMES = Object.keys(ERROR_CODES) as ErrorCode[];

/** The name of an error code, or `code 4711`. */
export function errorCodeName(code: number): string {
  return ERROR_NAMES[code] ?? `code ${code}`;
}

/** A connection that broke a rule (RFC 9113 §5.4.1): it ends with GOAWAY. */
export class Http2Error extends Error {
  override readonly name = "Http2Error";

  constructor(readonly code: ErrorCode, message: string) {
    super(message);
  }
}

/** The most common of them: a PROTOCOL_ERROR. */
export function breach(message: string): Http2Error {
  return new Http2Error("PROTOCOL_ERROR", message);
}

/** Writes the header of a frame. */
export function writeFrameHeader(out: ByteWriter, length: number, type: number, flags: number, stream: number): void {
  out.reserve(FRAME_HEADER_LENGTH);
  setFrameHeader(out.bytes, out.length, length, type, flags, stream);
  out.length += FRAME_HEADER_LENGTH;
}

/** Writes the header of a frame over nine octets. */
export function setFrameHeader(
  bytes: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  setUint32(bytes, at + 5, stream);
}

/** Appends 32 bits in network order. */
export function writeUint32(out: ByteWriter, value: number): void {
  out.reserve(4);
  setUint32(out.bytes, out.length, value);
  out.length += 4;
}

function setUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Reads 32 bits in network order, which must be there. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>> 0;
}

/** Writes a SETTINGS frame. */
export function writeSettings(out: ByteWriter, settings: readonly (readonly [id: number, value: number])[]): void {
  writeFrameHeader(out, settings.length * 6, SETTINGS, 0, 0);
  for (const [id, value] of settings) {
    out.octet(0);
    out.octet(id);
    writeUint32(out, value);
  }
}
