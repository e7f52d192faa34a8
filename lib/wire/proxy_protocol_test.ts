import assert from "node:assert/strict";
import { crc32c } from "./_crc32c.ts";
import { ipv4, parseIpAddress } from "./ip_address.ts";
import {
  encodeProxyHeaderV2,
  MAX_PROXY_HEADER_BYTES,
  parseProxyHeader,
  type ProxyHeaderRule,
  type ProxyTlv,
} from "./proxy_protocol.ts";
import { type Endpoint, parseHostPort } from "./socket_address.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const ADDRESSES = "c0000201c6336402dc0401bb"; // 192.0.2.1:56324, 198.51.100.2:443

/** A version 2 header: version and command, family and transport, then content, each in hexadecimal. */
function v2(versionAndCommand: string, family: string, content = ""): Uint8Array {
  const length = (content.length / 2).toString(16).padStart(4, "0");
  return Uint8Array.fromHex(SIGNATURE + versionAndCommand + family + length + content);
}

function endpoint(text: string): Endpoint {
  const hostPort = parseHostPort(text);
  const address = parseIpAddress(hostPort?.host ?? "");
  assert(hostPort && address, text);
  return { address, port: hostPort.port };
}

interface Expected {
  readonly source?: string;
  readonly destination?: string;
  readonly tlvs?: readonly ProxyTlv[];
}

function assertHeader(bytes: Uint8Array, { source, destination, tlvs = [] }: Expected): void {
  assert.deepEqual(parseProxyHeader(bytes), {
    kind: "header",
    version: 2,
    length: bytes.length,
    source: source && endpoint(source),
    destination: destination && endpoint(destination),
    tlvs,
  });
}

/** Asserts that the last octet is the one that breaks the rule. */
function assertBroken(bytes: Uint8Array, rule: ProxyHeaderRule, what = `${bytes}`): void {
  assert.deepEqual(parseProxyHeader(bytes), { kind: "malformed", rule }, what);
  assert.equal(parseProxyHeader(bytes.subarray(0, -1)).kind, "need_more", what);
}

Deno.test("reads version 2 headers of TCP connections", () => {
  assertHeader(v2("21", "11", ADDRESSES), {
    source: "192.0.2.1:56324",
    destination: "198.51.100.2:443",
  });
  const [client, server] = ["20010db8000000000000000000000001", "20010db8000000000000000000000002"];
  assertHeader(v2("21", "21", `${client}${server}dc0401bb`), {
    source: "[2001:db8::1]:56324",
    destination: "[2001:db8::2]:443",
  });
  const mapped = "00000000000000000000ffffc0000201";
  assertHeader(v2("21", "21", `${mapped}${server}dc0401bb`), {
    source: "192.0.2.1:56324",
    destination: "[2001:db8::2]:443",
  });
});

Deno.test("LOCAL, UNSPEC, Unix sockets and datagrams leave the peer its own address", () => {
  for (
    const bytes of [
      v2("20", "00"),
      v2("20", "11", ADDRESSES),
      v2("20", "ff", "00"),
      v2("21", "00"),
      v2("21", "00", "030000"),
      v2("21", "10", "00"),
      v2("21", "01"),
      v2("21", "31", "61".repeat(216)),
      v2("21", "12", ADDRESSES),
      v2("21", "12", `${ADDRESSES}03000400000000`), // whose checksum is wrong
      v2("21", "12", "00"),
      v2("21", "22", "20".repeat(36)),
      v2("21", "32", "61".repeat(216)),
      v2("21", "02"),
    ]
  ) assertHeader(bytes, {});
  const tlvs = [{ type: 5, value: Uint8Array.of(1) }];
  assertHeader(v2("21", "31", "61".repeat(216) + "05000101"), { tlvs });
});

Deno.test("TLVs are kept in order, padding is not", () => {
  const content = `${ADDRESSES}0100026832040002ffff02000161e00000`;
  assertHeader(v2("21", "11", content), {
    source: "192.0.2.1:56324",
    destination: "198.51.100.2:443",
    tlvs: [
      { type: 1, value: Uint8Array.of(0x68, 0x32) },
      { type: 2, value: Uint8Array.of(0x61) },
      { type: 0xe0, value: new Uint8Array() },
    ],
  });
});

