import assert from "node:assert/strict";
import { type HeadError, type HeadLimits, type HeadRule, parseRequestHead, type RequestHead } from "./http1_head.ts";
import { octets } from "./testdata/octets.ts";

const LIMITS: HeadLimits = { maxLength: 16384, maxFields: 100 };

/** The answer to octets that come at once, which must be the answer to octets that come one by one. */
function parse(text: string, limits = LIMITS): RequestHead | HeadError | { readonly kind: "need_more" } {
  const bytes = octets(text);
  const whole = parseRequestHead(bytes, limits, { searched: 0 });
  const progress = { searched: 0 };
  let gradual = parseRequestHead(bytes.subarray(0, 0), limits, progress);
  for (let length = 1; length <= bytes.length && gradual.kind === "need_more"; length++) {
    gradual = parseRequestHead(bytes.subarray(0, length), limits, progress);
  }
  assert.deepEqual(gradual, whole, text);
  return whole;
}

function assertMalformed(text: string, rule: HeadRule, status: number, limits = LIMITS): void {
  assert.deepEqual(parse(text, limits), { kind: "malformed", rule, status }, JSON.stringify(text));
}

/** A request that is sound but for what is put into it. */
const withFields = (lines: string) => `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`;

Deno.test("reads method, target, version and fields, and where the head ends", () => {
  const text = "POST /a%20b?c=[d]|e HTTP/1.1\r\n" +
    "Host: git.example.net\r\nX-Empty:\r\nX-Spaces: \t a \t b \t \r\nx!#$%&'*+-.^_`|~9: \x80\xff\"\r\nA:b\r\n\r\n";
  assert.deepEqual(parse(`${text}body`), {
    kind: "head",
    method: "POST",
    target: "/a%20b?c=[d]|e",
    minor: 1,
    fields: [
      ["host", "git.example.net"],
      ["x-empty", ""],
      ["x-spaces", "a \t b"],
      ["x!#$%&'*+-.^_`|~9", '\x80\xff"'],
      ["a", "b"],
    ].flat(),
    length: text.length,
  });
});

Deno.test("a request of HTTP/1.0 may have no Host and no field at all", () => {
  const text = "GET / HTTP/1.0\r\n\r\n";
  assert.deepEqual(parse(text), {
    kind: "head",
    method: "GET",
    target: "/",
    minor: 0,
    fields: [],
    length: text.length,
  });
});

Deno.test("a higher minor version of HTTP/1 is taken for 1.1", () => {
  for (let minor = 1; minor <= 9; minor++) {
    const head = parse(`GET / HTTP/1.${minor}\r\nHost: a\r\n\r\n`);
    assert.ok(head.kind === "head", String(minor));
    assert.equal(head.minor, 1);
  }
  assertMalformed("GET / HTTP/1.2\r\n\r\n", "host_missing", 400);
});

Deno.test("repeated fields stay apart and in order", () => {
  const head = parse(withFields("Cookie: a\r\nX: 1\r\ncookie: b"));
  assert.ok(head.kind === "head");
  assert.deepEqual(head.fields, ["host", "a", "cookie", "a", "x", "1", "cookie", "b"]);
});

Deno.test("up to four empty lines ahead of the request line are skipped and counted", () => {
  for (const lines of [1, 4]) {
    const text = `${"\r\n".repeat(lines)}GET / HTTP/1.1\r\nHost: a\r\n\r\n`;
    const head = parse(text);
    assert.ok(head.kind === "head");
    assert.deepEqual([head.method, head.length], ["GET", text.length]);
  }
  assertMalformed("\r\n".repeat(5), "empty_lines", 400);
  assertMalformed("\r\n".repeat(1000), "empty_lines", 400);
});

Deno.test("more is needed until the empty line is whole", () => {
  const text = withFields("A: b");
  for (let length = 0; length < text.length; length++) {
    assert.deepEqual(parse(text.slice(0, length)), { kind: "need_more" });
  }
});

Deno.test("a line ends with CR LF, and neither stands alone", () => {
  for (
    const text of [
      "\n",
      "GET / HTTP/1.1\n",
      "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\n",
      "GET / HTTP/1.1\r\nHost: a\r\n\n",
      "GET / HTTP/1.1\nHost: a\r\n\r\n",
      "GET /\nHTTP/1.1\r\nHost: a\r\n\r\n",
      withFields("A: b\nC: d"),
      withFields("A\n: b"),
    ]
  ) assertMalformed(text, "bare_lf", 400);
  for (
    const text of [
      "GET / HTTP/1.1\rHost: a\r\n\r\n",
      "GET /\ra HTTP/1.1\r\nHost: a\r\n\r\n",
      "GE\rT / HTTP/1.1\r\nHost: a\r\n\r\n",
      "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
      withFields("A: b\rC: d"),
      withFields("A: b\r\rC: d"),
      withFields("A: b\r"),
      withFields("A: \r"),
      withFields("A\r: b"),
      withFields("\rA: b"),
    ]
  ) assertMalformed(text, "bare_cr", 400);
});

