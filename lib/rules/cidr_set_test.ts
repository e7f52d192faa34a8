import assert from "node:assert/strict";
import fc from "fast-check";
import { type IpAddress, parseIpAddress } from "../wire/ip_address.ts";
import { type Cidr, CidrSet, formatCidr, parseCidr } from "./cidr_set.ts";

function ipOf(text: string): IpAddress {
  const ip = parseIpAddress(text);
  assert.ok(ip, text);
  return ip;
}

function cidrOf(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed.kind === "ok", text);
  return parsed.cidr;
}

function setOf(...cidrs: string[]): CidrSet {
  const set = new CidrSet();
  for (const cidr of cidrs) assert.equal(set.add(cidrOf(cidr)), true, cidr);
  return set;
}

Deno.test("a prefix prints in its canonical form", () => {
  for (
    const [text, canonical] of [
      ["10.0.0.0/8", "10.0.0.0/8"],
      ["0.0.0.0/0", "0.0.0.0/0"],
      ["192.0.2.1/32", "192.0.2.1/32"],
      ["::/0", "::/0"],
      ["2001:DB8:0::/32", "2001:db8::/32"],
      ["2001:db8::1/128", "2001:db8::1/128"],
      ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
      ["::ffff:0:0/96", "0.0.0.0/0"],
    ] as const
  ) assert.equal(formatCidr(cidrOf(text)), canonical, text);
});

Deno.test("host bits are told from a malformed prefix, with the prefix that was meant", () => {
  for (
    const [text, canonical] of [
      ["10.1.2.3/8", "10.0.0.0/8"],
      ["10.0.0.1/31", "10.0.0.0/31"],
      ["255.255.255.255/0", "0.0.0.0/0"],
      ["2001:db8::1/64", "2001:db8::/64"],
      ["2001:db8::ffff/127", "2001:db8::fffe/127"],
      ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
      ["::ffff:0:0/95", "::fffe:0:0/95"],
    ] as const
  ) assert.deepEqual(parseCidr(text), { kind: "host_bits", canonical }, text);
});

Deno.test("what is no prefix is refused", () => {
  for (
    const text of [
      "",
      "/",
      "/8",
      "10.0.0.0",
      "::1",
      "10.0.0.0/",
      "10.0.0.0/33",
      "10.0.0.0/08",
      "10.0.0.0/+8",
      "10.0.0.0/-1",
      "10.0.0.0/8 ",
      "10.0.0.0/8/8",
      "10.0.0.0/255.0.0.0",
      "10.0.0/8",
      "::/129",
      "::/1000",
      "::ffff:0.0.0.0/129",
    ]
  ) assert.equal(parseCidr(text).kind, "invalid", text);
});

