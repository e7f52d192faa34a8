import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { type IpAddress, parseIpAddress } from "../wire/ip_address.ts";
import { GeoIp, GeoIpError } from "./geoip.ts";
import { buildMmdb, type MmdbEntry, type MmdbOptions } from "./testdata/build_mmdb.ts";

function ipOf(text: string): IpAddress {
  const ip = parseIpAddress(text);
  assert.ok(ip, text);
  return ip;
}

function maxmind(code: string): Record<string, unknown> {
  return {
    continent: { code: "EU", geoname_id: 6255148, names: { de: "Europa", en: "Europe" } },
    country: { geoname_id: 2750405, iso_code: code, names: { en: code } },
    registered_country: { geoname_id: 6252001, iso_code: "US", names: { en: "United States" } },
  };
}

const ENTRIES: MmdbEntry[] = [
  { cidr: "192.0.2.0/24", record: maxmind("NL") },
  { cidr: "192.0.2.128/25", record: maxmind("DE") },
  { cidr: "198.51.100.0/24", record: { country_code: "SE" } },
  { cidr: "203.0.113.0/24", record: { country_code: "None" } },
];

const IPV6_ENTRIES: MmdbEntry[] = [
  { cidr: "2001:db8::/32", record: maxmind("FR") },
  { cidr: "2001:db8:1::/48", record: { country_code: "XK" } },
];

/** Every record size, of IPv6 and of IPv4 only. */
const LAYOUTS: Required<Pick<MmdbOptions, "ipVersion" | "recordSize">>[] = ([4, 6] as const).flatMap((ipVersion) =>
  ([24, 28, 32] as const).map((recordSize) => ({ ipVersion, recordSize }))
);

Deno.test("finds the country of the longest network in both record layouts and every file layout", () => {
  for (const layout of LAYOUTS) {
    const geoip = GeoIp.open(buildMmdb(layout.ipVersion === 6 ? [...ENTRIES, ...IPV6_ENTRIES] : ENTRIES, layout));
    for (
      const [ip, country] of [
        ["192.0.2.1", "NL"],
        ["::ffff:192.0.2.1", "NL"],
        ["192.0.2.128", "DE"],
        ["198.51.100.255", "SE"],
        ["198.51.101.0", undefined],
        ["2001:db8::1", layout.ipVersion === 6 ? "FR" : undefined],
        ["2001:db8:1::1", layout.ipVersion === 6 ? "XK" : undefined],
      ] as const
    ) assert.equal(geoip.country(ipOf(ip)), country, `${ip} in ${JSON.stringify(layout)}`);
    assert.equal(geoip.faults, 0);
  }
});

Deno.test("an IPv6 address has no country in a database of IPv4 only, even if that has one for every address", () => {
  const geoip = GeoIp.open(buildMmdb([{ cidr: "0.0.0.0/0", record: { country_code: "NL" } }], { ipVersion: 4 }));
  assert.equal(geoip.country(ipOf("192.0.2.1")), "NL");
  assert.equal(geoip.country(ipOf("2001:db8::1")), undefined);
});

Deno.test("a record without a country code is no country, wherever its network is registered", () => {
  const nothing: unknown[] = [
    {},
    { country: {} },
    { country: "NL" },
    { country: { iso_code: "" } },
    { country: { iso_code: 31 } },
    { country: [] },
    { registered_country: { iso_code: "NL" } },
    { country_code: "None" },
    { country_code: "" },
    { country_code: "nl" },
  ];
  const entries = nothing.map((record, i) => ({ cidr: `10.${i}.0.0/16`, record: Object(record) }));
  const geoip = GeoIp.open(buildMmdb([...entries, ...ENTRIES]));
  for (const [i, record] of nothing.entries()) {
    assert.equal(geoip.country(ipOf(`10.${i}.0.1`)), undefined, JSON.stringify(record));
  }
  assert.equal(geoip.faults, 0);
});

Deno.test("more records than are kept decoded are all read right, again and again", () => {
  const cidrOf = (n: number) => `10.${n >> 8}.${n & 255}.0/24`;
  const codeOf = (n: number) => n % 3 === 0 ? "NL" : "DE";
  const count = 5000;
  const entries = Array.from(
    { length: count },
    (_, n) => ({ cidr: cidrOf(n), record: { as: n, country_code: codeOf(n) } }),
  );
  const geoip = GeoIp.open(buildMmdb(entries));
  for (let n = 0; n < 2 * count; n++) {
    const ip = ipOf(cidrOf(n % count).replace("0/24", "7"));
    assert.equal(geoip.country(ip), codeOf(n % count));
  }
});

