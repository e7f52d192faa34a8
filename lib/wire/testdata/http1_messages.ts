/**
 * Arbitraries for HTTP/1.1 messages, sound and hostile.
 *
 * @module
 */

import fc from "fast-check";
import { ByteWriter } from "../byte_writer.ts";
import { isFieldValue } from "../http_fields.ts";
import { mutated } from "./fuzz.ts";
import { octets } from "./octets.ts";

export const token: fc.Arbitrary<string> = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);

const name = fc.oneof(
  token.map((text) => text.toLowerCase()),
  fc.constantFrom("content-length", "transfer-encoding", "x-a"),
);
const value = fc.oneof(
  fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/).filter(isFieldValue),
  fc.constantFrom("chunked", "5", ""),
);

/** Fields with lower-case names, no Host among them. */
export const fields: fc.Arbitrary<string[]> = fc
  .array(fc.tuple(name.filter((name) => name !== "host"), value), { maxLength: 12 })
  .map((pairs) => pairs.flat());

/** What an encoder writes. */
export function written(encode: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter();
  encode(out);
  return out.bytes.slice(0, out.length);
}

/** Sound octets, and what an attacker would make of them. */
export function hostile(sound: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    sound,
    mutated(sound),
    fc.uint8Array({ maxLength: 3000 }),
    fc.stringMatching(/^[\r\n\t\0 :;,0A-]{0,300}$/).map(octets),
  );
}
