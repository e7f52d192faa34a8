import { formatIpAddress } from "../wire/ip_address.ts";
import { Firewall } from "./firewall.ts";
import { RateLimiter } from "./rate_limiter.ts";
import { randomAddresses } from "./testdata/random_addresses.ts";

/** As many rules as given, half of them addresses and half /24s, and a rate limit. */
function firewallOf(rules: number): Firewall {
  const next = randomAddresses(4, 1);
  return new Firewall({
    rules: {
      blockedIps: Array.from({ length: rules / 2 }, () => formatIpAddress(next())),
      blockedCidrs: Array.from({ length: rules / 2 }, () => formatIpAddress(next()).replace(/\.\d+$/, ".0/24")),
      blockedCountries: [],
    },
    rateLimiter: new RateLimiter({ limit: 100, windowMs: 10_000, seed: 1 }),
  });
}

for (const rules of [10, 1000, 100_000]) {
  const firewall = firewallOf(rules);
  const next = randomAddresses(4, 2);
  let calls = 0;
  Deno.bench(`${rules} rules`, { group: "firewall check with rate limit", baseline: rules === 10 }, () => {
    firewall.check(next(), calls++ / 10);
  });
}
