import assert from "node:assert/strict";
import { requestFraming, responseFraming } from "./http1_body.ts";

const CHUNKED = ["transfer-encoding", "chunked"];

Deno.test("a request's body is as long as its fields say, and else there is none", () => {
  for (
    const [fields, minor, framing] of [
      [[], 1, { kind: "none" }],
      [[], 0, { kind: "none" }],
      [["connection", "close"], 1, { kind: "none" }],
      [["content-length", "0"], 1, { kind: "length", length: 0 }],
      [["content-length", "12"], 0, { kind: "length", length: 12 }],
      [["content-length", "12", "content-length", "12"], 1, { kind: "length", length: 12 }],
      [["content-length", "9007199254740991"], 1, { kind: "length", length: Number.MAX_SAFE_INTEGER }],
      [CHUNKED, 1, { kind: "chunked" }],
      [["transfer-encoding", "CHUNKED"], 1, { kind: "chunked" }],
    ] as const
  ) assert.deepEqual(requestFraming([...fields], minor), framing, String(fields));
});

Deno.test("what two recipients could read in two ways is malformed, in requests and responses", () => {
  for (
    const [fields, minor, rule, status] of [
      [[...CHUNKED, "content-length", "5"], 1, "two_lengths", 400],
      [["content-length", "0", ...CHUNKED], 1, "two_lengths", 400],
      [["content-length", "x", ...CHUNKED], 1, "two_lengths", 400],
      [["content-length", "5", "transfer-encoding", ""], 1, "two_lengths", 400],
      [["content-length", "5", "transfer-encoding", "identity"], 1, "two_lengths", 400],
      [CHUNKED, 0, "transfer_encoding_in_http_1_0", 400],
      [["transfer-encoding", "chunked, chunked"], 1, "chunked_twice", 400],
      [["transfer-encoding", "chunked,chunked"], 1, "chunked_twice", 400],
      [["transfer-encoding", "chunked, gzip, Chunked"], 1, "chunked_twice", 400],
      [[...CHUNKED, ...CHUNKED], 1, "chunked_twice", 400],
      [["transfer-encoding", "gzip", ...CHUNKED], 1, "transfer_coding", 501],
      [[...CHUNKED, "transfer-encoding", "identity"], 1, "chunked_not_last", 400],
      [["transfer-encoding", "gzip, chunked"], 1, "transfer_coding", 501],
      [["transfer-encoding", "identity, chunked"], 1, "transfer_coding", 501],
      [["transfer-encoding", "xchunked \t,CHUNKED"], 1, "transfer_coding", 501],
      [["transfer-encoding", "chunked, gzip"], 1, "chunked_not_last", 400],
      [["transfer-encoding", "gzip"], 1, "chunked_not_last", 400],
      [["transfer-encoding", "identity"], 1, "chunked_not_last", 400],
      [["transfer-encoding", "xchunked"], 1, "chunked_not_last", 400],
      [["transfer-encoding", "chunkedx"], 1, "chunked_not_last", 400],
      [["transfer-encoding", "gzip, xchunked"], 1, "chunked_not_last", 400],
      [["transfer-encoding", "chunked, x-chunked"], 1, "chunked_not_last", 400],
      [["transfer-encoding", ""], 1, "transfer_encoding", 400],
      [[...CHUNKED, "transfer-encoding", ""], 1, "transfer_encoding", 400],
      [["transfer-encoding", "chunked;x"], 1, "transfer_encoding", 400],
      [["transfer-encoding", "chunked;x=y"], 1, "transfer_encoding", 400],
      [["transfer-encoding", '"chunked"'], 1, "transfer_encoding", 400],
      [["transfer-encoding", ",chunked"], 1, "transfer_encoding", 400],
      [["transfer-encoding", "chunked,"], 1, "transfer_encoding", 400],
      [["transfer-encoding", "chun ked"], 1, "transfer_encoding", 400],
      [["transfer-encoding", "\x0bchunked"], 1, "transfer_encoding", 400],
      [["transfer-encoding", "chunked\x00"], 1, "transfer_encoding", 400],
      [["transfer-encoding", "\xa0chunked"], 1, "transfer_encoding", 400],
      [["transfer-encoding", "chun\u212aed"], 1, "transfer_encoding", 400], // KELVIN SIGN, in lower case a k
      [["content-length", "5", "content-length", "6"], 1, "content_length", 400],
      [["content-length", "5, 6"], 1, "content_length", 400],
      [["content-length", "+5"], 1, "content_length", 400],
    ] as const
  ) {
    const error = { kind: "malformed", rule, status };
    assert.deepEqual(requestFraming([...fields], minor), error, String(fields));
    for (const [method, answer] of [["GET", 200], ["HEAD", 200], ["GET", 204], ["GET", 304], ["GET", 103]] as const) {
      assert.deepEqual(responseFraming(method, answer, [...fields], minor), error, String(fields));
    }
  }
});

Deno.test("a response without a length ends with its connection", () => {
  for (const minor of [0, 1] as const) {
    assert.deepEqual(responseFraming("GET", 200, [], minor), { kind: "until_close" });
    assert.deepEqual(responseFraming("GET", 200, ["content-length", "5"], minor), { kind: "length", length: 5 });
  }
  assert.deepEqual(responseFraming("GET", 200, CHUNKED, 1), { kind: "chunked" });
  assert.deepEqual(responseFraming("CONNECT", 502, CHUNKED, 1), { kind: "chunked" });
});

Deno.test("responses that never have a body have none, whatever they declare", () => {
  for (
    const [method, status] of [
      ["GET", 100],
      ["GET", 101],
      ["GET", 199],
      ["GET", 204],
      ["GET", 304],
      ["HEAD", 200],
      ["HEAD", 404],
      ["CONNECT", 200],
      ["CONNECT", 299],
    ] as const
  ) {
    for (const fields of [[], ["content-length", "5"], CHUNKED]) {
      assert.deepEqual(responseFraming(method, status, fields, 1), { kind: "none" }, `${method} ${status} ${fields}`);
    }
  }
});

Deno.test("the answer to CONNECT is a tunnel even where it declares two lengths", () => {
  const fields = [...CHUNKED, "content-length", "5"];
  assert.deepEqual(responseFraming("CONNECT", 200, fields, 1), { kind: "none" });
});
