import assert from "node:assert/strict";
import fc from "fast-check";
import { hashStep, knownName } from "./_field_names.ts";
import { OCTET_CLASSES, TOKEN } from "./_octets.ts";

function find(text: string): string | undefined {
  const bytes = Uint8Array.from(`: ${text}:`, (character) => character.charCodeAt(0));
  return knownName(bytes, 2, bytes.length - 1, bytes.subarray(2, bytes.length - 1).reduce(hashStep, 0));
}

Deno.test("names that most messages have are found in either case", () => {
  for (const name of ["Host", "CONTENT-LENGTH", "x-request-id", "X-Forwarded-For", "Sec-WebSocket-Key", "te"]) {
    assert.equal(find(name), name.toLowerCase());
  }
});

Deno.test("no other token is taken for one", () => {
  const tokens = Array.from(OCTET_CLASSES.keys()).filter((octet) => ((OCTET_CLASSES[octet] ?? 0) & TOKEN) !== 0);
  const character = fc.constantFrom(...tokens.map((octet) => String.fromCharCode(octet)));
  const near = fc.tuple(fc.constantFrom("host", "te", "content-length", "x-real-ip"), fc.nat(20), character).map(
    ([name, at, other]) => name.slice(0, at) + other + name.slice(at + 1),
  );
  fc.assert(fc.property(fc.oneof(near, fc.string({ unit: character, minLength: 1, maxLength: 12 })), (token) => {
    const found = find(token);
    return found === undefined || found === token.toLowerCase();
  }));
});
