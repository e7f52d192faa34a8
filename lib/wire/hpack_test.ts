import assert from "node:assert/strict";
import { ByteWriter } from "./byte_writer.ts";
import type { FieldList } from "./field_list.ts";
import { HpackDecoder, HpackError } from "./hpack_decoder.ts";
import { HpackEncoder } from "./hpack_encoder.ts";
import { hex } from "./testdata/octets.ts";

const LIST = 65536;

/** The index of the newest entry of the dynamic table. */
const FIRST_DYNAMIC = 62;

/** What a decoder has in its dynamic table, the newest first. */
function tableOf(decoder: HpackDecoder): string[] {
  const entries: string[] = [];
  for (let index = FIRST_DYNAMIC; index < 127; index++) {
    try {
      entries.push(decoder.decode(Uint8Array.of(0x80 | index))?.fields.join(": ") ?? "");
    } catch (error) {
      assert.ok(error instanceof HpackError);
      return entries;
    }
  }
  return entries;
}

function encoded(encoder: HpackEncoder, fields: FieldList, neverIndexed?: ReadonlySet<string>): Uint8Array {
  const out = new ByteWriter();
  encoder.encode(fields, out, neverIndexed);
  return out.taken();
}

function fieldsOf(lines: readonly string[]): FieldList {
  return lines.flatMap((line) => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
}

/** A block of RFC 7541 appendix C, what it says, and the table behind it. */
interface Example {
  readonly block: string;
  readonly fields: readonly string[];
  readonly table: readonly string[];
}

const GET = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
const GET_SECURE = [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com"];
const REQUESTS: readonly Pick<Example, "fields" | "table">[] = [
  { fields: GET, table: [":authority: www.example.com"] },
  {
    fields: [...GET, "cache-control: no-cache"],
    table: ["cache-control: no-cache", ":authority: www.example.com"],
  },
  {
    fields: [...GET_SECURE, "custom-key: custom-value"],
    table: ["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"],
  },
];
const REQUEST_BLOCKS = [
  "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
  "8286 84be 5808 6e6f 2d63 6163 6865",
  "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];
const HUFFMAN_REQUEST_BLOCKS = [
  "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
  "8286 84be 5886 a8eb 1064 9cbf",
  "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

const DATE_21 = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const DATE_22 = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const LOCATION = "location: https://www.example.com";
const PRIVATE = "cache-control: private";
const COOKIE = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const RESPONSES: readonly Pick<Example, "fields" | "table">[] = [
  {
    fields: [":status: 302", PRIVATE, DATE_21, LOCATION],
    table: [LOCATION, DATE_21, PRIVATE, ":status: 302"],
  },
  {
    fields: [":status: 307", PRIVATE, DATE_21, LOCATION],
    table: [":status: 307", LOCATION, DATE_21, PRIVATE],
  },
  {
    fields: [":status: 200", PRIVATE, DATE_22, LOCATION, "content-encoding: gzip", COOKIE],
    table: [COOKIE, "content-encoding: gzip", DATE_22],
  },
];
const RESPONSE_BLOCKS = [
  `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
   3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
  "4803 3330 37c1 c0bf",
  `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
   7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
   6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
];
const HUFFMAN_RESPONSE_BLOCKS = [
  `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
   1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
  "4883 640e ffc1 c0bf",
  `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
   e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
];

const SECTIONS = [
  { name: "C.3", size: 4096, blocks: REQUEST_BLOCKS, examples: REQUESTS },
  { name: "C.4", size: 4096, blocks: HUFFMAN_REQUEST_BLOCKS, examples: REQUESTS },
  { name: "C.5", size: 256, blocks: RESPONSE_BLOCKS, examples: RESPONSES },
  { name: "C.6", size: 256, blocks: HUFFMAN_RESPONSE_BLOCKS, examples: RESPONSES },
];

for (const { name, size, blocks, examples } of SECTIONS) {
  Deno.test(`the blocks of RFC 7541 ${name} are decoded, and leave the tables that it shows`, () => {
    const decoder = new HpackDecoder(size, LIST);
    for (const [i, { fields, table }] of examples.entries()) {
      const block = decoder.decode(hex(blocks[i] ?? ""));
      assert.deepEqual(block, { fields: fieldsOf(fields), neverIndexed: undefined });
      assert.deepEqual(tableOf(decoder), table);
    }
  });
}

Deno.test("the literals of RFC 7541 C.2 are decoded", () => {
  const decoder = new HpackDecoder(4096, LIST);
  const literal = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
  assert.deepEqual(decoder.decode(hex(literal))?.fields, ["custom-key", "custom-header"]);
  assert.deepEqual(tableOf(decoder), ["custom-key: custom-header"]);

  const bare = new HpackDecoder(4096, LIST);
  const path = bare.decode(hex("040c 2f73 616d 706c 652f 7061 7468"));
  assert.deepEqual(path, { fields: [":path", "/sample/path"], neverIndexed: undefined });
  const secret = bare.decode(hex("1008 7061 7373 776f 7264 0673 6563 7265 74"));
  assert.deepEqual(secret, { fields: ["password", "secret"], neverIndexed: new Set(["password"]) });
  assert.deepEqual(bare.decode(hex("82"))?.fields, [":method", "GET"]);
  assert.deepEqual(tableOf(bare), []);
});

Deno.test("the encoder writes the blocks of RFC 7541 C.4", () => {
  const encoder = new HpackEncoder();
  for (const [i, { fields }] of REQUESTS.entries()) {
    assert.deepEqual(encoded(encoder, fieldsOf(fields)), hex(HUFFMAN_REQUEST_BLOCKS[i] ?? ""));
  }
});

Deno.test("the static table is that of RFC 7541 appendix A at its ends and between", () => {
  const decoder = new HpackDecoder(4096, LIST);
  for (
    const [index, field] of [
      [1, ":authority: "],
      [8, ":status: 200"],
      [14, ":status: 500"],
      [16, "accept-encoding: gzip, deflate"],
      [32, "cookie: "],
      [61, "www-authenticate: "],
    ] as const
  ) {
    assert.equal(decoder.decode(Uint8Array.of(0x80 | index))?.fields.join(": "), field);
  }
});

const WRONG: Readonly<Record<string, string>> = {
  "index 0": "80",
  "an index behind the tables": "be",
  "a literal whose name has an index behind the tables": "7e 00",
  "an index that ends the block amid its integer": "ff 80",
  "an index of more than 28 bits": "ff ff ff ff ff 7f",
  "an index of zeros without end": "ff 80 80 80 80 80 80 80 80 00",
  "a literal without its name": "40",
  "a literal without its value": "40 01 61",
  "a name beyond the end": "40 05 61 62",
  "a value beyond the end": "40 01 61 05 62",
  "a length of 2^28 octets": "40 7f ff ff ff 7f 61",
  "Huffman padding of eight bits": "40 01 61 82 f8 ff", // "&", and 8 ones
  "Huffman padding of zeros": "40 01 61 81 18",
  "EOS in a Huffman-coded string": "40 01 61 84 ff ff ff ff",
  "a Huffman-coded string of padding alone, eight bits": "40 01 61 81 ff",
  "a table size update behind a field": "82 20",
  "a table size update above the limit": "3f e2 1f", // 4097
};

for (const [what, block] of Object.entries(WRONG)) {
  Deno.test(`a block is refused that has ${what}`, () => {
    assert.throws(() => new HpackDecoder(4096, LIST).decode(hex(block)), HpackError);
  });
}

Deno.test("Huffman padding of up to seven ones is right", () => {
  // 5 bits and 3 of padding; 8 and none; 17 and 7; none at all.
  for (const [code, text] of [["81 1f", "a"], ["81 f8", "&"], ["83 1a 8a ff", "a %"], ["80", ""]] as const) {
    assert.deepEqual(new HpackDecoder(4096, LIST).decode(hex(`00 01 78 ${code}`))?.fields, ["x", text]);
  }
});

Deno.test("table size updates up to the limit may begin a block, more than one", () => {
  const decoder = new HpackDecoder(4096, LIST);
  decoder.decode(hex(HUFFMAN_REQUEST_BLOCKS[0] ?? ""));
  assert.equal(tableOf(decoder).length, 1);
  assert.deepEqual(decoder.decode(hex("20 3f e1 1f 82"))?.fields, [":method", "GET"]); // 0, then 4096
  assert.deepEqual(tableOf(decoder), []);
  assert.deepEqual(decoder.decode(hex("3f 9a 0a"))?.fields, []); // 1337, of C.1.2, and no field
});

Deno.test("an entry larger than the table empties it, and is none itself", () => {
  const decoder = new HpackDecoder(64, LIST);
  decoder.decode(hex("40 01 61 01 62"));
  assert.deepEqual(tableOf(decoder), ["a: b"]);
  const value = "x".repeat(32); // 1 + 32 + 32 > 64
  const block = new Uint8Array([0x40, 1, 0x63, 32, ...new TextEncoder().encode(value)]);
  assert.deepEqual(decoder.decode(block)?.fields, ["c", value]);
  assert.deepEqual(tableOf(decoder), []);
});

Deno.test("a name that is evicted by its own entry is still its name (RFC 7541 §4.4)", () => {
  const decoder = new HpackDecoder(64, LIST);
  decoder.decode(hex("40 02 6162 01 31"));
  assert.deepEqual(decoder.decode(hex("7e 01 32"))?.fields, ["ab", "2"]);
  assert.deepEqual(tableOf(decoder), ["ab: 2"]);
});

Deno.test("octets above 0x7f are characters of the same number, in names and long values too", () => {
  const value = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
  const block = encoded(new HpackEncoder(), ["x-\xff", value, "y", "\x80"]);
  assert.deepEqual(new HpackDecoder(4096, LIST).decode(block)?.fields, ["x-\xff", value, "y", "\x80"]);
});

Deno.test("a list that is too large is no list, and the table is right behind it", () => {
  const decoder = new HpackDecoder(4096, 100);
  assert.deepEqual(decoder.decode(hex("40 01 61 01 62"))?.fields, ["a", "b"]);
  // Three times 34, and one entry more behind them.
  assert.equal(decoder.decode(hex("be be be 40 01 63 01 64")), undefined);
  assert.deepEqual(tableOf(decoder), ["c: d", "a: b"]);
  assert.deepEqual(decoder.decode(hex("be bf"))?.fields, ["c", "d", "a", "b"]);
});

Deno.test("a list of exactly the limit is taken", () => {
  assert.equal(new HpackDecoder(4096, 68).decode(hex("40 01 61 01 62 be"))?.fields.length, 4);
  assert.equal(new HpackDecoder(4096, 67).decode(hex("40 01 61 01 62 be")), undefined);
});

Deno.test("a bomb of references to one large entry is no list", () => {
  const decoder = new HpackDecoder(4096, LIST);
  const large = encoded(new HpackEncoder(), ["x", "y".repeat(1900)]);
  decoder.decode(large);
  const bomb = new Uint8Array(64 * 1024).fill(0xbe); // 128 MB, if it were put together
  assert.equal(decoder.decode(bomb), undefined);
  assert.equal(tableOf(decoder).length, 1);
});

Deno.test("secrets are never indexed, and neither is what came so", () => {
  const encoder = new HpackEncoder();
  const fields = ["authorization", "Bearer 1", "cookie", "a=1", "x-key", "k", "cookie", "c".repeat(40), "x-other", "o"];
  const block = new HpackDecoder(4096, LIST);
  const decoded = block.decode(encoded(encoder, fields, new Set(["x-key"])));
  assert.deepEqual(decoded?.fields, fields);
  assert.deepEqual(decoded?.neverIndexed, new Set(["authorization", "cookie", "x-key"]));
  assert.deepEqual(tableOf(block), ["x-other: o", `cookie: ${"c".repeat(40)}`]);
});

Deno.test("a field that is in the table already stays a literal where it is never to be indexed", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096, LIST);
  decoder.decode(encoded(encoder, ["x-key", "k"]));
  const decoded = decoder.decode(encoded(encoder, ["x-key", "k"], new Set(["x-key"])));
  assert.deepEqual(decoded, { fields: ["x-key", "k"], neverIndexed: new Set(["x-key"]) });
});

Deno.test("a table size that was lowered is told in the next block, and the least of several", () => {
  const encoder = new HpackEncoder();
  encoded(encoder, ["a", "b"]);
  encoder.setMaxTableSize(0);
  encoder.setMaxTableSize(100);
  assert.deepEqual(encoded(encoder, ["a", "b"]), hex("20 3f 45 40 01 61 01 62"));
  assert.deepEqual(encoded(encoder, ["a", "b"]), hex("be"));
  encoder.setMaxTableSize(100);
  assert.deepEqual(encoded(encoder, ["a", "b"]), hex("be"));
});

Deno.test("of a larger table than 4,096 octets no use is made", () => {
  const encoder = new HpackEncoder();
  encoder.setMaxTableSize(2 ** 32 - 1);
  assert.deepEqual(encoded(encoder, [":method", "GET"]), hex("82"));
});
