/**
 * What an HTTP/2 connection sends: frames as octets, those of a turn in one write.
 *
 * @module
 */

import { ByteWriter } from "../../../wire/byte_writer.ts";
import type { FieldList } from "../../../wire/field_list.ts";
import { HpackEncoder } from "../../../wire/hpack_encoder.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import type { ErrorCode } from "../../../wire/http2_frames.ts";
import type { Transport } from "../transport.ts";
import type { TurnTask } from "../turn.ts";

/** Buffers to write to. They are shared, since a connection needs one only from its first frame of a turn to the last. */
const SPARE: ByteWriter[] = [];
const MAX_SPARE = 16;
const MAX_SPARE_LENGTH = 512 * 1024;
const NOTHING = new ByteWriter(0);
const EARLY = 64 * 1024;
const RECORD = 16 * 1024;

/** See the module. */
export class Http2Output implements TurnTask {
  readonly #transport: Transport;
  readonly #flushed: () => void;
  /** What was written in this turn. */
  #written = NOTHING;
  readonly #encoder: HpackEncoder;
  /** Where the last frame of DATA begins that has not been flushed, or -1. */
  #lastData = -1;
  #scheduled = false;
  #isBulk = false;
  #stopped = false;

  /**
   * @param huffman Whether header fields are Huffman-coded.
   * @param flushed Told when all that was written has gone to the transport.
   */
  constructor(transport: Transport, huffman: boolean, flushed: () => void) {
    this.#transport = transport;
    this.#encoder = new HpackEncoder(huffman);
    this.#flushed = flushed;
  }

  endTurn(): void {
    try {
      this.#scheduled = false;
      this.#flushUnlessLeftOver();
    } catch (thrown) {
      this.#transport.fault(thrown);
    }
  }

