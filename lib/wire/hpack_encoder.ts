/**
 * Encoding header blocks (RFC 7541).
 *
 * @module
 */

import { DynamicTable } from "./_hpack_dynamic_table.ts";
import { STATIC_LENGTH, STATIC_NAME_NUMBERS, STATIC_VALUE_NUMBERS } from "./_hpack_static_table.ts";
import { huffmanEncode, huffmanLength } from "./_huffman.ts";
import type { ByteWriter } from "./byte_writer.ts";
import type { FieldList } from "./field_list.ts";

/** The most that is used of what a peer allows: more would only cost us memory. */
const MAX_TABLE_SIZE = 4096;

/** Secrets, which a table shared with others' words would help to guess (RFC 7541 §7.1.3). */
const SECRETS: ReadonlySet<string> = new Set(["authorization", "proxy-authorization", "set-cookie"]);
const SHORT_COOKIE = 20;

/** Other each time: in the table they would only drive out what is not. */
const VARYING: ReadonlySet<string> = new Set([
  ":path",
  "age",
  "content-length",
  "content-range",
  "date",
  "etag",
  "expires",
  "grpc-timeout",
  "if-modified-since",
  "if-none-match",
  "last-modified",
  "location",
  "range",
  "traceparent",
  "x-forwarded-for",
  "x-real-ip",
  "x-request-id",
]);

const INDEXED = 0x40;
const NOT_INDEXED = 0;
const NEVER_INDEXED = 0x10;

/** All there is to know about a name: found with one look-up. */
interface Name {
  readonly name: string;
  readonly secret: boolean;
  readonly varies: boolean;
  readonly staticName: number;
  readonly staticValues: ReadonlyMap<string, number> | undefined;
  /** The serial number of its newest entry, -1 where it has none, and that entry's value. */
  newest: number;
  value: string;
  /** Of all its entries, where there is more than one. */
  values: Map<string, number> | undefined;
}

/** How many names an encoder knows: beyond it, those without an entry are forgotten. */
const MAX_NAMES = 256;

/** How many names of a block, from its first, are compared with those of the block before. */
const MAX_RECENT = 32;

/** Encodes the header blocks of one connection, one after the other. */
export class HpackEncoder {
  readonly #names = new Map<string, Name>();
  readonly #table = new DynamicTable(MAX_TABLE_SIZE, (serial, name, value) => {
    const known = this.#names.get(name);
    if (known === undefined) return;
    if (known.values?.get(value) === serial) known.values.delete(value);
    if (known.newest !== serial) return;
    known.newest = -1;
    known.values = undefined;
  });
  /** The smallest size, and the last, since the last block (RFC 7541 §4.2). */
  #smallest = MAX_TABLE_SIZE;
  #wanted = MAX_TABLE_SIZE;
  readonly #huffman: boolean;
  /** The names of the last blocks by their places: the next block mostly has the same, and none needs to be looked up. */
  readonly #recent: Name[] = [];

  /** @param huffman Whether strings are Huffman-coded where that is shorter: it costs as much as all the rest. */
  constructor(huffman = true) {
    this.#huffman = huffman;
  }

  /** Takes the peer's SETTINGS_HEADER_TABLE_SIZE. */
  setMaxTableSize(size: number): void {
    this.#wanted = Math.min(size, MAX_TABLE_SIZE);
    this.#smallest = Math.min(this.#smallest, this.#wanted);
  }

  /**
   * Appends fields to a block; a block may be made of several lists.
   *
   * @param fields Names in lower case.
   * @param neverIndexed Names that must not enter a table on the way.
   * @param place How many names and values of the block were in the lists before this one.
   */
  encode(fields: FieldList, out: ByteWriter, neverIndexed?: ReadonlySet<string>, place = 0): void {
    if (this.#wanted !== this.#table.maxSize || this.#smallest < this.#table.maxSize) this.#resize(out);
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] ?? "";
      let known = this.#recent[(place + i) >> 1];
      if (known === undefined || known.name !== name) known = this.#lookUp(name, (place + i) >> 1);
      this.#field(known, fields[i + 1] ?? "", neverIndexed?.has(name) ?? false, out);
    }
  }

  #resize(out: ByteWriter): void {
    for (const size of new Set([this.#smallest, this.#wanted])) {
      if (size === this.#table.maxSize) continue;
      this.#table.resize(size);
      integer(out, 0x20, 5, size);
    }
    this.#smallest = this.#wanted;
  }

  #field(known: Name, value: string, never: boolean, out: ByteWriter): void {
    const { name } = known;
    if (never || known.secret || (name === "cookie" && value.length < SHORT_COOKIE)) {
      return this.#literal(NEVER_INDEXED, 4, known, value, out);
    }
    if (!known.varies && known.newest >= 0) {
      const serial = known.value === value ? known.newest : known.values?.get(value);
      if (serial !== undefined) return integer(out, 0x80, 7, this.#index(serial));
    }
    const index = known.staticValues?.get(value);
    if (index !== undefined) return integer(out, 0x80, 7, index);
    // A name that is in no table yet enters it with its first value, and saves its octets from then on.
    const named = known.newest >= 0 || known.staticName > 0;
    if ((known.varies && named) || name.length + value.length > this.#table.maxSize / 2) {
      return this.#literal(NOT_INDEXED, 4, known, value, out);
    }
    this.#literal(INDEXED, 6, known, value, out);
    if (!this.#table.insert(name, value)) return;
    const serial = this.#table.inserted - 1;
    if (known.newest >= 0) (known.values ??= new Map([[known.value, known.newest]])).set(value, serial);
    known.newest = serial;
    known.value = value;
  }

  #lookUp(name: string, place: number): Name {
    const known = this.#names.get(name) ?? this.#learn(name);
    if (place <= this.#recent.length && place < MAX_RECENT) this.#recent[place] = known; // never with a hole before it
    return known;
  }

  #learn(name: string): Name {
    if (this.#names.size >= MAX_NAMES) {
      this.#recent.length = 0;
      for (const [other, { newest }] of this.#names) if (newest < 0) this.#names.delete(other);
    }
    const known = {
      name,
      secret: SECRETS.has(name),
      varies: VARYING.has(name),
      staticName: STATIC_NAME_NUMBERS.get(name) ?? 0,
      staticValues: STATIC_VALUE_NUMBERS.get(name),
      newest: -1,
      value: "",
      values: undefined,
    };
    this.#names.set(name, known);
    return known;
  }

  #literal(kind: number, prefix: number, known: Name, value: string, out: ByteWriter): void {
    const index = known.staticName > 0 ? known.staticName : known.newest >= 0 ? this.#index(known.newest) : 0;
    integer(out, kind, prefix, index);
    if (index === 0) this.#string(known.name, out);
    this.#string(value, out);
  }

  /** RFC 7541 §5.2. */
  #string(text: string, out: ByteWriter): void {
    const coded = this.#huffman ? huffmanLength(text) : Infinity;
    if (coded < text.length) {
      integer(out, 0x80, 7, coded);
      huffmanEncode(text, coded, out);
    } else {
      integer(out, 0, 7, text.length);
      out.latin1(text);
    }
  }

  #index(serial: number): number {
    return STATIC_LENGTH + this.#table.inserted - serial;
  }
}

/** RFC 7541 §5.1. */
function integer(out: ByteWriter, flags: number, prefix: number, value: number): void {
  const mask = (1 << prefix) - 1;
  if (value < mask) return out.octet(flags | value);
  out.octet(flags | mask);
  for (value -= mask; value >= 0x80; value = Math.floor(value / 0x80)) out.octet((value % 0x80) | 0x80);
  out.octet(value);
}
