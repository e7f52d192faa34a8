import assert from "node:assert/strict";
import { type HeadLimits, parseRequestHead } from "./http1_head.ts";
import { octets } from "./testdata/octets.ts";

const LIMITS: HeadLimits = { maxLength: 16384, maxFields: 100 };

Deno.test("one progress serves the requests of a connection one after the other", () => {
  const progress = { searched: 0 };
  const [long, short] = ["/a-long-path", "/"].map((path) => octets(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`));
  assert.ok(long && short);
  assert.equal(parseRequestHead(long.subarray(0, -1), LIMITS, progress).kind, "need_more");
  assert.equal(parseRequestHead(long, LIMITS, progress).kind, "head");
  assert.equal(parseRequestHead(short, LIMITS, progress).kind, "head");
});

Deno.test("the work is in proportion to the octets, however few come at a time", () => {
  const bytes = octets(`GET / HTTP/1.1\r\n${"X-Padding: 0123456789\r\n".repeat(400)}`);
  let reads = 0;
  const progress = { searched: 0 };
  for (let length = 1; length <= bytes.length; length++) {
    const counted = new Proxy(bytes.subarray(0, length), {
      get(target, property) {
        if (typeof property === "string" && /^[0-9]+$/.test(property)) reads++;
        return Reflect.get(target, property, target);
      },
    });
    assert.equal(parseRequestHead(counted, LIMITS, progress).kind, "need_more");
  }
  assert.ok(reads > bytes.length && reads < 8 * bytes.length, `${reads} reads of ${bytes.length} octets`);
});
