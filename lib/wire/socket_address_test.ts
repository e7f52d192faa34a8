import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIpAddress, ipv4, parseIpAddress } from "./ip_address.ts";
import {
  formatEndpoint,
  formatHostPort,
  parseEndpoint,
  parseHostPort,
  parseListenAddress,
  parsePort,
} from "./socket_address.ts";

Deno.test("a port has one spelling", () => {
  for (const port of [0, 1, 443, 9999, 10000, 65535]) assert.equal(parsePort(`${port}`), port);
  for (
    const text of [
      "",
      "00",
      "0443",
      "65536",
      "99999",
      "100000",
      "+1",
      "-1",
      "1.0",
      "1e3",
      "0x1",
      " 1",
      "1 ",
      "1\n",
      "٣",
    ]
  ) {
    assert.equal(parsePort(text), undefined, text);
  }
});

Deno.test("host and port are read and the host is spelt canonically", () => {
  for (
    const [text, host, port] of [
      ["127.0.0.1:18443", "127.0.0.1", 18443],
      ["[::1]:443", "::1", 443],
      ["[2001:DB8::0:1]:0", "2001:db8::1", 0],
      ["[::ffff:192.0.2.1]:443", "192.0.2.1", 443],
      ["Backend.Example.:65535", "backend.example", 65535],
      ["localhost:1", "localhost", 1],
    ] as const
  ) assert.deepEqual(parseHostPort(text), { host, port }, text);
});

Deno.test("what is not a host and a port is refused", () => {
  for (
    const text of [
      "",
      ":",
      ":443",
      "a",
      "a:",
      "a:b",
      "a:70000",
      "::1:443",
      "2001:db8::1",
      "[::1]",
      "[::1]443",
      "[::1:443",
      "::1]:443",
      "[]:443",
      "[[::1]]:443",
      "[::1]]:443",
      "[a]:443",
      "[192.0.2.1]:443",
      "[fe80::1%eth0]:443",
      "192.0.2:443",
      "192.0.2.256:443",
      "a b:443",
      "*.a:443",
      "http://a:443",
    ]
  ) assert.equal(parseHostPort(text), undefined, text);
});

Deno.test("an address to listen on may leave out its host", () => {
  assert.deepEqual(parseListenAddress(":443"), { host: "", port: 443 });
  assert.deepEqual(parseListenAddress("[::]:443"), { host: "::", port: 443 });
  for (const text of ["", ":", "::443", ":65536", "443"]) assert.equal(parseListenAddress(text), undefined, text);
});

Deno.test("an endpoint prints as its address and port", () => {
  assert.equal(formatEndpoint({ address: ipv4(192, 0, 2, 1), port: 443 }), "192.0.2.1:443");
  assert.equal(formatEndpoint({ address: parseIpAddress("::1") ?? ipv4(0, 0, 0, 0), port: 0 }), "[::1]:0");
});

Deno.test("printing and parsing are inverse", () => {
  const address = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(formatIpAddress);
  const host = fc.oneof(address, fc.ipV4(), fc.domain().map((name) => name.toLowerCase()));
  fc.assert(fc.property(host, fc.nat({ max: 65535 }), (host, port) => {
    assert.deepEqual(parseHostPort(formatHostPort(host, port)), { host, port });
    assert.deepEqual(parseListenAddress(formatHostPort("", port)), { host: "", port });
  }));
});

Deno.test("an endpoint is read as it was written, and nothing else is one", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(65535), (address, port) => {
    assert.deepEqual(parseEndpoint(formatEndpoint({ address, port })), { address, port });
  }));
  for (const text of ["", "192.0.2.1", ":443", "a.test:443", "2001:db8::1:443"]) {
    assert.equal(parseEndpoint(text), undefined, text);
  }
});
