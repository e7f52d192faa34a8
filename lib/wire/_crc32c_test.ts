import assert from "node:assert/strict";
import fc from "fast-check";
import { crc32c } from "./_crc32c.ts";

Deno.test("agrees with the test vectors of RFC 3720 §B.4", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.toReversed()), 0x113fdb5c);
  assert.equal(crc32c(new Uint8Array()), 0);
});

Deno.test("a checksum can be taken in parts", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.uint8Array(), (first, second) => {
    assert.equal(crc32c(second, crc32c(first)), crc32c(Uint8Array.of(...first, ...second)));
  }));
});