Deno.test("a prefix covers its first and last address and neither neighbour", () => {
  for (
    const [cidr, before, first, last, after] of [
      ["10.16.0.0/12", "10.15.255.255", "10.16.0.0", "10.31.255.255", "10.32.0.0"],
      ["192.0.2.7/32", "192.0.2.6", "192.0.2.7", "192.0.2.7", "192.0.2.8"],
      ["128.0.0.0/1", "127.255.255.255", "128.0.0.0", "255.255.255.255", "::1"],
      ["2001:db8:8::/45", "2001:db8:7:ffff::", "2001:db8:8::", "2001:db8:f:ffff:ffff:ffff:ffff:ffff", "2001:db8:10::"],
      ["2001:db8::1:0/112", "2001:db8::", "2001:db8::1:0", "2001:db8::1:ffff", "2001:db8::2:0"],
      ["2001:db8::/64", "2001:db7:ffff:ffff::", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"],
    ] as const
  ) {
    const set = setOf(cidr);
    assert.deepEqual([before, first, last, after].map((ip) => set.has(ipOf(ip))), [false, true, true, false], cidr);
  }
});

Deno.test("::/0 covers every IPv6 address and no IPv4 address; 0.0.0.0/0 the reverse", () => {
  const everyIpv6 = setOf("::/0");
  const everyIpv4 = setOf("0.0.0.0/0");
  for (const ip of ["::", "::1", "2001:db8::1", "::fffe:10.0.0.1", "::10.0.0.1"]) {
    assert.equal(everyIpv6.has(ipOf(ip)), true, ip);
    assert.equal(everyIpv4.has(ipOf(ip)), false, ip);
  }
  for (const ip of ["0.0.0.0", "10.0.0.1", "::ffff:10.0.0.1"]) {
    assert.equal(everyIpv6.has(ipOf(ip)), false, ip);
    assert.equal(everyIpv4.has(ipOf(ip)), true, ip);
  }
});

Deno.test("an IPv4 prefix covers IPv4-mapped IPv6 addresses", () => {
  assert.equal(setOf("10.0.0.0/8").has(ipOf("::ffff:10.1.2.3")), true);
  assert.equal(setOf("::ffff:10.0.0.0/104").has(ipOf("10.1.2.3")), true);
});

Deno.test("a prefix is added once, and deleting it leaves those around it", () => {
  const set = setOf("10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/32");
  assert.equal(set.add(cidrOf("10.0.0.0/8")), false);
  assert.equal(set.size, 3);
  assert.equal(set.delete(cidrOf("10.0.0.0/9")), false);
  assert.equal(set.delete(cidrOf("10.0.0.0/8")), true);
  assert.equal(set.delete(cidrOf("10.0.0.0/8")), false);
  assert.equal(set.has(ipOf("10.0.255.255")), true);
  assert.equal(set.has(ipOf("10.1.0.0")), false);
  assert.equal(set.size, 2);
});

Deno.test("100,000 prefixes are all found, and those left after deleting half of them", () => {
  const set = new CidrSet();
  const nth = (n: number) => `10.${n >> 9}.${(n >> 1) & 255}.${(n & 1) * 128}/25`;
  for (let n = 0; n < 100_000; n++) set.add(cidrOf(nth(n)));
  assert.equal(set.size, 100_000);
  for (let n = 0; n < 100_000; n += 2) assert.equal(set.delete(cidrOf(nth(n))), true);
  assert.equal(set.size, 50_000);
  for (let n = 0; n < 100_000; n++) assert.equal(set.has(cidrOf(nth(n)).address), n % 2 === 1, nth(n));
});

Deno.test("agrees with a list of prefixes searched one by one, through any adds and deletes", () => {
  // Few distinct bits, so that prefixes nest, repeat and meet the addresses that are asked for.
  const octet = fc.constantFrom(0, 1, 128, 255);
  const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join("."));
  const ipv6 = fc.array(octet, { minLength: 8, maxLength: 8 }).map((groups) =>
    groups.map((group) => group.toString(16)).join(":")
  );
  const ip = fc.oneof(ipv4, ipv6).map(ipOf);
  const cidr = fc.oneof(
    fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })),
    fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })),
  ).map(([address, length]) => {
    const parsed = parseCidr(`${address}/${length}`);
    assert.ok(parsed.kind !== "invalid");
    return parsed.kind === "ok" ? parsed.cidr : cidrOf(parsed.canonical);
  });
  const steps = fc.array(fc.record({ kind: fc.constantFrom("add", "add", "delete"), cidr }), { maxLength: 120 });
  fc.assert(
    fc.property(steps, fc.array(ip), (steps, ips) => {
      const set = new CidrSet();
      const model = new Map<string, Cidr>();
      for (const { kind, cidr } of steps) {
        const text = formatCidr(cidr);
        const had = model.has(text);
        if (kind === "add") {
          assert.equal(set.add(cidr), !had, text);
          model.set(text, cidr);
        } else assert.equal(set.delete(cidr), model.delete(text), text);
        assert.equal(set.size, model.size);
      }
      for (const ip of ips) assert.equal(set.has(ip), [...model.values()].some((cidr) => covers(cidr, ip)));
    }),
    { numRuns: 1000 },
  );
});

/** Compares bit by bit; an IPv6 prefix never covers an IPv4-mapped address. */
function covers(cidr: Cidr, ip: IpAddress): boolean {
  const bits = (ip: IpAddress) => Array.from(ip, (octet) => octet.toString(2).padStart(8, "0")).join("");
  const mapped = "0".repeat(80) + "1".repeat(16);
  if (bits(ip).startsWith(mapped) !== bits(cidr.address).startsWith(mapped)) return false;
  return bits(ip).startsWith(bits(cidr.address).slice(0, cidr.prefixLength));
}
