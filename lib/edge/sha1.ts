/**
 * SHA-1, for what asks for it by name.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Returns the SHA-1 digest of `text` in UTF-8, 20 bytes. Not for anything that has to withstand an attacker. */
export function sha1(text: string): Uint8Array {
  return new Uint8Array(createHash("sha1").update(text).digest());
}
