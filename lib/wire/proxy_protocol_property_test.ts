import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIpAddress, isIpv4 } from "./ip_address.ts";
import { encodeProxyHeaderV2, parseProxyHeader } from "./proxy_protocol.ts";
import type { Endpoint } from "./socket_address.ts";
import { concat } from "./testdata/build_client_hello.ts";
import { mutated, surrounded } from "./testdata/fuzz.ts";

const ipv4Address = fc.uint8Array({ minLength: 4, maxLength: 4 })
  .map((octets) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...octets));
const ipv6Address = fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((ip) => !isIpv4(ip));
const port = fc.nat({ max: 0xffff });

function endpointOf(address: fc.Arbitrary<Uint8Array>) {
  return fc.tuple(address, port).map(([address, port]) => ({ address, port }));
}

function pairOf(address: fc.Arbitrary<Uint8Array>) {
  return fc.record({ source: endpointOf(address), destination: endpointOf(address) });
}

const v1Fields = fc.oneof(pairOf(ipv4Address), pairOf(ipv6Address));

function encodeV1({ source, destination }: { readonly source: Endpoint; readonly destination: Endpoint }): Uint8Array {
  const family = isIpv4(source.address) ? "TCP4" : "TCP6";
  const addresses = `${formatIpAddress(source.address)} ${formatIpAddress(destination.address)}`;
  return new TextEncoder().encode(`PROXY ${family} ${addresses} ${source.port} ${destination.port}\r\n`);
}

const unknownHeader = fc.string({ maxLength: 91, unit: "binary-ascii" })
  .filter((rest) => !rest.includes("\r\n"))
  .map((rest) => new TextEncoder().encode(`PROXY UNKNOWN ${rest}\r\n`));

const v2Fields = fc.record({
  source: endpointOf(fc.oneof(ipv4Address, ipv6Address)),
  destination: endpointOf(fc.oneof(ipv4Address, ipv6Address)),
  authority: fc.option(fc.domain(), { nil: undefined }),
});

const header = fc.oneof(v1Fields.map(encodeV1), unknownHeader, v2Fields.map(encodeProxyHeaderV2));
const anything = fc.oneof(header, mutated(header), fc.uint8Array());

Deno.test("what is written in version 2 is what is read", () => {
  fc.assert(fc.property(v2Fields, ({ source, destination, authority }) => {
    const bytes = encodeProxyHeaderV2({ source, destination, authority });
    const tlvs = authority === undefined ? [] : [{ type: 2, value: new TextEncoder().encode(authority) }];
    const result = { kind: "header", version: 2, length: bytes.length, source, destination, tlvs };
    assert.deepEqual(parseProxyHeader(bytes), result);
  }));
});

Deno.test("what a version 1 line says is what is read", () => {
  fc.assert(fc.property(v1Fields, ({ source, destination }) => {
    const bytes = encodeV1({ source, destination });
    const result = { kind: "header", version: 1, length: bytes.length, source, destination, tlvs: [] };
    assert.deepEqual(parseProxyHeader(bytes), result);
  }));
});

Deno.test("a reader that reads what is needed and no more takes exactly the header", () => {
  fc.assert(fc.property(header, fc.uint8Array(), (header, more) => {
    const bytes = concat(header, more);
    assert.deepEqual(parseProxyHeader(bytes), parseProxyHeader(header), "what follows is not looked at");
    let read = 0;
    let result = parseProxyHeader(bytes.subarray(0, read));
    while (result.kind === "need_more") {
      assert(result.needed > read && result.needed <= header.length);
      read = result.needed;
      result = parseProxyHeader(bytes.subarray(0, read));
    }
    assert(result.kind === "header" && result.length === header.length && read === header.length);
  }));
});

Deno.test("the answer to the whole is the first answer to one octet after another", () => {
  fc.assert(
    fc.property(anything, (bytes) => {
      const whole = parseProxyHeader(bytes);
      for (let length = 0; length <= bytes.length; length++) {
        const result = parseProxyHeader(bytes.subarray(0, length));
        if (result.kind !== "need_more") {
          assert.deepEqual(result, whole);
          return;
        }
        assert(result.needed > length);
        if (whole.kind === "header") assert(result.needed <= whole.length);
      }
      assert.equal(whole.kind, "need_more");
    }),
    { numRuns: 1000 },
  );
});

Deno.test("no input makes the parser throw, look beyond its end or answer out of range", () => {
  fc.assert(
    fc.property(mutated(header), (bytes) => {
      const result = parseProxyHeader(bytes);
      if (result.kind === "need_more") assert(result.needed > bytes.length);
      if (result.kind === "header") assert(result.length <= bytes.length);
      for (const poison of [0, 0x0a, 0x20, 0x31, 0xff]) {
        assert.deepEqual(parseProxyHeader(surrounded(bytes, poison)), result);
      }
    }),
    { numRuns: 3000 },
  );
});

Deno.test("what is read does not change with the buffer it was read from", () => {
  fc.assert(fc.property(header, (header) => {
    const bytes = header.slice();
    const result = parseProxyHeader(bytes);
    bytes.fill(0xff);
    assert.deepEqual(result, parseProxyHeader(header));
  }));
});
