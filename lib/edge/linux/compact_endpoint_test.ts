import assert from "node:assert/strict";
import fc from "fast-check";
import { formatEndpoint } from "../../wire/socket_address.ts";
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

Deno.test("the text of an endpoint is what it is by its usual form, of IPv4 and of all that looks like it", () => {
  const octet = fc.oneof(fc.constantFrom(0, 1, 9, 10, 99, 100, 255), fc.nat({ max: 255 }));
  const octets = (length: number) => fc.array(octet, { minLength: length, maxLength: length });
  const prefix = fc.constantFrom(
    [...Array(10).fill(0), 0xff, 0xff],
    [...Array(10).fill(0), 0, 0],
    [1, ...Array(9).fill(0), 0xff, 0xff],
    [...Array(7).fill(0), 1, 0, 0, 0xff, 0xff],
    [...Array(9).fill(0), 1, 0xff, 0xff],
  );
  const addresses = fc.oneof(octets(16), fc.tuple(prefix, octets(4)).map(([prefix, last]) => [...prefix, ...last]));
  fc.assert(fc.property(addresses, fc.integer({ min: 0, max: 65535 }), (octets, port) => {
    const address = Uint8Array.from(octets);
    assert.equal(new CompactEndpoint(address, port).text, formatEndpoint({ address, port }));
  }));
});
