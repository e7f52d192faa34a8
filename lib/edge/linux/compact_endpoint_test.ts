import assert from "node:assert/strict";
import fc from "fast-check";
import { CompactEndpoint } from "./compact_endpoint.ts";

Deno.test("an endpoint comes back as it was, whatever becomes of the octets that it was made of", () => {
  const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(fc.property(octets, fc.integer({ min: 0, max: 65535 }), (octets, port) => {
    const address = Uint8Array.from(octets);
    const compact = new CompactEndpoint(address, port);
    address.fill(0);
    assert.deepEqual(compact.endpoint, { address: Uint8Array.from(octets), port });
  }));
});
