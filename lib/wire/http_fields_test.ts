import assert from "node:assert/strict";
import {
  fieldValue,
  fieldValues,
  isFieldValue,
  isToken,
  listIncludes,
  mayBeTrailer,
  permittedTrailers,
  readContentLength,
} from "./http_fields.ts";

const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

Deno.test("a token consists of the characters of RFC 9110 §5.6.2, at least one", () => {
  for (let code = 0; code < 0x400; code++) {
    const character = String.fromCharCode(code);
    assert.equal(isToken(`a${character}b`), TOKEN_CHARACTERS.includes(character), `U+${code.toString(16)}`);
  }
  assert.ok(!isToken(""));
});

Deno.test("a field value has no control character but HTAB, and no white space around it", () => {
  for (let code = 0; code < 0x400; code++) {
    const control = (code < 0x20 && code !== 9) || code === 0x7f;
    assert.equal(isFieldValue(`a${String.fromCharCode(code)}b`), !control && code <= 0xff, `U+${code.toString(16)}`);
  }
  for (const text of ["", "a", "\xff", "a \t b"]) assert.ok(isFieldValue(text), text);
  for (const text of [" ", "\t", " a", "a ", "\ta", "a\t"]) assert.ok(!isFieldValue(text), text);
});

Deno.test("values are found by name, in their order", () => {
  const fields = ["a", "1", "b", "2", "a", "3", "2", "a"];
  assert.equal(fieldValue(fields, "a"), "1");
  assert.equal(fieldValue(fields, "c"), undefined);
  assert.deepEqual(fieldValues(fields, "a"), ["1", "3"]);
  assert.deepEqual(fieldValues(fields, "1"), []);
});

Deno.test("a list includes an item that is a whole member of it, in whatever case", () => {
  for (
    const value of ["close", "CLOSE", "a, close", "close,a", "a,\tClose\t, b", ",,close", " close ", "a close, close"]
  ) {
    assert.ok(listIncludes(value, "close"), value);
  }
  for (
    const value of ["", ",", "closed", "disclose", "close;q=1", '"close"', "a close", "close a", "clo,se", "\x0bclose"]
  ) {
    assert.ok(!listIncludes(value, "close"), value);
  }
});

Deno.test("a content length is digits, and repeated the same", () => {
  for (
    const [values, length] of [
      [[], undefined],
      [["0"], 0],
      [["5"], 5],
      [["5, 5"], 5],
      [["5,5 ,\t5"], 5],
      [["5", "5"], 5],
      [["5", "5, 5"], 5],
      [["05"], 5],
      [["9007199254740991"], Number.MAX_SAFE_INTEGER],
      [["9007199254740992"], "malformed"],
      [["99999999999999999999"], "malformed"],
      [["00000000000000005"], "malformed"],
      [["9".repeat(400)], "malformed"],
      [[""], "malformed"],
      [["5", ""], "malformed"],
      [["5,"], "malformed"],
      [[",5"], "malformed"],
      [["5,,5"], "malformed"],
      [["5,6"], "malformed"],
      [["5", "6"], "malformed"],
      [["0", "5"], "malformed"],
      [["5, 5, 6"], "malformed"],
      [["+5"], "malformed"],
      [["-1"], "malformed"],
      [["-0"], "malformed"],
      [["0x5"], "malformed"],
      [["5 5"], "malformed"],
      [["5e0"], "malformed"],
      [["5.0"], "malformed"],
      [["1_000"], "malformed"],
      [["\x0b5"], "malformed"],
      [["\xa05"], "malformed"],
      [["\u0665"], "malformed"], // ARABIC-INDIC DIGIT FIVE
      [["5;a"], "malformed"],
      [['"5"'], "malformed"],
      [["Infinity"], "malformed"],
    ] as const
  ) {
    const fields = values.flatMap((value) => ["content-length", value]);
    assert.equal(readContentLength(["host", "5", ...fields]), length, values.join(" | "));
  }
});

Deno.test("what frames, routes or authenticates a message may not come behind it", () => {
  const fields = [
    "grpc-status",
    "0",
    "content-length",
    "5",
    "x-checksum",
    "a",
    "if-match",
    "b",
    "transfer-encoding",
    "c",
  ];
  assert.deepEqual(permittedTrailers(fields), ["grpc-status", "0", "x-checksum", "a"]);
  for (
    const name of ["host", "connection", "te", "trailer", "upgrade", "authorization", "set-cookie", "content-type"]
  ) {
    assert.ok(!mayBeTrailer(name), name);
  }
});

Deno.test("the work is in proportion to the value", () => {
  const spaces = " ".repeat(1_000_000); // would take minutes if it were not
  assert.ok(!listIncludes(`close${spaces}x`, "close"));
  assert.ok(listIncludes(`${spaces}close${spaces}`, "close"));
  assert.equal(readContentLength(["content-length", `5${spaces}x`]), "malformed");
  assert.ok(!isFieldValue(`a${spaces}`));
});