Deno.test("reads a database out of shared memory, at any offset", () => {
  const bytes = buildMmdb(ENTRIES);
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 3), 3);
  shared.set(bytes);
  assert.equal(GeoIp.open(shared).country(ipOf("192.0.2.1")), "NL");
});

Deno.test("what is no sound database of countries is refused with the reason", () => {
  const sound = buildMmdb(ENTRIES);
  const separator = Buffer.from(sound).indexOf(Buffer.alloc(16));
  const without = (start: number, end: number) => Uint8Array.from([...sound.slice(0, start), ...sound.slice(end)]);
  for (
    const [bytes, reason] of [
      [new Uint8Array(0), /no metadata/],
      [new TextEncoder().encode("not a database"), /no metadata/],
      [sound.slice(0, sound.length / 2), /no metadata/],
      [sound.slice(0, -1), /corrupt/],
      [sound.slice(0, -20), /corrupt/],
      [without(0, 7), /does not end after \d+ nodes/],
      [without(separator, separator + 16), /does not end after \d+ nodes/],
      [buildMmdb([{ cidr: "192.0.2.0/24", record: { autonomous_system_number: 1 } }]), /without countries/],
      [buildMmdb([{ cidr: "192.0.2.0/24", record: { mobile_country_code: "310" } }]), /without countries/],
      [buildMmdb([]), /without countries/],
    ] as const
  ) assert.throws(() => GeoIp.open(bytes), (error) => error instanceof GeoIpError && reason.test(error.message));
});

/** Gives the string `text` of the data section a type that there is not. */
function corruptString(bytes: Uint8Array, text: string): void {
  const at = Buffer.from(bytes).indexOf(text);
  bytes.set([0x00, 0xff], at - 1);
}

Deno.test("a database whose records are beyond reading is refused", () => {
  const bytes = buildMmdb([{ cidr: "0.0.0.0/1", record: { country_code: "Netherlands" } }]);
  corruptString(bytes, "Netherlands");
  assert.throws(() => GeoIp.open(bytes), (error) => error instanceof GeoIpError && /corrupt/.test(error.message));
});

Deno.test("a corrupt record gives no country and is counted as a fault, and others are still read", () => {
  const bytes = buildMmdb(ENTRIES);
  corruptString(bytes, "None");
  const geoip = GeoIp.open(bytes);
  for (let faults = 1; faults <= 2; faults++) {
    assert.equal(geoip.country(ipOf("203.0.113.1")), undefined);
    assert.equal(geoip.faults, faults);
  }
  assert.equal(geoip.country(ipOf("192.0.2.1")), "NL");
  assert.equal(geoip.faults, 2);
});

Deno.test("no damage to a file makes it throw anything but the typed error", () => {
  const sound = buildMmdb([...ENTRIES, ...IPV6_ENTRIES]);
  const damage = fc.array(fc.record({ at: fc.nat(sound.length - 1), octet: fc.nat(255) }), {
    minLength: 1,
    maxLength: 4,
  });
  const ips = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "10.0.0.1", "2001:db8::1", "2001:db8:1::1"].map(ipOf);
  fc.assert(
    fc.property(damage, (damage) => {
      const bytes = sound.slice();
      for (const { at, octet } of damage) bytes[at] = octet;
      let geoip: GeoIp;
      try {
        geoip = GeoIp.open(bytes);
      } catch (error) {
        assert.ok(error instanceof GeoIpError);
        return;
      }
      for (const ip of ips) {
        const country = geoip.country(ip);
        assert.ok(country === undefined || /^[A-Z]{2}$/.test(country));
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("the writer refuses what a file cannot hold", () => {
  assert.throws(() => buildMmdb([{ cidr: "192.0.2.1/24", record: {} }]), TypeError);
  assert.throws(() => buildMmdb([{ cidr: "2001:db8::/32", record: {} }], { ipVersion: 4 }), TypeError);
  assert.throws(() => buildMmdb([{ cidr: "192.0.2.0/24", record: { country: null } }]), TypeError);
});