Deno.test("a checksum is verified where there is one", () => {
  const sound = v2("21", "11", `${ADDRESSES}03000434e2f812040000`);
  assertHeader(sound, { source: "192.0.2.1:56324", destination: "198.51.100.2:443" });
  for (let bit = 0; bit < 8 * ADDRESSES.length / 2; bit++) {
    const changed = sound.slice();
    changed[16 + (bit >> 3)] = (changed[16 + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
    assertBroken(changed, "crc32c", `bit ${bit}`);
  }
  assertBroken(v2("21", "11", `${ADDRESSES}030003000000`), "crc32c", "3 octets");
  assertBroken(v2("21", "11", `${ADDRESSES}030000`), "crc32c", "no octet");
  assertBroken(v2("21", "11", `${ADDRESSES}03000400000000`), "crc32c", "zero");
});

Deno.test("two checksums are one too many, even where the first one holds", () => {
  const bytes = v2("21", "11", `${ADDRESSES}03000400000000` + "03000400000000");
  new DataView(bytes.buffer).setUint32(16 + 12 + 3, crc32c(bytes));
  assertBroken(bytes, "crc32c");
});

Deno.test("a version 2 header is malformed at its first wrong octet", () => {
  for (let i = 1; i < 12; i++) {
    const bytes = v2("21", "11").subarray(0, i + 1);
    assertBroken(Uint8Array.of(...bytes.subarray(0, -1), 0xff), "signature");
  }
  const begin = (hex: string) => Uint8Array.fromHex(SIGNATURE + hex);
  assertBroken(begin("11"), "version");
  assertBroken(begin("31"), "version");
  assertBroken(begin("22"), "command");
  assertBroken(begin("2f"), "command");
  assertBroken(begin("2141"), "family");
  assertBroken(begin("21f0"), "family");
  assertBroken(begin("2113"), "transport");
  assertBroken(begin("212f"), "transport");
  assertBroken(begin("2111000b"), "address_length");
  assertBroken(begin("21210023"), "address_length");
  assertBroken(begin("213100d7"), "address_length");
});

Deno.test("a TLV that does not fit is malformed", () => {
  for (const tlv of ["01", "0100", "010001", "01000268", "010000ff", "0100ff00"]) {
    assertBroken(v2("21", "11", ADDRESSES + tlv), "tlv", tlv);
  }
});

Deno.test("a header may take 4096 octets and not one more", () => {
  const ofLength = (length: number) => {
    const value = length - 16 - ADDRESSES.length / 2 - 3;
    return v2("21", "11", `${ADDRESSES}04${value.toString(16).padStart(4, "0")}${"00".repeat(value)}`);
  };
  assert.equal(parseProxyHeader(ofLength(MAX_PROXY_HEADER_BYTES)).kind, "header");
  assertBroken(ofLength(MAX_PROXY_HEADER_BYTES + 1).subarray(0, 16), "too_large");
});

Deno.test("writes what the specification lays down", () => {
  const source = { address: ipv4(192, 0, 2, 1), port: 56324 };
  const destination = { address: ipv4(198, 51, 100, 2), port: 443 };
  assert.deepEqual(encodeProxyHeaderV2({ source, destination }), v2("21", "11", ADDRESSES));
  assert.deepEqual(
    encodeProxyHeaderV2({ source, destination, authority: "a.example" }),
    v2("21", "11", `${ADDRESSES}020009612e6578616d706c65`),
  );
});

Deno.test("of two families, the IPv4 address is written IPv4-mapped", () => {
  const source = endpoint("192.0.2.1:56324");
  const destination = endpoint("[2001:db8::2]:443");
  const [mapped, ipv6] = ["00000000000000000000ffffc0000201", "20010db8000000000000000000000002"];
  assert.deepEqual(encodeProxyHeaderV2({ source, destination }), v2("21", "21", `${mapped}${ipv6}dc0401bb`));
  assert.deepEqual(
    encodeProxyHeaderV2({ source: destination, destination: source }),
    v2("21", "21", `${ipv6}${mapped}01bbdc04`),
  );
});

Deno.test("an authority too long for a header is a RangeError", () => {
  const peer = endpoint("192.0.2.1:1");
  const longest = MAX_PROXY_HEADER_BYTES - 16 - 12 - 3;
  const header = { source: peer, destination: peer };
  assert.equal(encodeProxyHeaderV2({ ...header, authority: "a".repeat(longest) }).length, MAX_PROXY_HEADER_BYTES);
  assert.throws(() => encodeProxyHeaderV2({ ...header, authority: "a".repeat(longest + 1) }), RangeError);
});
