import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteWriter } from "./byte_writer.ts";
import { HpackDecoder, HpackError } from "./hpack_decoder.ts";
import { HpackEncoder } from "./hpack_encoder.ts";
import { mutated } from "./testdata/fuzz.ts";
import { characters } from "./testdata/octets.ts";

const LIST = 65536;

const latin1 = fc.uint8Array({ maxLength: 40 }).map(characters);
const name = fc.oneof(
  fc.constantFrom(":path", ":status", "cookie", "authorization", "date", "x-a", "x-b", "accept-encoding"),
  fc.string({ unit: fc.constantFrom(..."abc-"), minLength: 1, maxLength: 20 }),
);
const value = fc.oneof(
  fc.constantFrom("", "200", "/", "gzip, deflate", "no-cache"),
  latin1,
  fc.integer({ min: 30, max: 5000 }).map((length) => "v".repeat(length)),
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((fields) => fields.flat());
const blocks = fc.array(
  fc.record({
    fields,
    neverIndexed: fc.uniqueArray(name, { maxLength: 2 }),
    /** What the decoder's side allows from this block on, some of it told at once. */
    tableSizes: fc.array(fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 8192 })), { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 15 },
);

Deno.test("what is encoded is decoded as it was, over many blocks and changes of the table's size", () => {
  fc.assert(fc.property(blocks, (blocks) => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(8192, LIST);
    const out = new ByteWriter(0);
    for (const { fields, neverIndexed, tableSizes } of blocks) {
      for (const size of tableSizes) encoder.setMaxTableSize(size);
      encoder.encode(fields, out, new Set(neverIndexed));
      const block = decoder.decode(out.taken());
      assert.deepEqual(block?.fields, fields);
      for (const name of neverIndexed) {
        assert.ok(!fields.includes(name) || fields.indexOf(name) % 2 === 1 || block?.neverIndexed?.has(name));
      }
    }
  }));
});

Deno.test("no octets make the decoder throw anything but HpackError, or give a list above the limit", () => {
  const sound = fields.map((fields) => {
    const out = new ByteWriter();
    new HpackEncoder().encode(fields, out);
    return out.taken();
  });
  const hostile = fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated(sound));
  fc.assert(
    fc.property(fc.array(hostile, { minLength: 1, maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder(4096, 500);
      for (const bytes of blocks) {
        try {
          const block = decoder.decode(bytes);
          if (block === undefined) continue;
          let size = 0;
          for (const text of block.fields) size += text.length + 16;
          assert.ok(size <= 500 && block.fields.length % 2 === 0);
        } catch (error) {
          if (!(error instanceof HpackError)) throw error;
          return; // such a connection has ended
        }
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("a string is decoded as it was, whatever octets it has, Huffman-coded or not", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000, size: "max" }).map(characters), (text) => {
    const out = new ByteWriter(0);
    new HpackEncoder().encode([text, text], out);
    assert.deepEqual(new HpackDecoder(4096, LIST).decode(out.written)?.fields, [text, text]);
  }));
});
