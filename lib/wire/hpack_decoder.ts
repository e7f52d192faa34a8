/**
 * Decoding header blocks (RFC 7541).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { DynamicTable, ENTRY_OVERHEAD } from "./_hpack_dynamic_table.ts";
import { STATIC_LENGTH, STATIC_NAMES, STATIC_VALUES } from "./_hpack_static_table.ts";
import { huffmanDecode } from "./_huffman.ts";
import type { FieldList } from "./field_list.ts";

/** A block that cannot be decoded: a COMPRESSION_ERROR of its connection, whose table cannot be trusted any more. */
export class HpackError extends Error {
  override readonly name = "HpackError";
}

/** A header block. */
export interface HeaderBlock {
  /** In lower case where the peer sent them so: nothing is validated here. */
  readonly fields: FieldList;
  /** Names that came as never-indexed literals (RFC 7541 §6.2.3), and must stay so when they are passed on. */
  readonly neverIndexed: ReadonlySet<string> | undefined;
}

/** Where a Huffman-coded string is decoded to. One for all connections: each is done with it before another's turn. */
const NOTHING = new Uint8Array(0);
let scratch = new Uint8Array(1024);

/** Decodes the header blocks of one connection, one after the other. */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxTableSize: number;
  readonly #maxListSize: number;
  #bytes: Uint8Array = NOTHING;
  #at = 0;

  /**
   * @param maxTableSize Our SETTINGS_HEADER_TABLE_SIZE, in octets.
   * @param maxListSize The most octets of a list, 32 added for each field (RFC 9113 §6.5.2).
   */
  constructor(maxTableSize: number, maxListSize: number) {
    this.#table = new DynamicTable(maxTableSize);
    this.#maxTableSize = maxTableSize;
    this.#maxListSize = maxListSize;
  }

  /**
   * Decodes one whole block.
   *
   * What is kept after the call is the table, which is as large as its entries' octets and 32 for each, at most.
   *
   * @returns `undefined` where the list is too large; the dynamic table is right all the same.
   * @throws {HpackError} If the block breaks a rule.
   */
  decode(block: Uint8Array): HeaderBlock | undefined {
    this.#bytes = block;
    this.#at = 0;
    const fields: FieldList = [];
    let neverIndexed: Set<string> | undefined;
    let size = 0;
    let mayResize = true;
    while (this.#at < block.length) {
      const first = block[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) { // §6.3
        if (!mayResize) throw new HpackError("a table size update behind a field");
        this.#resize(this.#integer(5));
        continue;
      }
      mayResize = false;
      let name: string;
      let value: string;
      let never = false;
      if (first >= 0x80) { // §6.1
        const index = this.#integer(7);
        name = this.#nameAt(index);
        value = this.#valueAt(index);
      } else {
        const indexed = first >= 0x40; // §6.2
        const index = this.#integer(indexed ? 6 : 4);
        name = index === 0 ? this.#string() : this.#nameAt(index);
        value = this.#string();
        if (indexed) this.#table.insert(name, value);
        never = first >= 0x10 && !indexed;
      }
      size += name.length + value.length + ENTRY_OVERHEAD;
      if (size > this.#maxListSize) continue; // the rest is read for the sake of the table
      fields.push(name, value);
      if (never) (neverIndexed ??= new Set()).add(name);
    }
    return size <= this.#maxListSize ? { fields, neverIndexed } : undefined;
  }

  #resize(size: number): void {
    if (size > this.#maxTableSize) throw new HpackError("a table size above the limit");
    this.#table.resize(size);
  }

  #nameAt(index: number): string {
    if (index <= STATIC_LENGTH) return STATIC_NAMES[this.#checked(index) - 1] ?? "";
    return this.#table.name(this.#checked(index) - STATIC_LENGTH - 1);
  }

  #valueAt(index: number): string {
    if (index <= STATIC_LENGTH) return STATIC_VALUES[this.#checked(index) - 1] ?? "";
    return this.#table.value(this.#checked(index) - STATIC_LENGTH - 1);
  }

  #checked(index: number): number {
    if (index === 0 || index > STATIC_LENGTH + this.#table.count) throw new HpackError("an index without an entry");
    return index;
  }

  /** RFC 7541 §5.1. What is larger than any length here may be is refused. */
  #integer(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = (this.#bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const octet = this.#bytes[this.#at++];
      if (octet === undefined) throw new HpackError("an integer without its end");
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    throw new HpackError("an integer too large");
  }

  /** RFC 7541 §5.2. */
  #string(): string {
    const first = this.#bytes[this.#at];
    if (first === undefined) throw new HpackError("a string without its length");
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#bytes.length) throw new HpackError("a string without its end");
    this.#at = end;
    if (first < 0x80) return latin1(this.#bytes, start, end);
    const room = Math.ceil(length * 8 / 5);
    if (scratch.length < room) scratch = new Uint8Array(room);
    const decoded = huffmanDecode(this.#bytes, start, end, scratch);
    if (decoded < 0) throw new HpackError("a string that is not Huffman-coded");
    return latin1(scratch, 0, decoded);
  }
}

const slice = Buffer.prototype.latin1Slice as unknown as (this: Uint8Array, start: number, end: number) => string;

/** Up to so many octets, a call into the runtime (60 ns) costs more than putting the string together. */
const SHORT = 8;

function latin1(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT) return slice.call(bytes, start, end);
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] ?? 0);
  return text;
}
