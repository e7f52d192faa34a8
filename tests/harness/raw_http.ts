/**
 * HTTP by the octet: clients that say what they like, and backends that keep all that they hear.
 *
 * It shares no code with the program, so that both do not make the same mistake.
 *
 * @module
 */

import assert from "node:assert/strict";
import { connectTls } from "./peers.ts";

/** The text's characters, one octet each. */
export function octets(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Each octet as one character. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return text;
}

/** One after the other. */
export function joined(...parts: readonly (Uint8Array | string)[]): Uint8Array<ArrayBuffer> {
  const chunks = parts.map((part) => typeof part === "string" ? octets(part) : part);
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

// ---- Frames (RFC 9113 §4, §6) ----------------------------------------------------------------------------------------

export const TYPES = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;

/** RFC 9113 §7. */
export const CODES = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** A frame as it is received. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

/** A frame as it is sent. */
export function frame(
  type: keyof typeof TYPES | number,
  flags: number,
  stream: number,
  payload: Uint8Array | string = "",
): Uint8Array<ArrayBuffer> {
  const { length } = payload;
  const number = typeof type === "number" ? type : TYPES[type];
  return joined(Uint8Array.of(length >> 16, length >> 8, length, number, flags), uint32(stream), payload);
}

/** 32 bits in network order. */
export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** A SETTINGS frame. */
export function settings(values: Readonly<Record<number, number>> = {}): Uint8Array {
  const pairs = Object.entries(values).map(([id, value]) => joined(Uint8Array.of(0, Number(id)), uint32(value)));
  return frame("SETTINGS", 0, 0, joined(...pairs));
}

/** Pairs of names and values as literals that enter no table (RFC 7541 §6.2.2), octet for octet. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Uint8Array {
  const text = (value: string) => joined(integer(value.length, 7, 0), value);
  return joined(...fields.map(([name, value]) => joined("\0", text(name), text(value))));
}

/** RFC 7541 §5.1. */
export function integer(value: number, prefix: number, flags: number): Uint8Array {
  const mask = 2 ** prefix - 1;
  if (value < mask) return Uint8Array.of(flags | value);
  const bytes = [flags | mask];
  for (value -= mask; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 | 128);
  return Uint8Array.from([...bytes, value]);
}

/** What every request has. */
export function pseudo(more: Readonly<Record<string, string>> = {}): [string, string][] {
  return Object.entries({ ":method": "GET", ":scheme": "https", ":authority": "a.test", ":path": "/", ...more });
}

/** A HEADERS frame. */
export function headers(
  stream: number,
  fields: readonly (readonly [name: string, value: string])[],
  flags: number = END_STREAM | END_HEADERS,
): Uint8Array {
  return frame("HEADERS", flags, stream, block(fields));
}

/** Takes whole frames off the front of `bytes`. */
function takeFrames(bytes: Uint8Array): { frames: Frame[]; rest: Uint8Array } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= 9) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    const length = view.getUint32(0) >>> 8;
    if (bytes.length - at < 9 + length) break;
    const payload = bytes.slice(at + 9, at + 9 + length);
    frames.push({ type: view.getUint8(3), flags: view.getUint8(4), stream: view.getUint32(5) & 0x7fffffff, payload });
    at += 9 + length;
  }
  return { frames, rest: bytes.slice(at) };
}

// ---- Clients ---------------------------------------------------------------------------------------------------------

/** What a client connects to, and whom it trusts: an `L7`, for one. */
export interface Reachable {
  readonly proxy: { address(): Deno.NetAddr };
  readonly authority: { readonly cert: string };
}

/** One TLS connection to the proxy, for any octets. */
export class RawClient implements Disposable {
  readonly conn: Deno.TlsConn;
  readonly #buffer = new Uint8Array(64 * 1024);

  protected constructor(conn: Deno.TlsConn) {
    this.conn = conn;
  }

  static async open(l7: Reachable, serverName = "a.test", alpn: string[] = ["http/1.1"]): Promise<RawClient> {
    return new RawClient(await connectTls(l7.proxy.address(), serverName, l7.authority.cert, alpn));
  }

  /** Sends all, unless the proxy has ended the connection meanwhile. @returns Whether it could. */
  async send(...parts: readonly (Uint8Array | string)[]): Promise<boolean> {
    const bytes = joined(...parts);
    try {
      for (let sent = 0; sent < bytes.length;) sent += await this.conn.write(bytes.subarray(sent));
      return true;
    } catch {
      return false; // what the proxy said is still to be read
    }
  }

