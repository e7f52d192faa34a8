import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { formatIpAddress, type IpAddress, ipv4, ipWord, isIpv4, parseIpAddress } from "./ip_address.ts";

function mustParse(text: string): IpAddress {
  const ip = parseIpAddress(text);
  assert.ok(ip, text);
  return ip;
}

Deno.test("an IPv4-mapped IPv6 address is the IPv4 address", () => {
  assert.deepEqual(mustParse("::ffff:10.1.2.3"), ipv4(10, 1, 2, 3));
  assert.deepEqual(mustParse("::FFFF:a01:203"), ipv4(10, 1, 2, 3));
  assert.equal(ipWord(mustParse("10.1.2.3"), 12), 0x0a010203);
  assert.equal(isIpv4(mustParse("::10.1.2.3")), false);
});

Deno.test("IPv6 addresses print as RFC 5952 says", () => {
  for (
    const [text, canonical] of [
      ["::", "::"],
      ["::1", "::1"],
      ["1::", "1::"],
      ["2001:0DB8::0001", "2001:db8::1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
      ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
      ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
      ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
      ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
      ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ] as const
  ) assert.equal(formatIpAddress(mustParse(text)), canonical, text);
});

Deno.test("what is not an address is refused", () => {
  for (
    const text of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "01.2.3.4",
      "1.2.3.256",
      "1.2.3.4 ",
      "1..2.3",
      ".1.2.3.4",
      ":",
      ":::",
      ":1::",
      "1:",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "::1:2:3:4:5:6:7:8",
      "12345::",
      "g::",
      "fe80::1%eth0",
      "[::1]",
      "::1.2.3",
      "::1.2.3.4:1",
      "1:2:3:4:5:6:7:1.2.3.4",
    ]
  ) assert.equal(parseIpAddress(text), undefined, text);
});

Deno.test("agrees with the platform on every text that looks like an address", () => {
  const part = fc.stringMatching(/^[0-9a-fA-F:.]{0,5}$/);
  const text = fc.oneof(fc.ipV4(), fc.ipV6(), fc.array(part, { maxLength: 10 }).map((parts) => parts.join("")));
  fc.assert(
    fc.property(text, (text) => {
      assert.equal(parseIpAddress(text) !== undefined, isIPv4(text) || isIPv6(text), text);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("printing and parsing are inverse", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (ip) => {
    assert.deepEqual(mustParse(formatIpAddress(ip)), ip);
  }));
});
