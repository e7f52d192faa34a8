import assert from "node:assert/strict";
import fc from "fast-check";
import { readHostname } from "./_hostname_octets.ts";
import { latin1 } from "./_vector.ts";
import { normalizeHostname } from "./hostname.ts";

const octets = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

function read(text: string): string | undefined {
  const bytes = octets(`<${text}>`);
  return readHostname(bytes, 1, bytes.length - 1);
}

/** Of ASCII alone: "ÿ" in upper case is no octet any more. */
function upperCased(text: string): string {
  return text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase());
}

Deno.test("octets are read as normalizeHostname reads their text, the first time and again", () => {
  const text = fc.oneof(fc.domain(), fc.uint8Array({ maxLength: 20 }).map((bytes) => latin1(bytes, 0, bytes.length)));
  fc.assert(fc.property(fc.array(text, { maxLength: 20 }), (texts) => {
    for (const text of [...texts, ...texts, ...texts.map(upperCased)]) {
      assert.equal(read(text), normalizeHostname(text));
    }
  }));
});

Deno.test("far more names than are remembered are told apart", () => {
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 5000; i++) assert.equal(read(`Host-${i}.Example.`), `host-${i}.example`);
  }
});
