import assert from "node:assert/strict";
import { type IpAddress, parseIpAddress } from "../wire/ip_address.ts";
import { Firewall, type FirewallOptions, type FirewallRule, type FirewallRules } from "./firewall.ts";
import { GeoIp } from "./geoip.ts";
import { RateLimiter } from "./rate_limiter.ts";
import { buildMmdb } from "./testdata/build_mmdb.ts";

function ipOf(text: string): IpAddress {
  const ip = parseIpAddress(text);
  assert.ok(ip, text);
  return ip;
}

function firewallOf(rules: Partial<FirewallRules>, options: Omit<FirewallOptions, "rules"> = {}): Firewall {
  return new Firewall({ rules: { blockedIps: [], blockedCidrs: [], blockedCountries: [], ...rules }, ...options });
}

function limiterOf(limit: number): RateLimiter {
  return new RateLimiter({ limit, windowMs: 1000, capacity: 64, seed: 1 });
}

const NL = GeoIp.open(buildMmdb([
  { cidr: "192.0.2.0/24", record: { country: { iso_code: "NL" } } },
  { cidr: "2001:db8::/32", record: { country: { iso_code: "NL" } } },
]));

Deno.test("a firewall without rules lets everyone in", () => {
  assert.equal(firewallOf({}).check(ipOf("192.0.2.1"), 0), undefined);
  assert.equal(firewallOf({}).check(ipOf("2001:db8::1"), 0), undefined);
});

Deno.test("the first of address, prefix, country and rate that blocks is the reason", () => {
  const all = { geoip: NL, rateLimiter: limiterOf(1) };
  const firewall = firewallOf({
    blockedIps: ["192.0.2.1", "2001:db8::1"],
    blockedCidrs: ["192.0.2.0/28", "2001:db8::/64"],
    blockedCountries: ["NL"],
  }, all);
  for (
    const [ip, reason] of [
      ["192.0.2.1", "ip"],
      ["::ffff:192.0.2.1", "ip"],
      ["192.0.2.2", "cidr"],
      ["192.0.2.200", "country"],
      ["2001:db8::1", "ip"],
      ["2001:db8::2", "cidr"],
      ["2001:db8:1::", "country"],
      ["198.51.100.1", undefined],
      ["198.51.100.1", "rate_limit"],
    ] as const
  ) assert.equal(firewall.check(ipOf(ip), 0), reason, ip);
});

Deno.test("a blocked client spends no quota", () => {
  const firewall = firewallOf({ blockedIps: ["192.0.2.1"] }, { rateLimiter: limiterOf(1) });
  for (let i = 0; i < 5; i++) assert.equal(firewall.check(ipOf("192.0.2.1"), 0), "ip");
  firewall.removeRule({ type: "ip", value: "192.0.2.1" });
  assert.equal(firewall.check(ipOf("192.0.2.1"), 0), undefined);
});

Deno.test("an address of unknown country, or any without a GeoIP database, is not blocked by country", () => {
  const rules = { blockedCountries: ["NL"] };
  assert.equal(firewallOf(rules, { geoip: NL }).check(ipOf("198.51.100.1"), 0), undefined);
  assert.equal(firewallOf(rules).check(ipOf("192.0.2.1"), 0), undefined);
});

Deno.test("the country is looked up only while some country is blocked", () => {
  const bytes = buildMmdb([{ cidr: "192.0.2.0/24", record: { country_code: "NL" } }]);
  const geoip = GeoIp.open(bytes);
  bytes.fill(0xff); // from here on every lookup is a fault
  const firewall = firewallOf({}, { geoip });
  firewall.check(ipOf("192.0.2.1"), 0);
  assert.equal(geoip.faults, 0);
  firewall.addRule({ type: "country", value: "SE" });
  firewall.check(ipOf("192.0.2.1"), 0);
  assert.equal(geoip.faults, 1);
});

Deno.test("rules come and go at run time, and say whether that changed anything", () => {
  const firewall = firewallOf({}, { geoip: NL });
  const client = ipOf("192.0.2.1");
  const rules: FirewallRule[] = [
    { type: "ip", value: "192.0.2.1" },
    { type: "cidr", value: "192.0.2.0/24" },
    { type: "country", value: "NL" },
  ];
  for (const rule of rules) {
    assert.equal(firewall.check(client, 0), undefined);
    assert.equal(firewall.removeRule(rule), false);
    assert.equal(firewall.addRule(rule), true);
    assert.equal(firewall.addRule(rule), false);
    assert.equal(firewall.check(client, 0), rule.type);
    assert.equal(firewall.removeRule(rule), true);
  }
  assert.equal(firewall.check(client, 0), undefined);
});

Deno.test("an address rule is the same in every spelling, and is no prefix rule", () => {
  const firewall = firewallOf({ blockedIps: ["192.0.2.1"] });
  assert.equal(firewall.addRule({ type: "ip", value: "::ffff:c000:201" }), false);
  assert.equal(firewall.removeRule({ type: "cidr", value: "192.0.2.1/32" }), false);
  assert.equal(firewall.removeRule({ type: "ip", value: "::ffff:c000:201" }), true);
});

Deno.test("a malformed rule is refused by name", () => {
  const rules: FirewallRule[] = [
    { type: "ip", value: "192.0.2.0/24" },
    { type: "ip", value: "host.example" },
    { type: "cidr", value: "192.0.2.1" },
    { type: "cidr", value: "192.0.2.1/24" },
    { type: "country", value: "nl" },
    { type: "country", value: "XX" },
  ];
  const firewall = firewallOf({});
  for (const rule of rules) {
    const namesValue = (error: unknown) => error instanceof TypeError && error.message.includes(rule.value);
    assert.throws(() => firewall.addRule(rule), namesValue);
    assert.throws(() => firewall.removeRule(rule), namesValue);
  }
  assert.throws(() => firewallOf({ blockedCidrs: ["10.0.0.1/8"] }), /10\.0\.0\.1\/8.*10\.0\.0\.0\/8/);
});
