import assert from "node:assert/strict";
import { ByteWriter } from "./byte_writer.ts";
import type { FieldList } from "./field_list.ts";
import {
  encodeChunkEnd,
  encodeChunkHeader,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
} from "./http1_encode.ts";
import { characters } from "./testdata/octets.ts";

/** What is written behind what stands there already. */
function written(encode: (out: ByteWriter) => void): string {
  const out = new ByteWriter(16);
  out.latin1("before|");
  encode(out);
  const text = characters(out.bytes.subarray(0, out.length));
  assert.ok(text.startsWith("before|"));
  return text.slice("before|".length);
}

/** What is refused leaves no octet behind. */
function assertRefused(encode: (out: ByteWriter) => void, about: string): void {
  const out = new ByteWriter();
  assert.throws(() => encode(out), TypeError, about);
  assert.equal(out.length, 0, about);
}

Deno.test("a request head is its line, its fields and an empty line", () => {
  assert.equal(
    written((out) => encodeRequestHead(out, "POST", "/a?b", ["host", "a.example", "x-empty", "", "x", "b c"])),
    "POST /a?b HTTP/1.1\r\nhost: a.example\r\nx-empty: \r\nx: b c\r\n\r\n",
  );
});

Deno.test("a response head has the standard reason phrase, or none", () => {
  for (
    const [status, line] of [
      [100, "HTTP/1.1 100 Continue"],
      [101, "HTTP/1.1 101 Switching Protocols"],
      [200, "HTTP/1.1 200 OK"],
      [421, "HTTP/1.1 421 Misdirected Request"],
      [502, "HTTP/1.1 502 Bad Gateway"],
      [299, "HTTP/1.1 299 "],
      [999, "HTTP/1.1 999 "],
    ] as const
  ) assert.equal(written((out) => encodeResponseHead(out, status, ["a", "b"])), `${line}\r\na: b\r\n\r\n`);
});

Deno.test("octets from 0x80 are written as they are", () => {
  const every = Array.from({ length: 128 }, (_, i) => String.fromCharCode(0x80 + i)).join("");
  assert.equal(written((out) => encodeResponseHead(out, 200, ["a", every])), `HTTP/1.1 200 OK\r\na: ${every}\r\n\r\n`);
});

Deno.test("a chunked body is chunks, the last chunk and trailers", () => {
  assert.equal(
    written((out) => {
      encodeChunkHeader(out, 26);
      out.latin1("abcdefghijklmnopqrstuvwxyz");
      encodeChunkEnd(out);
      encodeLastChunk(out, ["grpc-status", "0", "content-length", "5"]);
    }),
    "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\ngrpc-status: 0\r\n\r\n",
  );
  assert.equal(written((out) => encodeLastChunk(out, [])), "0\r\n\r\n");
  assert.equal(written((out) => encodeChunkHeader(out, Number.MAX_SAFE_INTEGER)), "1fffffffffffff\r\n");
});

Deno.test("nothing is written that could be read as another line or another field", () => {
  const names = ["", "a b", "a:", ":path", "a\r\nb", "a\n", "\0", "\xe4", "a\u010d"];
  const values = ["a\r\nb: c", "a\n", "\r", "\0", " a", "a\t", "\x7f", "\u010d\u010a", "\u0141"];
  const lists: FieldList[] = [...names.map((name) => [name, "a"]), ...values.map((value) => ["a", value]), ["a"]];
  for (const fields of lists) {
    for (const list of [fields, ["x", "y", ...fields]]) {
      assertRefused((out) => encodeRequestHead(out, "GET", "/", list), JSON.stringify(list));
      assertRefused((out) => encodeResponseHead(out, 200, list), JSON.stringify(list));
      assertRefused((out) => encodeLastChunk(out, list), JSON.stringify(list));
    }
  }
  for (const method of ["", "G T", "GET\r\n", "GET\0", "\u0147ET"]) {
    assertRefused((out) => encodeRequestHead(out, method, "/", []), method);
  }
  for (const target of ["", "/ a", "/\r\n", "/\t", "/\xe4", "/\x7f", "/\u010a"]) {
    assertRefused((out) => encodeRequestHead(out, "GET", target, []), target);
  }
});

Deno.test("numbers out of range are refused", () => {
  for (const status of [0, 99, 1000, 200.5, -200, NaN, Infinity]) {
    assertRefused((out) => encodeResponseHead(out, status, []), String(status));
  }
  for (const length of [0, -1, 1.5, 2 ** 53, NaN, Infinity]) {
    assertRefused((out) => encodeChunkHeader(out, length), String(length));
  }
});

Deno.test("a refusal shows little of what was refused, and nothing that would not print", () => {
  const long = "a".repeat(1000);
  for (const fields of [[`\x1b[31m\x9b${long}`, "a"], [long, `\x1b\x9b${long}`]]) {
    assert.throws(() => encodeResponseHead(new ByteWriter(), 200, fields), (error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, /^[\x20-\x7e]{20,200}$/);
      return true;
    });
  }
});