  /** Some octets; `undefined` at the end, however the connection ended. */
  async read(): Promise<Uint8Array | undefined> {
    try {
      const length = await this.conn.read(this.#buffer);
      return length === null ? undefined : this.#buffer.slice(0, length);
    } catch {
      return undefined;
    }
  }

  /** All that comes until the proxy ends the connection. */
  async readToEnd(): Promise<string> {
    let text = "";
    for (let bytes = await this.read(); bytes !== undefined; bytes = await this.read()) text += latin1(bytes);
    return text;
  }

  /** What comes until there is `end` in it. */
  async readUntil(end: string): Promise<string> {
    let text = "";
    while (!text.includes(end)) {
      const bytes = await this.read();
      assert.ok(bytes !== undefined, `no ${JSON.stringify(end)} in ${JSON.stringify(text)}`);
      text += latin1(bytes);
    }
    return text;
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

/** A connection that speaks HTTP/2, as far as the test has it speak. */
export class RawHttp2Client extends RawClient {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #frames: Frame[] = [];

  /** Opens a connection, and says nothing. */
  static async bare(l7: Reachable, serverName = "a.test"): Promise<RawHttp2Client> {
    return new RawHttp2Client(await connectTls(l7.proxy.address(), serverName, l7.authority.cert, ["h2"]));
  }

  /** Opens a connection, says what it must, and hears the proxy's SETTINGS. */
  static async connect(
    l7: Reachable,
    values: Readonly<Record<number, number>> = {},
    serverName = "a.test",
  ): Promise<RawHttp2Client> {
    const client = await RawHttp2Client.bare(l7, serverName);
    await client.send(PREFACE, settings({ 1: 0, ...values })); // no table: each answer's head tells its own status
    await client.until(({ type, flags }) => type === TYPES.SETTINGS && (flags & ACK) === 0);
    await client.send(frame("SETTINGS", ACK, 0));
    return client;
  }

  /** The next frame; `undefined` at the end of the connection. */
  async next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0) {
      const bytes = await this.read();
      if (bytes === undefined) return undefined;
      const { frames, rest } = takeFrames(joined(this.#rest, bytes));
      this.#rest = rest;
      this.#frames.push(...frames);
    }
    return this.#frames.shift();
  }

  /** Passes over frames up to the first that matches; fails where the connection ends before. */
  async until(matches: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const next = await this.next();
      assert.ok(next !== undefined, "the connection ended");
      if (matches(next)) return next;
      if (next.type === TYPES.GOAWAY) assert.fail(describe(next));
    }
  }

  /** The next frame of a type; fails where the connection ends before. */
  async frame(type: number): Promise<Frame> {
    for (let next = await this.next(); next !== undefined; next = await this.next()) {
      if (next.type === type) return next;
    }
    assert.fail("the connection ended");
  }

  /** What becomes of a stream: a status, then perhaps how it broke off; or the end of the connection. */
  async outcome(stream: number): Promise<string> {
    let outcome = "";
    for (;;) {
      const next = await this.next();
      if (next === undefined) return `${outcome} closed`.trim();
      if (next.type === TYPES.GOAWAY) return `${outcome} ${describe(next)}`.trim();
      if (next.stream !== stream) continue;
      if (next.type === TYPES.RST_STREAM) return `${outcome} ${describe(next)}`.trim();
      if (next.type === TYPES.HEADERS) outcome = `${outcome} ${statusOf(next.payload) ?? "trailers"}`.trim();
      if ((next.type === TYPES.HEADERS || next.type === TYPES.DATA) && (next.flags & END_STREAM) !== 0) return outcome;
    }
  }

  /** How the connection ends: `GOAWAY ENHANCE_YOUR_CALM`, or `closed`. */
  async end(): Promise<string> {
    let last = "closed";
    for (let next = await this.next(); next !== undefined; next = await this.next()) {
      if (next.type === TYPES.GOAWAY) last = describe(next);
    }
    return last;
  }
}

/** `RST_STREAM CANCEL`, `GOAWAY NO_ERROR`. */
function describe({ type, payload }: Frame): string {
  const at = type === TYPES.GOAWAY ? 4 : 0;
  const code = new DataView(payload.buffer, payload.byteOffset).getUint32(at);
  const name = Object.entries(CODES).find(([, number]) => number === code)?.[0] ?? String(code);
  return `${type === TYPES.GOAWAY ? "GOAWAY" : "RST_STREAM"} ${name}`;
}

const STATIC_STATUS = ["200", "204", "206", "304", "400", "404", "500"]; // RFC 7541 appendix A, 8 to 14

/** The `:status` that a header block begins with, where no table is in use. */
function statusOf(payload: Uint8Array): string | undefined {
  let at = 0;
  while (((payload[at] ?? 0) & 0xe0) === 0x20) at++; // the size of the table, RFC 7541 §6.3: 0
  const first = payload[at] ?? 0;
  if (first >= 0x88 && first <= 0x8e) return STATIC_STATUS[first - 0x88];
  const name = first & (first >= 0x40 ? 0x3f : 0x0f);
  if (name < 8 || name > 14) return undefined;
  const length = (payload[at + 1] ?? 0) & 0x7f;
  const value = payload.subarray(at + 2, at + 2 + length);
  return ((payload[at + 1] ?? 0) & 0x80) === 0 ? latin1(value) : huffmanDigits(value);
}

/** RFC 7541 appendix B: `0` to `2` have five bits, `3` to `9` six. */
function huffmanDigits(bytes: Uint8Array): string {
  let bits = "";
  for (const octet of bytes) bits += octet.toString(2).padStart(8, "0");
  let digits = "";
  for (let at = 0; digits.length < 3;) {
    const five = parseInt(bits.slice(at, at + 5), 2);
    const [digit, length] = five < 3 ? [five, 5] : [parseInt(bits.slice(at, at + 6), 2) - 0x19 + 3, 6];
    digits += digit;
    at += length;
  }
  return digits;
}
