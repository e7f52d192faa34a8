import assert from "node:assert/strict";
import { ChunkedDecoder, type ChunkedRule } from "./http1_chunked.ts";
import { characters, octets } from "./testdata/octets.ts";

const LIMITS = { maxLength: 1024, maxFields: 10 };

interface Decoded {
  readonly body: string;
  readonly taken: number;
  readonly done: boolean;
  readonly trailers: readonly string[];
  readonly error: ChunkedRule | undefined;
}

function decodePieces(pieces: readonly Uint8Array[]): Decoded {
  const decoder = new ChunkedDecoder(LIMITS);
  let [body, taken] = ["", 0];
  for (const piece of pieces) {
    taken += decoder.feed(piece, (data) => {
      assert.ok(data.length > 0, "no piece is empty");
      body += characters(data);
    });
    if (decoder.done || decoder.error !== undefined) break;
  }
  const { done, trailers, error } = decoder;
  return { body, taken, done, trailers, error };
}

/** What octets give that come at once, which must be what they give one by one. */
function decode(text: string): Decoded {
  const bytes = octets(text);
  const whole = decodePieces([bytes]);
  const gradual = decodePieces(Array.from(bytes, (octet) => Uint8Array.of(octet)));
  assert.deepEqual({ ...gradual, taken: 0 }, { ...whole, taken: 0 }, text);
  if (whole.error === undefined) assert.equal(gradual.taken, whole.taken, text);
  return whole;
}

function assertBroken(text: string, rule: ChunkedRule): void {
  const { done, error } = decode(text);
  assert.deepEqual({ done, error }, { done: false, error: rule }, JSON.stringify(text));
}

Deno.test("the body is what the chunks hold, and ends with the chunk of size 0", () => {
  for (
    const [text, body] of [
      ["0\r\n\r\n", ""],
      ["3\r\nabc\r\n0\r\n\r\n", "abc"],
      ["3\r\nabc\r\n2\r\n\r\n\r\n00000\r\n\r\n", "abc\r\n"],
      ["a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"],
      ["0000000000000001\r\n\0\r\n0000000000000000\r\n\r\n", "\0"],
      ["1;\r\n\xff\r\n0;last\r\n\r\n", "\xff"],
      ['1;a=b;c="d e\t\xff" ; f\r\nx\r\n0\r\n\r\n', "x"],
      [`1;${"a".repeat(256)}\r\nx\r\n1;${"a".repeat(256)}\r\ny\r\n0\r\n\r\n`, "xy"],
    ] as const
  ) {
    const expected = { body, taken: text.length, done: true, trailers: [], error: undefined };
    assert.deepEqual(decode(text), expected, text);
    assert.deepEqual(decode(`${text}GET / HTTP/1.1\r\n`), expected, "nothing behind the body is taken");
    assert.equal(decode(text.slice(0, -1)).done, false, "the body is not done before its last octet");
  }
});

Deno.test("pieces are views of what was fed, as large as it allows", () => {
  const bytes = octets("5\r\nhello\r\n0\r\n\r\n");
  const pieces: Uint8Array[] = [];
  const decoder = new ChunkedDecoder(LIMITS);
  decoder.feed(bytes.subarray(0, 5), (piece) => pieces.push(piece));
  decoder.feed(bytes.subarray(5), (piece) => pieces.push(piece));
  assert.deepEqual(pieces.map(characters), ["he", "llo"]);
  assert.ok(pieces.every((piece) => piece.buffer === bytes.buffer));
});

Deno.test("the largest chunk is of 2^53-1 octets", () => {
  const { body, taken, error } = decode("1fffffffffffff\r\nabc");
  assert.deepEqual({ body, taken, error }, { body: "abc", taken: 19, error: undefined });
  assertBroken("20000000000000\r\n", "chunk_too_large");
  assertBroken("ffffffffffffffff\r\n", "chunk_too_large");
  assertBroken("10000000000000005\r\n", "chunk_too_large"); // 2^64 + 5
  assertBroken("00000000000000001\r\n", "chunk_size"); // 17 digits
});

