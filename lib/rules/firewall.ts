/**
 * Whether a client may connect at all.
 *
 * @module
 */

import { type IpAddress, parseIpAddress } from "../wire/ip_address.ts";
import { type Cidr, CidrSet, parseCidr } from "./cidr_set.ts";
import { isCountryCode } from "./country_codes.ts";
import type { GeoIp } from "./geoip.ts";
import type { RateLimiter } from "./rate_limiter.ts";

/** Why a client was turned away. */
export type BlockReason = "ip" | "cidr" | "country" | "rate_limit";

/** What a firewall blocks, as texts; duplicates count once. */
export interface FirewallRules {
  /** Addresses, in any form that `parseIpAddress` reads. */
  readonly blockedIps: readonly string[];
  /** Prefixes in CIDR notation, without host bits. */
  readonly blockedCidrs: readonly string[];
  /** Upper-case country codes, as `isCountryCode` knows them. */
  readonly blockedCountries: readonly string[];
}

/** One rule of a firewall: `value` has the form of the {@linkcode FirewallRules} list of its type. */
export interface FirewallRule {
  readonly type: "ip" | "cidr" | "country";
  readonly value: string;
}

/** What a {@linkcode Firewall} starts with. */
export interface FirewallOptions {
  readonly rules: FirewallRules;
  /** Without it no client has a country, and country rules block nobody. */
  readonly geoip?: GeoIp | undefined;
  /** Without it there is no limit on the rate. */
  readonly rateLimiter?: RateLimiter | undefined;
}

/**
 * The rules that come before routing: blocked address, blocked prefix, blocked country, then the rate limit, in this
 * order, so that a blocked client never spends quota. The country is looked up only while some country is blocked.
 *
 * The cost of a check does not grow with the number of rules.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ipv4 } from "../wire/ip_address.ts";
 * const firewall = new Firewall({
 *   rules: { blockedIps: ["192.0.2.1"], blockedCidrs: ["192.0.2.0/24"], blockedCountries: [] },
 * });
 * assert.equal(firewall.check(ipv4(192, 0, 2, 1), performance.now()), "ip");
 * assert.equal(firewall.check(ipv4(192, 0, 2, 2), performance.now()), "cidr");
 * assert.equal(firewall.check(ipv4(198, 51, 100, 1), performance.now()), undefined);
 * ```
 */
export class Firewall {
  readonly #ips = new CidrSet(); // prefixes of full length
  readonly #cidrs = new CidrSet();
  readonly #countries = new Set<string>();
  #geoip: GeoIp | undefined;
  readonly #rateLimiter: RateLimiter | undefined;

  /** @throws {TypeError} A rule's value is malformed; the message names it. */
  constructor({ rules, geoip, rateLimiter }: FirewallOptions) {
    this.#geoip = geoip;
    this.#rateLimiter = rateLimiter;
    for (const value of rules.blockedIps) this.addRule({ type: "ip", value });
    for (const value of rules.blockedCidrs) this.addRule({ type: "cidr", value });
    for (const value of rules.blockedCountries) this.addRule({ type: "country", value });
  }

  /**
   * Why `ip` may not connect, or `undefined` where it may; the latter counts as a connection to the rate limiter.
   *
   * @param nowMs A monotonic clock in milliseconds.
   */
  check(ip: IpAddress, nowMs: number): BlockReason | undefined {
    if (this.#ips.has(ip)) return "ip";
    if (this.#cidrs.has(ip)) return "cidr";
    if (this.#isCountryBlocked(ip)) return "country";
    if (this.#rateLimiter !== undefined && !this.#rateLimiter.allow(ip, nowMs)) return "rate_limit";
    return undefined;
  }

  /**
   * Adds a rule; false where it was there, in whatever spelling.
   *
   * @throws {TypeError} The value is malformed; the message names it.
   */
  addRule({ type, value }: FirewallRule): boolean {
    switch (type) {
      case "ip":
        return this.#ips.add(hostCidrOf(value));
      case "cidr":
        return this.#cidrs.add(cidrOf(value));
      case "country": {
        const isNew = !this.#countries.has(countryOf(value));
        this.#countries.add(value);
        return isNew;
      }
    }
  }

  /**
   * Removes a rule; false where it was not there.
   *
   * @throws {TypeError} The value is malformed; the message names it.
   */
  removeRule({ type, value }: FirewallRule): boolean {
    switch (type) {
      case "ip":
        return this.#ips.delete(hostCidrOf(value));
      case "cidr":
        return this.#cidrs.delete(cidrOf(value));
      case "country":
        return this.#countries.delete(countryOf(value));
    }
  }

  /** Finds countries by this database from now on. */
  useGeoip(geoip: GeoIp): void {
    this.#geoip = geoip;
  }

  #isCountryBlocked(ip: IpAddress): boolean {
    if (this.#countries.size === 0) return false;
    const country = this.#geoip?.country(ip);
    return country !== undefined && this.#countries.has(country);
  }
}

function hostCidrOf(value: string): Cidr {
  const address = parseIpAddress(value);
  if (address === undefined) throw new TypeError(`not an IP address: ${JSON.stringify(value)}`);
  return { address, prefixLength: 128 };
}

function cidrOf(value: string): Cidr {
  const parsed = parseCidr(value);
  switch (parsed.kind) {
    case "ok":
      return parsed.cidr;
    case "host_bits":
      throw new TypeError(`has host bits set: ${JSON.stringify(value)}, the prefix is ${parsed.canonical}`);
    case "invalid":
      throw new TypeError(`not a prefix in CIDR notation: ${JSON.stringify(value)}`);
  }
}

function countryOf(value: string): string {
  if (!isCountryCode(value)) throw new TypeError(`not a country code: ${JSON.stringify(value)}`);
  return value;
}
