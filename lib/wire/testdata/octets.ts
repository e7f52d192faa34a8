/**
 * Octets as tests write them.
 *
 * @module
 */

/** The octets that are the characters of `text`: U+0000 to U+00FF. */
export function octets(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The characters U+0000 to U+00FF that are the octets. */
export function characters(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");
}

/** The octets that are written as hexadecimal digits, with white space anywhere. */
export function hex(digits: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(digits.replaceAll(/\s/g, ""));
}
