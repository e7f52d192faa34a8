/**
 * What goes out on an HTTP/1.1 connection.
 *
 * @module
 */

import { ByteWriter } from "../../../wire/byte_writer.ts";
import { encodeChunkEnd, encodeChunkHeader } from "../../../wire/http1_encode.ts";
import { HIGH_WATER, type Transport } from "../transport.ts";
import type { TurnTask } from "../turn.ts";

/** Is told when parts of bodies have left. */
export interface Http1OutputOwner {
  bodySent(bytes: number): void;
}

/** From this many bytes on, what was written leaves at once. */
const EARLY = 16 * 1024;

/** Writers of which nothing waits, for any connection: one that is idle keeps none. */
const spare: ByteWriter[] = [];
const MAX_SPARE = 32;
const MAX_SPARE_CAPACITY = 512 * 1024;

/**
 * Gathers what is written in one turn of the event loop, so that a head with a short body is one write: under TLS one
 * record, and one system call.
 */
export class Http1Output implements TurnTask {
  readonly #transport: Transport;
  readonly #owner: Http1OutputOwner;
  #writer: ByteWriter | undefined;
  /** Octets of bodies of which the owner has not been told. */
  #untold = 0;
  #isScheduled = false;

  constructor(transport: Transport, owner: Http1OutputOwner) {
    this.#transport = transport;
    this.#owner = owner;
  }

  endTurn(): void {
    try {
      this.#isScheduled = false;
      this.flush();
    } catch (thrown) {
      this.#transport.fault(thrown);
    }
  }

  /** Whether more may be written than must be. */
  get isClear(): boolean {
    return this.#transport.backlog < HIGH_WATER;
  }

  /** Where to write a head, or the end of a body; it leaves at the end of this turn. */
  open(): ByteWriter {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#transport.turn.atEnd(this);
    }
    return this.#writer ??= spare.pop() ?? new ByteWriter(1024);
  }

  /** Writes a part of a body, not empty. */
  body(bytes: Uint8Array, chunked: boolean): void {
    this.#untold += bytes.length;
    const writer = this.open();
    if (chunked) encodeChunkHeader(writer, bytes.length);
    writer.put(bytes);
    if (chunked) encodeChunkEnd(writer);
    if (writer.length >= EARLY) this.flush();
  }

  /** Counts a part of a body that is not to be written as one that has left. */
  skip(count: number): void {
    this.#untold += count;
    this.open();
  }

  /** Gives to the transport what was written, and tells what has left. */
  flush(): void {
    const writer = this.#writer;
    if (writer !== undefined) {
      if (writer.length > 0) this.#transport.write(writer.written);
      this.#release(writer);
    }
    this.#tell();
  }

  /** Says, behind what was written, that no more comes. */
  end(): void {
    this.flush();
    this.#transport.end();
  }

  /** Forgets what was not given to the transport yet. */
  discard(): void {
    if (this.#writer !== undefined) this.#release(this.#writer);
  }

  #tell(): void {
    if (this.#untold === 0 || !this.isClear) return;
    const bytes = this.#untold;
    this.#untold = 0;
    this.#owner.bodySent(bytes);
  }

  #release(writer: ByteWriter): void {
    this.#writer = undefined;
    writer.clear();
    if (spare.length < MAX_SPARE && writer.bytes.length <= MAX_SPARE_CAPACITY) spare.push(writer);
  }
}
