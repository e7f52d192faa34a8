/**
 * The peer of an HTTP/2 connection over a fake transport: it writes raw frames, and reads what it is sent as text.
 *
 * @module
 */

import { ByteWriter } from "../../../wire/byte_writer.ts";
import type { FieldList } from "../../../wire/field_list.ts";
import { HpackDecoder } from "../../../wire/hpack_decoder.ts";
import { HpackEncoder } from "../../../wire/hpack_encoder.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import { FakeTransport, latin1, octets, turn } from "./fake_transport.ts";

const END_BOTH = h2.END_HEADERS | h2.END_STREAM;

/** A frame of any kind, right or wrong. */
export function frame(type: number, flags: number, stream: number, payload: string | Uint8Array = ""): Uint8Array {
  const out = new ByteWriter();
  const bytes = typeof payload === "string" ? octets(payload) : payload;
  h2.writeFrameHeader(out, bytes.length, type, flags, stream);
  out.put(bytes);
  return out.taken();
}

/** 32 bits in network order, each. */
export function uint32(...values: number[]): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  for (const value of values) h2.writeUint32(out, value);
  return out.taken();
}

export function settings(values: Readonly<Record<number, number>> = {}): Uint8Array {
  const out = new ByteWriter();
  h2.writeSettings(out, Object.entries(values).map(([id, value]) => [Number(id), value] as const));
  return out.taken();
}

export const SETTINGS_ACK: Uint8Array = frame(h2.SETTINGS, h2.ACK, 0);

export function data(stream: number, payload: string | Uint8Array, end = false): Uint8Array {
  return frame(h2.DATA, end ? h2.END_STREAM : 0, stream, payload);
}

export function windowUpdate(stream: number, increment: number): Uint8Array {
  return frame(h2.WINDOW_UPDATE, 0, stream, uint32(increment));
}

export function reset(stream: number, code: h2.ErrorCode = "CANCEL"): Uint8Array {
  return frame(h2.RST_STREAM, 0, stream, uint32(h2.ERROR_CODES[code]));
}

export function goAway(lastStream: number, code: h2.ErrorCode = "NO_ERROR"): Uint8Array {
  return frame(h2.GOAWAY, 0, 0, uint32(lastStream, h2.ERROR_CODES[code]));
}

export function ping(payload = "12345678", flags = 0): Uint8Array {
  return frame(h2.PING, flags, 0, payload);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  for (const part of parts) out.put(part);
  return out.taken();
}

/** See the module. */
export class Http2Peer implements Disposable {
  readonly transport: FakeTransport;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(4096, 1_000_000);
  /** Names of fields that came as never to be indexed. */
  readonly neverIndexed: Set<string> = new Set();
  #writesSeen = 0;
  /** A header block whose end is yet to be read. */
  #block = "";

  constructor(transport: FakeTransport = new FakeTransport()) {
    this.transport = transport;
  }

  /** Ends the connection, so that no timer of it is left. */
  [Symbol.dispose](): void {
    this.transport.lose("the test is over");
  }

  /** Sends frames, in one piece. */
  send(...frames: readonly Uint8Array[]): void {
    this.transport.receive(joined(...frames));
  }

  block(fields: FieldList, neverIndexed?: ReadonlySet<string>): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    this.#encoder.encode(fields, out, neverIndexed);
    return out.taken();
  }

  headers(stream: number, fields: FieldList, flags = END_BOTH): Uint8Array {
    return frame(h2.HEADERS, flags, stream, this.block(fields));
  }

  /**
   * What the connection has sent since the last call, a line a frame: `HEADERS 1 end :status 200`, `DATA 1 end abc`,
   * `RST_STREAM 1 CANCEL`, `SETTINGS 3=128`, `SETTINGS ack`, `WINDOW_UPDATE 0 100`, `PING ack 12345678`,
   * `GOAWAY 1 NO_ERROR`. DATA of more than 100 octets are told as their number.
   */
  async told(): Promise<string[]> {
    const lines: string[] = [];
    let bytes = "";
    do {
      await turn();
      const more = this.transport.writes.slice(this.#writesSeen).join("");
      if (bytes !== "" && more === "") throw new RangeError("a frame without its end");
      this.#writesSeen = this.transport.writes.length;
      bytes = this.#wholeFrames(bytes + more, lines);
    } while (bytes !== ""); // a large body is written in whole records of TLS, which end within frames
    return lines;
  }

  /** Adds a line for each frame that is whole. @returns What is left. */
  #wholeFrames(text: string, lines: string[]): string {
    const bytes = octets(text);
    let at = 0;
    while (at + h2.FRAME_HEADER_LENGTH <= bytes.length) {
      const end = at + h2.FRAME_HEADER_LENGTH + (h2.uint32At(bytes, at) >>> 8);
      if (end > bytes.length) break;
      const id = h2.uint32At(bytes, at + 5);
      const line = this.#line(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, id, bytes.subarray(at + 9, end));
      if (line !== undefined) lines.push(line);
      at = end;
    }
    return text.slice(at);
  }

  #line(type: number, flags: number, id: number, payload: Uint8Array): string | undefined {
    const end = (flags & h2.END_STREAM) !== 0 ? " end" : "";
    switch (type) {
      case h2.DATA:
        return `DATA ${id}${end} ${payload.length > 100 ? payload.length : latin1(payload)}`.trimEnd();
      case h2.HEADERS:
        this.#block = "";
        return this.#headersLine(`HEADERS ${id}${end}`, flags, payload);
      case h2.CONTINUATION:
        return this.#headersLine(`CONTINUATION ${id}`, flags, payload);
      case h2.RST_STREAM:
        return `RST_STREAM ${id} ${h2.errorCodeName(h2.uint32At(payload, 0))}`;
      case h2.SETTINGS: {
        if ((flags & h2.ACK) !== 0) return "SETTINGS ack";
        const values: string[] = [];
        for (let at = 0; at < payload.length; at += 6) {
          values.push(`${payload[at + 1]}=${h2.uint32At(payload, at + 2)}`);
        }
        return `SETTINGS ${values.join(" ")}`.trimEnd();
      }
      case h2.PING:
        return `PING ${(flags & h2.ACK) !== 0 ? "ack " : ""}${latin1(payload)}`;
      case h2.GOAWAY:
        return `GOAWAY ${h2.uint32At(payload, 0)} ${h2.errorCodeName(h2.uint32At(payload, 4))}`;
      case h2.WINDOW_UPDATE:
        return `WINDOW_UPDATE ${id} ${h2.uint32At(payload, 0)}`;
      default:
        return `frame ${type} ${flags} ${id}`;
    }
  }

  #headersLine(start: string, flags: number, payload: Uint8Array): string {
    this.#block += latin1(payload);
    if ((flags & h2.END_HEADERS) === 0) return `${start} …`;
    const block = this.#decoder.decode(octets(this.#block));
    for (const name of block?.neverIndexed ?? []) this.neverIndexed.add(name);
    const fields = block?.fields ?? [];
    const pairs: string[] = [];
    for (let i = 0; i < fields.length; i += 2) pairs.push(`${fields[i]} ${fields[i + 1]}`);
    return `${start} ${pairs.join(", ")}`;
  }
}
