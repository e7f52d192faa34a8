/**
 * The frames of a WebSocket (RFC 6455 §5), as far as an echo needs them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";

const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** RFC 6455 §7.4.1. */
const PROTOCOL_ERROR = 1002;
const TOO_BIG = 1009;

/** The longest frame that is echoed, in octets. */
const MAX_FRAME = 64 * 1024;

interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  /** In octets, all told. */
  readonly length: number;
}

/**
 * Echoes each message that comes through `tunnel`, an open WebSocket, until either side closes it.
 *
 * Frames are answered as they come, so a message that comes in parts goes back in the same parts. Whether text is UTF-8
 * is left to the client, whose own text it is.
 */
export function echoWebSocket(tunnel: Duplex): void {
  let received: Buffer = Buffer.alloc(0);
  let closing = false;
  const send = (bytes: Buffer) => {
    if (tunnel.write(bytes)) return;
    tunnel.pause(); // who does not read is not read from
    tunnel.once("drain", () => tunnel.resume());
  };
  const close = (payload: Buffer) => {
    closing = true;
    tunnel.end(encodeFrame(CLOSE, payload));
  };
  tunnel.on("error", () => {}); // the client went away
  tunnel.on("end", () => tunnel.end());
  tunnel.on("data", (chunk: Buffer) => {
    if (closing) return;
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    for (let frame = readFrame(received); frame !== undefined && !closing; frame = readFrame(received)) {
      if (typeof frame === "number") return close(closePayload(frame));
      received = received.subarray(frame.length);
      if (frame.opcode === CLOSE) close(frame.payload);
      else if (frame.opcode === PING) send(encodeFrame(PONG, frame.payload));
      else if (frame.opcode !== PONG) send(encodeFrame(frame.opcode, frame.payload, frame.fin));
    }
  });
}

/** The first frame of what a client sent, `undefined` where it is not whole, or the code to close the WebSocket with. */
function readFrame(bytes: Buffer): Frame | number | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const [fin, opcode, short] = [first >= 0x80, first & 0x0f, second & 0x7f];
  const isControl = opcode >= CLOSE;
  const isKnown = opcode <= BINARY || (isControl && opcode <= PONG);
  // RFC 6455 §5.1: a client masks what it sends; §5.2: no extension was agreed on; §5.5: control frames are short and whole.
  if (second < 0x80 || (first & 0x70) !== 0 || !isKnown || (isControl && (!fin || short > 125))) return PROTOCOL_ERROR;
  const head = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
  if (bytes.length < head + 4) return undefined;
  const size = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (size > MAX_FRAME) return TOO_BIG;
  const length = head + 4 + size;
  if (bytes.length < length) return undefined;
  const mask = bytes.subarray(head, head + 4);
  const payload = Buffer.from(bytes.subarray(head + 4, length).map((octet, i) => octet ^ (mask[i % 4] ?? 0)));
  return { fin, opcode, payload, length };
}

/** A frame as a server sends it, unmasked. */
function encodeFrame(opcode: number, payload: Buffer, fin = true): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length <= 125 ? 2 : length <= 0xffff ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  if (length <= 125) head[1] = length;
  else if (length <= 0xffff) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

function closePayload(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return payload;
}
