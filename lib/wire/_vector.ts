/**
 * Bounded reads of the presentation language of TLS (RFC 8446 §3) in place: offsets in, offsets out, no allocation.
 *
 * @module
 */

/** The 16-bit number at `at`, network order. The caller has checked that both octets are there. */
export function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/**
 * The end of the vector whose length prefix, one octet long, is at `at`; its content begins at `at + 1`.
 *
 * @returns An offset in `at + 1 .. end`, or -1 where prefix or content reach beyond `end`.
 */
export function vector8End(bytes: Uint8Array, at: number, end: number): number {
  if (at + 1 > end) return -1;
  const vectorEnd = at + 1 + (bytes[at] ?? 0);
  return vectorEnd <= end ? vectorEnd : -1;
}

/** As `vector8End`, of a vector with a length prefix of two octets: its content begins at `at + 2`. */
export function vector16End(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return -1;
  const vectorEnd = at + 2 + uint16(bytes, at);
  return vectorEnd <= end ? vectorEnd : -1;
}

/** The octets `start .. end` as the characters U+0000 to U+00FF; for short texts, up to some thousand octets. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = ""; // for such texts a quarter of the time that TextDecoder takes, whose "latin1" is windows-1252 besides
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}
