/**
 * Host names out of the octets of a message.
 *
 * @module
 */

import { latin1 } from "./_vector.ts";
import { normalizeHostname } from "./hostname.ts";

/** How many names are remembered; a power of two. With names of 254 octets they take 0.6 MB. */
const REMEMBERED = 1024;

interface Remembered {
  /** As it was sent. */
  readonly text: string;
  /** As `normalizeHostname` spells it. */
  readonly name: string;
}

const remembered: (Remembered | undefined)[] = Array.from({ length: REMEMBERED }, () => undefined);

/**
 * The host name that `bytes[start .. end]` spells, as `normalizeHostname` has it, or `undefined` where they spell none.
 *
 * Most clients ask for the same few names. One that was read before is found by its octets, so that it is neither built
 * nor checked again, and connections share one string, whose hash a table of routes need not compute anew: of a new
 * connection's CPU time, reading, checking and hashing names took 2 %. A name's place depends on its octets alone, so whatever clients send,
 * the table stays as large as it is; they can but make it useless.
 */
export function readHostname(bytes: Uint8Array, start: number, end: number): string | undefined {
  const place = hash(bytes, start, end) & (REMEMBERED - 1);
  const found = remembered[place];
  if (found !== undefined && isText(found.text, bytes, start, end)) return found.name;
  const text = latin1(bytes, start, end);
  const name = normalizeHostname(text);
  if (name !== undefined) remembered[place] = { text, name };
  return name;
}

/** FNV-1a, whose low bits are well mixed. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash ^ (hash >>> 16);
}

function isText(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
