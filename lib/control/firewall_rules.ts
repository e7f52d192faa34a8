/**
 * The rules of the configured firewall, one by one.
 *
 * @module
 */

import type { FirewallRule } from "../rules/firewall.ts";
import type { FirewallRules } from "./config_types.ts";

/** Lists the rules: addresses, then prefixes, then countries, each in its order. */
export function rulesOf({ blockedIps, blockedCidrs, blockedCountries }: FirewallRules): FirewallRule[] {
  return [
    ...blockedIps.map((value) => ({ type: "ip", value } as const)),
    ...blockedCidrs.map((value) => ({ type: "cidr", value } as const)),
    ...blockedCountries.map((value) => ({ type: "country", value } as const)),
  ];
}