Deno.test("a request line is method, target and version with one space between them", () => {
  for (
    const [line, rule, status] of [
      ["GET", "request_line", 400],
      ["GET ", "request_line", 400],
      ["GET /", "request_line", 400], // HTTP/0.9
      ["GET / ", "version", 400],
      ["GET  / HTTP/1.1", "request_line", 400],
      ["GET /  HTTP/1.1", "request_line", 400],
      ["GET / HTTP/1.1 ", "request_line", 400],
      ["GET / a HTTP/1.1", "request_line", 400],
      [" GET / HTTP/1.1", "request_line", 400],
      ["GET HTTP/1.1", "request_line", 400],
      ["GET  HTTP/1.1", "request_line", 400],
      [" / HTTP/1.1", "request_line", 400],
      ["GET\t/ HTTP/1.1", "method", 400],
      ["\tGET / HTTP/1.1", "method", 400],
      ["G@T / HTTP/1.1", "method", 400],
      ["GET\0 / HTTP/1.1", "method", 400],
      ["G\xcbT / HTTP/1.1", "method", 400],
      ["GET: / HTTP/1.1", "method", 400],
      [`${"A".repeat(33)} / HTTP/1.1`, "method_too_long", 501],
      ["GET /\t HTTP/1.1", "target_characters", 400],
      ["GET /\0 HTTP/1.1", "target_characters", 400],
      ["GET /\x7f HTTP/1.1", "target_characters", 400],
      ["GET /\xe4 HTTP/1.1", "target_characters", 400],
      ["GET /\tHTTP/1.1", "target_characters", 400],
      [`GET /${"a".repeat(8192)} HTTP/1.1`, "target_too_long", 414],
      ["GET / HTTP/1.10", "version", 400],
      ["GET / HTTP/1.:", "version", 400],
      ["GET / HTTP/1./", "version", 400],
      ["GET / HTTP/2.0", "version_unsupported", 505],
      ["GET / HTTP/0.9", "version_unsupported", 505],
      ["GET / HTTP/1.10", "version", 400],
      ["GET / HTTP/2.00", "version", 400],
      ["GET / HTTP/1.1\t", "version", 400],
      ["GET / HTTP/1.1a", "version", 400],
      ["GET / HTTP/12.1", "version", 400],
      ["GET / HTTP/2", "version", 400],
      ["GET / http/1.1", "version", 400],
      ["GET / HTTP/1,1", "version", 400],
      ["GET / HTTPS/1.1", "version", 400],
      ["GET / \xc8TTP/1.1", "version", 400],
      ["PRI * HTTP/2.0", "version_unsupported", 505],
      ["\x16\x03\x01", "method", 400], // TLS inside TLS
    ] as const
  ) assertMalformed(`${line}\r\nHost: a\r\n\r\n`, rule, status);
});

Deno.test("the longest method and the longest target are read", () => {
  const [method, target] = ["A".repeat(32), `/${"a".repeat(8191)}`];
  const head = parse(`${method} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
  assert.ok(head.kind === "head");
  assert.deepEqual([head.method, head.target], [method, target]);
});

Deno.test("a field is a token, a colon at once behind it, and a value without control characters", () => {
  for (
    const [lines, rule] of [
      ["A : b", "space_before_colon"],
      ["A\t: b", "space_before_colon"],
      ["A \t : b", "space_before_colon"],
      [" A: b", "obs_fold"],
      ["\tA: b", "obs_fold"],
      ["A: b\r\n c", "obs_fold"],
      [" ", "obs_fold"],
      [": b", "field_name"],
      ["A", "field_name"],
      ["A b: c", "field_name"],
      ["A(: b", "field_name"],
      ["A\0: b", "field_name"],
      ["\xc4: b", "field_name"],
      ["A\x7f: b", "field_name"],
      ['"A": b', "field_name"],
      ["A: b\0", "field_value"],
      ["A: \x0b", "field_value"],
      ["A: b\x1fc", "field_value"],
      ["A:\x08 b", "field_value"],
      ["A: \x7f", "field_value"],
      ["Transfer-Encoding:\x0bchunked", "field_value"],
    ] as const
  ) assertMalformed(withFields(lines), rule, 400);
  for (const space of [" ", "\t"]) {
    assertMalformed(`GET / HTTP/1.1\r\n${space}Host: a\r\n\r\n`, "leading_whitespace", 400);
    assertMalformed(`GET / HTTP/1.1\r\n${space}\r\nHost: a\r\n\r\n`, "leading_whitespace", 400);
  }
});

Deno.test("there is exactly one Host", () => {
  assertMalformed("GET / HTTP/1.1\r\n\r\n", "host_missing", 400);
  assertMalformed("GET / HTTP/1.1\r\nX-Host: a\r\nHostname: a\r\n\r\n", "host_missing", 400);
  assertMalformed(withFields("HOST: a"), "host_repeated", 400);
  assertMalformed("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", "host_repeated", 400);
});

Deno.test("a head is as long as the limit at most, and has as many fields", () => {
  const text = withFields("A: b\r\nC: d");
  assert.equal(parse(text, { maxLength: text.length, maxFields: 3 }).kind, "head");
  assertMalformed(text, "too_many_fields", 431, { maxLength: text.length, maxFields: 2 });
  assertMalformed(text, "head_too_large", 431, { maxLength: text.length - 1, maxFields: 3 });
  assertMalformed(`${text}more`, "head_too_large", 431, { maxLength: text.length - 1, maxFields: 3 });
  assertMalformed("GET /".padEnd(16384, "a"), "target_too_long", 414);
  assertMalformed("\r\nGET /".padEnd(16384, "a"), "target_too_long", 414);
});
