import assert from "node:assert/strict";
import { type HeadLimits, type HeadRule, parseResponseHead } from "./http1_head.ts";
import { octets } from "./testdata/octets.ts";

const LIMITS: HeadLimits = { maxLength: 16384, maxFields: 100 };

const parse = (text: string, limits = LIMITS) => parseResponseHead(octets(text), limits, { searched: 0 });

Deno.test("reads version, status and fields, and where the head ends", () => {
  const text = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Empty: \r\n\r\n";
  const fields = ["content-type", "text/html", "x-empty", ""];
  assert.deepEqual(parse(`${text}<p>`), { kind: "head", status: 200, minor: 1, fields, length: text.length });
});

Deno.test("the reason phrase is skipped, whatever it is", () => {
  for (
    const [line, status, minor] of [
      ["HTTP/1.0 404 Not Found", 404, 0],
      ["HTTP/1.1 100 Continue", 100, 1],
      ["HTTP/1.1 200 ", 200, 1],
      ["HTTP/1.1 200", 200, 1],
      ["HTTP/1.1 200  two\tspaces \xff", 200, 1],
      ["HTTP/1.1 999 HTTP/1.1 200 OK", 999, 1],
    ] as const
  ) {
    const length = line.length + 4;
    assert.deepEqual(parse(`${line}\r\n\r\n`), { kind: "head", status, minor, fields: [], length }, line);
  }
});

Deno.test("an interim response is a head of its own", () => {
  const interim = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
  const head = parse(`${interim}HTTP/1.1 200 OK\r\n\r\n`);
  assert.ok(head.kind === "head");
  assert.deepEqual([head.status, head.length], [103, interim.length]);
});

Deno.test("what breaks a rule is malformed", () => {
  for (
    const [text, rule] of [
      ["HTTP/1.1 200 OK\n", "bare_lf"],
      ["HTTP/1.1 200 O\rK\r\n\r\n", "bare_cr"],
      ["HTTP/1.1 200\r\r\n\r\n", "bare_cr"],
      ["HTTP/1.1 2\r00\r\n\r\n", "bare_cr"],
      ["\r\n", "version"],
      ["\r\nHTTP/1.1 200 OK\r\n\r\n", "version"],
      ["220 mail.example ESMTP\r\n\r\n", "version"],
      ["http/1.1 200 OK\r\n\r\n", "version"],
      ["HTTP/2 200 OK\r\n\r\n", "version"],
      ["HTTP/2.0 200 OK\r\n\r\n", "version_unsupported"],
      ["HTTP/1.1\r\n\r\n", "status_line"],
      ["HTTP/1.1 \r\n\r\n", "status_line"],
      ["HTTP/1.1  200 OK\r\n\r\n", "status_line"],
      ["HTTP/1.1\t200 OK\r\n\r\n", "status_line"],
      ["HTTP/1.12 200 OK\r\n\r\n", "status_line"],
      ["HTTP/1.1 20\r\n\r\n", "status_line"],
      ["HTTP/1.1 2000\r\n\r\n", "status_line"],
      ["HTTP/1.1 099 Low\r\n\r\n", "status_line"],
      ["HTTP/1.1 +20 OK\r\n\r\n", "status_line"],
      ["HTTP/1.1 2x0 OK\r\n\r\n", "status_line"],
      ["HTTP/1.1 200OK\r\n\r\n", "status_line"],
      ["HTTP/1.1 200\tOK\r\n\r\n", "status_line"],
      ["HTTP/1.1 200 O\0K\r\n\r\n", "status_line"],
      ["HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "leading_whitespace"],
      ["HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "obs_fold"],
      ["HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "space_before_colon"],
      ["HTTP/1.1 200 OK\r\nA\r\n\r\n", "field_name"],
      ["HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "field_value"],
    ] as const satisfies readonly (readonly [string, HeadRule])[]
  ) {
    const head = parse(text);
    assert.ok(head.kind === "malformed", JSON.stringify(text));
    assert.equal(head.rule, rule, JSON.stringify(text));
  }
});

Deno.test("a head is as long as the limit at most, and has as many fields", () => {
  const text = "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n";
  assert.equal(parse(text, { maxLength: text.length, maxFields: 2 }).kind, "head");
  for (
    const [limits, rule] of [
      [{ maxLength: text.length, maxFields: 1 }, "too_many_fields"],
      [{ maxLength: text.length - 1, maxFields: 2 }, "head_too_large"],
    ] as const
  ) assert.deepEqual(parse(text, limits), { kind: "malformed", rule, status: 431 });
});
