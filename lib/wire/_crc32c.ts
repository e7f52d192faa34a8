/**
 * CRC32C, the checksum of PROXY protocol headers, SCTP and iSCSI.
 *
 * @module
 */

const POLYNOMIAL = 0x82f63b78; // RFC 9260 Appendix A, bit-reflected

const TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/**
 * The CRC32C checksum (RFC 9260 Appendix A) of `bytes`, unsigned.
 *
 * @param crc The checksum of what precedes `bytes`, where they are not the first.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = new TextEncoder();
 * assert.equal(crc32c(text.encode("123456789")), 0xe3069283);
 * assert.equal(crc32c(text.encode("6789"), crc32c(text.encode("12345"))), 0xe3069283);
 * ```
 */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  crc = ~crc;
  for (const octet of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ octet) & 0xff] ?? 0);
  return ~crc >>> 0;
}
