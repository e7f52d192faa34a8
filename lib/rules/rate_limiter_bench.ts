import { ipv4 } from "../wire/ip_address.ts";
import { RateLimiter } from "./rate_limiter.ts";

const OPTIONS = { limit: 100, windowMs: 10_000, seed: 1 };

/** 10,000 connections a second from `sources` addresses in turn. */
function bench(name: string, sources: number, baseline: boolean): void {
  const limiter = new RateLimiter(OPTIONS);
  const ip = ipv4(0, 0, 0, 0);
  let calls = 0;
  Deno.bench(name, { group: "rate limiter, 16 MiB", baseline }, () => {
    const source = Math.imul(calls % sources, 0x9e3779b1); // spread over the address space
    ip[12] = source >>> 24;
    ip[13] = source >>> 16;
    ip[14] = source >>> 8;
    ip[15] = source;
    limiter.allow(ip, calls++ / 10);
  });
}

bench("1 source, mostly at its limit", 1, true);
bench("10,000 sources", 10_000, false);
bench("1,000,000 sources", 1_000_000, false);
