/**
 * What client and backend of the HTTP rows have agreed on: requests and answers as octets made beforehand, so that
 * neither spends time on them.
 *
 * Frames are those of RFC 9113. Header blocks (RFC 7541) of answers refer to the static table alone: what a backend sends
 * can then be the same for every connection. Those of requests also refer to what the first of a connection has put into
 * the dynamic table, as those of any client do.
 *
 * @module
 */

import { FRAME_HEADER_LENGTH, setFrameHeader } from "../../lib/wire/http2_frames.ts";
import { hostname } from "./protocol.ts";

/** What a backend does with a request, over HTTP/2, or over HTTP/1.1 (`…1`); without TLS, or with it (`…Tls`). */
export type HttpBehaviour = "small" | "grpc" | "body" | "small1" | "body1" | "smallTls" | "small1Tls";

/** The host that is asked for. */
export const HTTP_HOST = hostname(0);
/** Bytes of a small answer's body, and of a gRPC message. */
export const SMALL_LENGTH = 100;
/** Bytes of a download. */
export const BODY_LENGTH = 100_000_000;

/** What is enough for either side to send as long as it likes. */
export const LARGE_WINDOW = 2 ** 31 - 1;
export const DEFAULT_WINDOW = 65_535;
export const MAX_FRAME_LENGTH = 16_384;

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const ACK = 1;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const SETTINGS_INITIAL_WINDOW_SIZE = 4;

/** What a client's connection begins with. */
export const PREFACE = ascii("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** The first octet of a block that begins with `:status: 200`. */
export const STATUS_200 = 0x88;

/** The other side may send as much as it likes. */
export const OPEN_WINDOWS = join(
  frame(SETTINGS, 0, 0, Uint8Array.of(0, SETTINGS_INITIAL_WINDOW_SIZE, ...uint32(LARGE_WINDOW))),
  windowUpdate(LARGE_WINDOW - DEFAULT_WINDOW),
);

/** gRPC's message of {@linkcode SMALL_LENGTH} bytes, with the length ahead of it. */
const GRPC_MESSAGE = join(Uint8Array.of(0, ...uint32(SMALL_LENGTH)), new Uint8Array(SMALL_LENGTH));

/** What a request of a stream is made of: the first of a connection, and any other. */
export interface RequestBlocks {
  readonly first: Uint8Array<ArrayBuffer>;
  readonly next: Uint8Array<ArrayBuffer>;
}

/** A GET, such as a browser sends. */
export const GET_BLOCKS: RequestBlocks = requestBlocks(
  join(Uint8Array.of(0x82, 0x87), literal(4, "/v1/things/4711?with=parts")), // :method: GET, :scheme: https, :path
  [[1, HTTP_HOST], [58, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"], [19, "*/*"], [16, "gzip, deflate, br"]],
);

/** A call of gRPC. Its message goes behind it. */
export const GRPC_BLOCKS: RequestBlocks = requestBlocks(
  join(Uint8Array.of(0x83, 0x87), literal(4, "/bench.v1.Things/Get")), // :method: POST
  [[1, HTTP_HOST], [58, "grpc-go/1.65.0"], [31, "application/grpc"], ["te", "trailers"]],
);

/** The DATA of a request of gRPC, to be given a stream. */
export const GRPC_DATA = frame(DATA, END_STREAM, 0, GRPC_MESSAGE);

const DATE = "Sat, 31 Jan 2026 09:30:00 GMT";

/** Whole answers, each frame to be given a stream. */
export const SMALL_ANSWER = join(
  frame(HEADERS, END_HEADERS, 0, answerBlock([[31, "text/plain"], [28, String(SMALL_LENGTH)], [33, DATE]])),
  frame(DATA, END_STREAM, 0, new Uint8Array(SMALL_LENGTH)),
);
export const GRPC_ANSWER = join(
  frame(HEADERS, END_HEADERS, 0, answerBlock([[31, "application/grpc"]])),
  frame(DATA, 0, 0, GRPC_MESSAGE),
  frame(HEADERS, END_HEADERS | END_STREAM, 0, join(literal("grpc-status", "0"), literal("grpc-message", ""))),
);
/** The HEADERS of a download. */
export const BODY_HEAD = frame(
  HEADERS,
  END_HEADERS,
  0,
  answerBlock([[31, "application/octet-stream"], [28, String(BODY_LENGTH)], [33, DATE]]),
);

/** A GET of HTTP/1.1. */
export const GET_REQUEST_1 = ascii(
  `GET /v1/things/4711?with=parts HTTP/1.1\r\nHost: ${HTTP_HOST}\r\n` +
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n",
);
export const SMALL_ANSWER_1 = join(answerHead1("text/plain", SMALL_LENGTH), new Uint8Array(SMALL_LENGTH));
export const BODY_HEAD_1 = answerHead1("application/octet-stream", BODY_LENGTH);

/** A frame. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEADER_LENGTH + payload.length);
  setFrameHeader(bytes, 0, payload.length, type, flags, stream);
  bytes.set(payload, FRAME_HEADER_LENGTH);
  return bytes;
}

/** Gives the frame at `at` to a stream. */
export function setStream(bytes: Uint8Array, at: number, stream: number): void {
  bytes[at + 5] = stream >>> 24;
  bytes[at + 6] = stream >>> 16;
  bytes[at + 7] = stream >>> 8;
  bytes[at + 8] = stream;
}

/** Gives every frame of `bytes` to a stream. */
export function setStreams(bytes: Uint8Array, stream: number): void {
  for (let at = 0; at < bytes.length; at += FRAME_HEADER_LENGTH + frameLength(bytes, at)) setStream(bytes, at, stream);
}

/** The length of the payload of the frame at `at`. */
export function frameLength(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
}

/** Reads 32 bits in network order. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>> 0;
}

/** A WINDOW_UPDATE for all streams together. */
export function windowUpdate(increment: number): Uint8Array<ArrayBuffer> {
  return frame(WINDOW_UPDATE, 0, 0, Uint8Array.from(uint32(increment)));
}

/** Octets one behind the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

type Field = readonly [name: number | string, value: string];

/** @param fields What the first request puts into the table, and those behind it name by number. */
function requestBlocks(start: Uint8Array, fields: readonly Field[]): RequestBlocks {
  return {
    first: join(start, ...fields.map(([name, value]) => literal(name, value, 0x40))),
    next: join(start, ...fields.map((_, i) => Uint8Array.of(0x80 | (61 + fields.length - i)))),
  };
}

function answerBlock(fields: readonly Field[]): Uint8Array {
  return join(Uint8Array.of(STATUS_200), ...fields.map(([name, value]) => literal(name, value)));
}

/**
 * A literal field, RFC 7541 §6.2, not Huffman-coded.
 *
 * @param name A number of the static table, or the name itself.
 * @param kind 0x40 where it enters the dynamic table, else 0.
 */
function literal(name: number | string, value: string, kind: 0 | 0x40 = 0): Uint8Array {
  if (value.length > 126) throw new RangeError("a value that needs a longer length");
  const text = join(Uint8Array.of(value.length), ascii(value));
  if (typeof name === "string") return join(Uint8Array.of(kind, name.length), ascii(name), text);
  const mask = kind === 0 ? 15 : 63;
  return join(name < mask ? Uint8Array.of(kind | name) : Uint8Array.of(kind | mask, name - mask), text);
}

function answerHead1(type: string, length: number): Uint8Array<ArrayBuffer> {
  return ascii(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nDate: ${DATE}\r\n\r\n`);
}

function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
