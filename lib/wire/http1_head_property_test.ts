import assert from "node:assert/strict";
import fc from "fast-check";
import { responseFraming } from "./http1_body.ts";
import { encodeRequestHead, encodeResponseHead } from "./http1_encode.ts";
import { parseRequestHead, parseResponseHead } from "./http1_head.ts";
import { parseTarget } from "./http1_target.ts";
import { segmentEnds, surrounded } from "./testdata/fuzz.ts";
import { fields, hostile, token, written } from "./testdata/http1_messages.ts";

const LIMITS = { maxLength: 2000, maxFields: 20 };
const WIDE = { maxLength: 1 << 20, maxFields: 100 };

const target = fc.stringMatching(/^[\x21-\x7e]{1,60}$/);
const status = fc.integer({ min: 100, max: 999 });

const request = fc.record({ method: token, target, fields: fields.map((fields) => ["host", "a", ...fields]) });
const requestOctets = request.map((request) =>
  written((out) => encodeRequestHead(out, request.method, request.target, request.fields))
);
const responseOctets = fc.tuple(status, fields).map(([status, fields]) =>
  written((out) => encodeResponseHead(out, status, fields))
);
type Parse = (bytes: Uint8Array, progress: { searched: number }) => { readonly kind: string };

const parsers: readonly { readonly name: string; readonly parse: Parse; readonly bytes: fc.Arbitrary<Uint8Array> }[] = [
  {
    name: "request",
    parse: (bytes, progress) => parseRequestHead(bytes, LIMITS, progress),
    bytes: hostile(requestOctets),
  },
  {
    name: "response",
    parse: (bytes, progress) => parseResponseHead(bytes, LIMITS, progress),
    bytes: hostile(responseOctets),
  },
];

Deno.test("a request that is encoded is parsed as it was", () => {
  fc.assert(fc.property(request, ({ method, target, fields }) => {
    const bytes = written((out) => encodeRequestHead(out, method, target, fields));
    const head = parseRequestHead(bytes, WIDE, { searched: 0 });
    assert.deepEqual(head, { kind: "head", method, target, minor: 1, fields, length: bytes.length });
  }));
});

Deno.test("a response that is encoded is parsed as it was", () => {
  fc.assert(fc.property(status, fields, (status, fields) => {
    const bytes = written((out) => encodeResponseHead(out, status, fields));
    const head = parseResponseHead(bytes, WIDE, { searched: 0 });
    assert.deepEqual(head, { kind: "head", status, minor: 1, fields, length: bytes.length });
  }));
});

for (const { name, parse, bytes } of parsers) {
  Deno.test(`any segments of a ${name} give the answer that the whole gives`, () => {
    const segmented = bytes.chain((bytes) => fc.tuple(fc.constant(bytes), segmentEnds(bytes.length)));
    fc.assert(
      fc.property(segmented, ([bytes, ends]) => {
        const progress = { searched: 0 };
        let result: { readonly kind: string } = { kind: "need_more" };
        for (const end of ends) {
          result = parse(bytes.subarray(0, end), progress);
          if (result.kind !== "need_more") break;
        }
        assert.deepEqual(result, parse(bytes, { searched: 0 }));
      }),
      { numRuns: 1000 },
    );
  });

  Deno.test(`no octets make the parser of a ${name} throw or look beyond its end`, () => {
    fc.assert(
      fc.property(bytes, (bytes) => {
        const result = parse(bytes, { searched: 0 });
        for (const poison of [0, 10, 13, 65]) {
          assert.deepEqual(parse(surrounded(bytes, poison), { searched: 0 }), result);
        }
      }),
      { numRuns: 2000 },
    );
  });
}

Deno.test("what is taken from a client and passed on is read alike by the next", () => {
  fc.assert(
    fc.property(hostile(requestOctets), (bytes) => {
      const head = parseRequestHead(bytes, LIMITS, { searched: 0 });
      if (head.kind !== "head" || head.minor === 0) return;
      const again = written((out) => encodeRequestHead(out, head.method, head.target, head.fields));
      assert.deepEqual(parseRequestHead(again, WIDE, { searched: 0 }), { ...head, length: again.length });
    }),
    { numRuns: 2000 },
  );
});

Deno.test("no fields make framing throw, and a response that is framed declares one length", () => {
  fc.assert(fc.property(fields, fc.constantFrom("GET", "HEAD", "CONNECT"), status, (fields, method, status) => {
    const framing = responseFraming(method, status, fields, 1);
    const declares = (name: string) => fields.some((text, i) => i % 2 === 0 && text === name);
    if (framing.kind === "chunked") assert.ok(!declares("content-length"));
    if (framing.kind === "length") assert.ok(!declares("transfer-encoding"));
    if (framing.kind === "until_close") assert.ok(!declares("content-length") && !declares("transfer-encoding"));
  }));
});

Deno.test("no target and no Host make the parser throw; what it takes has a sound authority and path", () => {
  const text = fc.oneof(target, fc.webUrl(), fc.constantFrom("*", "/", "a:1", "[::1]:443", "http://a"));
  fc.assert(
    fc.property(fc.constantFrom("GET", "OPTIONS", "CONNECT"), text, fc.option(text), (method, target, host) => {
      const result = parseTarget(method, target, host ?? undefined);
      if (result.kind === "malformed") return;
      assert.match(result.authority ?? "a", /^[A-Za-z0-9_.:[\]-]+$/);
      assert.match(result.path, method === "CONNECT" ? /^$/ : /^(?:\/[^#]*|\*)$/);
    }),
    { numRuns: 2000 },
  );
});
