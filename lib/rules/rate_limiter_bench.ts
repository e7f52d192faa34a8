import { ipv4 } from "../wire/ip_address.ts";
import { RateLimiter } from "./rate_limiter.ts";

const OPTIONS = { limit: 100, windowMs: 10_000, seed: 1 };

/** 10,000 connections a second from `sources` addresses in turn, all in this thread. */
function bench(name: string, sources: number, buffer: ArrayBufferLike, baseline: boolean): void {
  const limiter = new RateLimiter({ ...OPTIONS, buffer });
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

const SIZE = RateLimiter.byteLength();
bench("1 source, mostly at its limit", 1, new ArrayBuffer(SIZE), true);
bench("1 source, mostly at its limit, shared", 1, new SharedArrayBuffer(SIZE), false);
bench("10,000 sources", 10_000, new ArrayBuffer(SIZE), false);
bench("10,000 sources, shared", 10_000, new SharedArrayBuffer(SIZE), false);
bench("1,000,000 sources", 1_000_000, new ArrayBuffer(SIZE), false);
bench("1,000,000 sources, shared", 1_000_000, new SharedArrayBuffer(SIZE), false);