Deno.test("what is not spelt as demanded breaks a rule", () => {
  for (
    const [text, rule] of [
      ["\r\n", "chunk_size"],
      [";a\r\n", "chunk_size"],
      ["+3\r\nabc\r\n", "chunk_size"],
      ["-3\r\nabc\r\n", "chunk_size"],
      ["0x3\r\nabc\r\n", "chunk_size"],
      [" 3\r\nabc\r\n", "chunk_size"],
      ["3 \r\nabc\r\n", "chunk_size"],
      ["3 ;a\r\nabc\r\n", "chunk_size"],
      ["3\t\r\nabc\r\n", "chunk_size"],
      ["3\0\r\nabc\r\n", "chunk_size"],
      ["3h\r\nabc\r\n", "chunk_size"],
      ["3,3\r\nabc\r\n", "chunk_size"],
      ["1_0\r\n", "chunk_size"],
      ["\xb2\r\n", "chunk_size"],
      ["g\r\n", "chunk_size"],
      ["3\nabc\r\n", "bare_lf"],
      ["0\n\r\n", "bare_lf"],
      ["3;a\nabc\r\n", "bare_lf"],
      ["3\rabc\r\n", "bare_cr"],
      ["3\r\r\nabc\r\n", "bare_cr"],
      ["3;a\rb\r\nabc\r\n", "bare_cr"],
      ['3;a="\r', undefined],
      ['3;a="\r"\r\nabc\r\n', "bare_cr"],
      ["3;a\0\r\nabc\r\n", "chunk_extension"],
      ["3;\x0b\r\nabc\r\n", "chunk_extension"],
      ["3;\x7f\r\nabc\r\n", "chunk_extension"],
      [`3;${"a".repeat(257)}`, "chunk_extension_too_long"],
      [`1\r\nx\r\n1;${";".repeat(257)}`, "chunk_extension_too_long"],
      ["3\r\nabcd\r\n", "chunk_end"],
      ["3\r\nabcd\n0\r\n", "chunk_end"],
      ["3\r\nabc\n\n", "chunk_end"],
      ["3\r\nabc0\r\n", "chunk_end"],
      ["3\r\nabc\n0\r\n", "chunk_end"],
      ["3\r\nabc\r0\r\n", "chunk_end"],
      ["3\r\nabc\r\r\n", "chunk_end"],
      ["3\r\nabc\r\n\r\n", "chunk_size"],
      ["0\r\n\n", "bare_lf"],
      ["0\r\nA: b\n\r\n", "bare_lf"],
      ["0\r\n\rA: b\r\n\r\n", "bare_cr"],
      ["0\r\n A: b\r\n\r\n", "leading_whitespace"],
      ["0\r\nA: b\r\n c\r\n\r\n", "obs_fold"],
      ["0\r\nA : b\r\n\r\n", "space_before_colon"],
      ["0\r\nGET / HTTP/1.1\r\n\r\n", "field_name"],
      ["0\r\nA: \0\r\n\r\n", "field_value"],
      [`0\r\n${"A: b\r\n".repeat(11)}\r\n`, "too_many_fields"],
      [`0\r\nA: ${"b".repeat(1021)}`, "head_too_large"],
      [`0\r\nA: ${"b".repeat(2000)}\r\n\r\n`, "head_too_large"],
    ] as const
  ) {
    if (rule !== undefined) assertBroken(text, rule);
    else assert.equal(decode(text).error, undefined);
  }
});

Deno.test("data before what is broken has been given out, and nothing is after it", () => {
  const decoder = new ChunkedDecoder(LIMITS);
  const pieces: string[] = [];
  const feed = (text: string) => decoder.feed(octets(text), (piece) => pieces.push(characters(piece)));
  assert.equal(feed("3\r\nabc\r\nx3\r\ndef\r\n"), 8);
  assert.equal(feed("3\r\ndef\r\n"), 0);
  assert.deepEqual([pieces, decoder.error], [["abc"], "chunk_size"]);
});

Deno.test("trailers are fields; those that may not be trailers are dropped", () => {
  const section = "Grpc-Status: 0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\nX-Sum:  b \r\n\r\n";
  const text = `1\r\nx\r\n0\r\n${section}`;
  const expected = { body: "x", taken: text.length, done: true, trailers: ["grpc-status", "0", "x-sum", "b"] };
  assert.deepEqual(decode(`${text}GET`), { ...expected, error: undefined });
});

Deno.test("a trailer section may be as long as the limit", () => {
  const section = `A: ${"b".repeat(1024 - 7)}\r\n\r\n`;
  assert.equal(section.length, 1024);
  assert.equal(decode(`0\r\n${section}`).trailers[1]?.length, 1017);
  assertBroken(`0\r\nA: b${section.slice(3)}`, "head_too_large");
});
