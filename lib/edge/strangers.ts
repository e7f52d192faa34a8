/**
 * Clients that have not said whom they want, while the program ends.
 *
 * @module
 */

import type { EdgeTimeouts } from "./snapshot.ts";

/** How long they have: who has just connected is about to say it, and who has not for a second may never. */
export const STRANGER_MS = 1_000;

/** The time-outs of a program that ends. */
export function timeoutsOfStrangers(timeouts: EdgeTimeouts): EdgeTimeouts {
  const { proxyHeaderMs, helloMs } = timeouts;
  return {
    ...timeouts,
    proxyHeaderMs: Math.min(proxyHeaderMs, STRANGER_MS),
    helloMs: Math.min(helloMs, STRANGER_MS),
  };
}
