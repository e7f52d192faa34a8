/**
 * Reproducible addresses for benchmarks.
 *
 * @module
 */

import { type IpAddress, ipv4 } from "../../wire/ip_address.ts";

/** Gives the same whole numbers from 0 to 2^32 - 1 in every run (a linear congruential generator, high bits mixed). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state ^ (state >>> 16)) >>> 0;
  };
}

/**
 * Gives a random IPv4 address, or IPv6 address of 2000::/8, on each call: always the same array, filled anew, so that
 * fetching addresses from memory is no part of what is measured.
 */
export function randomAddresses(family: 4 | 6, seed: number): () => IpAddress {
  const next = randomNumbers(seed);
  const ip = family === 4 ? ipv4(0, 0, 0, 0) : new Uint8Array(16);
  return () => {
    for (let at = family === 4 ? 12 : 0; at < 16; at += 4) {
      const word = next();
      ip[at] = word >>> 24;
      ip[at + 1] = word >>> 16;
      ip[at + 2] = word >>> 8;
      ip[at + 3] = word;
    }
    if (family === 6) ip[0] = 0x20;
    return ip;
  };
}