  /** In the midst of a large body, what is left over goes with what comes next: alone it would be a record of its own. */
  #flushUnlessLeftOver(): void {
    const isLeftOver = this.#isBulk && this.#written.length < RECORD;
    this.#isBulk = false;
    if (!isLeftOver) return this.flush();
    this.#scheduled = true;
    this.#transport.turn.atNextEnd(this);
    this.#flushed();
  }

  /** How many bytes wait to leave. */
  get backlog(): number {
    return this.#transport.backlog + this.#written.length;
  }

  get #out(): ByteWriter {
    if (this.#written === NOTHING) this.#written = SPARE.pop() ?? new ByteWriter(4096);
    return this.#written;
  }

  /** Takes the peer's SETTINGS_HEADER_TABLE_SIZE. */
  setHeaderTableSize(size: number): void {
    this.#encoder.setMaxTableSize(size);
  }

  preface(): void {
    this.#out.put(h2.PREFACE);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    h2.writeSettings(this.#out, settings);
    this.#flushSoon();
  }

  settingsAck(): void {
    h2.writeFrameHeader(this.#out, 0, h2.SETTINGS, h2.ACK, 0);
    this.#flushSoon();
  }

  ping(flags: number, payload: Uint8Array): void {
    h2.writeFrameHeader(this.#out, 8, h2.PING, flags, 0);
    this.#out.put(payload);
    this.#flushSoon();
  }

  goAway(lastStream: number, code: ErrorCode): void {
    h2.writeFrameHeader(this.#out, 8, h2.GOAWAY, 0, 0);
    h2.writeUint32(this.#out, lastStream);
    h2.writeUint32(this.#out, h2.ERROR_CODES[code]);
    this.#flushSoon();
  }

  reset(id: number, code: ErrorCode): void {
    h2.writeFrameHeader(this.#out, 4, h2.RST_STREAM, 0, id);
    h2.writeUint32(this.#out, h2.ERROR_CODES[code]);
    this.#flushSoon();
  }

  windowUpdate(id: number, increment: number): void {
    h2.writeFrameHeader(this.#out, 4, h2.WINDOW_UPDATE, 0, id);
    h2.writeUint32(this.#out, increment);
    this.#flushSoon();
  }

  /** Makes room for so many bytes in frames of DATA, at once instead of by and by. */
  reserveData(bytes: number): void {
    this.#out.reserve(bytes + h2.FRAME_HEADER_LENGTH * Math.ceil(bytes / h2.MAX_FRAME_LENGTH));
  }

  data(id: number, bytes: Uint8Array): void {
    this.#lastData = this.#out.length;
    h2.writeFrameHeader(this.#out, bytes.length, h2.DATA, 0, id);
    this.#out.put(bytes);
    this.#flushSoon();
    // What is large leaves at once, while it is in the cache, and before it is a backlog.
    if (this.#written.length >= EARLY && this.#transport.leavesAtOnce && !this.#stopped) {
      const written = this.#written;
      const whole = written.length - written.length % RECORD; // what is cut off would be a record of a few octets
      this.#transport.write(written.bytes.subarray(0, whole));
      written.bytes.copyWithin(0, whole, written.length);
      written.length -= whole;
      this.#lastData = -1;
      this.#isBulk = true;
    }
  }

  /** Ends a stream: on its DATA, where that was the last to be written and is still here. */
  end(id: number): void {
    const at = this.#lastData;
    const { bytes } = this.#out;
    if (at >= 0 && h2.uint32At(bytes, at + 5) === id) {
      bytes[at + 4] = h2.END_STREAM;
      return;
    }
    h2.writeFrameHeader(this.#out, 0, h2.DATA, h2.END_STREAM, id);
    this.#flushSoon();
  }

  /** Writes a header block of several lists of fields, the first of them of pseudo-header fields. */
  headers(id: number, lists: readonly FieldList[], end: boolean, neverIndexed?: ReadonlySet<string>): void {
    const out = this.#out;
    const at = out.length;
    h2.writeFrameHeader(out, 0, h2.HEADERS, 0, id);
    let place = 0;
    for (const fields of lists) {
      this.#encoder.encode(fields, out, neverIndexed, place);
      place += fields.length;
    }
    const length = out.length - at - h2.FRAME_HEADER_LENGTH;
    const endStream = end ? h2.END_STREAM : 0;
    if (length <= h2.MAX_FRAME_LENGTH) {
      h2.setFrameHeader(out.bytes, at, length, h2.HEADERS, endStream | h2.END_HEADERS, id);
    } else this.#splitHeaders(at, id, endStream);
    this.#flushSoon();
  }

  #splitHeaders(at: number, id: number, endStream: number): void {
    const out = this.#out;
    const block = out.bytes.slice(at + h2.FRAME_HEADER_LENGTH, out.length);
    out.length = at;
    for (let start = 0; start < block.length; start += h2.MAX_FRAME_LENGTH) {
      const part = block.subarray(start, start + h2.MAX_FRAME_LENGTH);
      const last = start + part.length === block.length ? h2.END_HEADERS : 0;
      const [type, flags] = start === 0 ? [h2.HEADERS, endStream | last] : [h2.CONTINUATION, last];
      h2.writeFrameHeader(out, part.length, type, flags, id);
      out.put(part);
    }
  }

  /** Hands what was written to the transport, now instead of at the end of the turn. */
  flush(): void {
    const written = this.#written;
    if (written === NOTHING || this.#stopped) return;
    this.#written = NOTHING;
    this.#lastData = -1;
    this.#write(written);
    this.#flushed();
  }

  #write(written: ByteWriter): void {
    this.#transport.write(written.written);
    written.clear();
    if (SPARE.length < MAX_SPARE && written.bytes.length <= MAX_SPARE_LENGTH) SPARE.push(written);
  }

  /** Sends nothing any more. */
  stop(): void {
    this.#stopped = true;
  }

  #flushSoon(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#transport.turn.atEnd(this);
  }
}
