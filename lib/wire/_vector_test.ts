import assert from "node:assert/strict";
import { latin1, vector16End, vector8End } from "./_vector.ts";

Deno.test("a vector ends where its length says, if that is within bounds", () => {
  const bytes = Uint8Array.of(9, 2, 7, 7, 0);
  assert.equal(vector8End(bytes, 1, 4), 4);
  assert.equal(vector8End(bytes, 1, 3), -1);
  assert.equal(vector8End(bytes, 4, 5), 5, "empty, at the very end");
  assert.equal(vector8End(bytes, 5, 5), -1, "no room for the length");
  const wide = Uint8Array.of(9, 0, 1, 7, 0, 0);
  assert.equal(vector16End(wide, 1, 4), 4);
  assert.equal(vector16End(wide, 1, 3), -1);
  assert.equal(vector16End(wide, 4, 6), 6, "empty, at the very end");
  assert.equal(vector16End(wide, 5, 6), -1, "no room for the length");
});

Deno.test("each octet is one character", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const text = latin1(bytes, 0, 256);
  assert.deepEqual(Uint8Array.from(text, (character) => character.charCodeAt(0)), bytes);
  assert.equal(latin1(bytes, 0x61, 0x63), "ab");
});
