/**
 * The firewall of a snapshot.
 *
 * @module
 */

import { Firewall } from "../rules/firewall.ts";
import { GeoIp } from "../rules/geoip.ts";
import { RateLimiter } from "../rules/rate_limiter.ts";
import type { FirewallSnapshot } from "./snapshot.ts";

/** Where rates are counted together with other threads. */
export interface SharedRates {
  readonly buffer: SharedArrayBuffer;
  /** Who counts, from 1. */
  readonly owner: number;
}

/**
 * Makes the firewall.
 *
 * @param rates Where rates are counted, where that is not for this thread alone.
 * @throws {GeoIpError} If the GeoIP file is not one.
 */
export function makeFirewall(snapshot: FirewallSnapshot, rates?: SharedRates): Firewall {
  const { rules, geoip, rateLimit: limit, rateWindowMs: windowMs } = snapshot;
  return new Firewall({
    rules,
    geoip: geoip && GeoIp.open(geoip),
    rateLimiter: limit === 0 ? undefined : new RateLimiter({ limit, windowMs, ...rates }),
  });
}
