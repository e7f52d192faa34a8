/**
 * Arbitraries for parsers of untrusted octets.
 *
 * @module
 */

import fc from "fast-check";
import { concat } from "./build_client_hello.ts";

/** What `bytes` yields with some octets changed, put in, taken out, doubled or cut off. */
export function mutated(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  const octets = fc.uint8Array({ minLength: 1, maxLength: 4 });
  const mutation = fc.oneof(
    fc.record({ kind: fc.constant("overwrite" as const), place, octets }),
    fc.record({ kind: fc.constant("insert" as const), place, octets }),
    fc.record({ kind: fc.constant("delete" as const), place, octets }),
    fc.record({ kind: fc.constant("repeat" as const), place, octets }),
    fc.record({ kind: fc.constant("truncate" as const), place, octets }),
  );
  return fc.tuple(bytes, fc.array(mutation, { minLength: 1, maxLength: 4 })).map(([bytes, mutations]) =>
    mutations.reduce((bytes, { kind, place, octets }) => {
      // Squared, since most of what a parser decides on stands at the beginning.
      const at = Math.floor(place * place * bytes.length);
      const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
      switch (kind) {
        case "overwrite":
          return concat(before, octets, after.subarray(octets.length));
        case "insert":
          return concat(before, octets, after);
        case "delete":
          return concat(before, after.subarray(octets.length));
        case "repeat":
          return concat(before, after.subarray(0, 40), after);
        case "truncate":
          return before;
      }
    }, bytes)
  );
}

/** Where segments end that carry `length` octets: strictly ascending, from 0 to `length`. */
export function segmentEnds(length: number): fc.Arbitrary<readonly number[]> {
  return fc.uniqueArray(fc.nat({ max: length }), { maxLength: 40 }).map((ends) =>
    [...new Set([0, ...ends, length])].sort((a, b) => a - b)
  );
}

/** The same octets as a view into a larger buffer, which holds `poison` on either side of them. */
export function surrounded(bytes: Uint8Array, poison: number): Uint8Array {
  const margin = new Uint8Array(64).fill(poison);
  return concat(margin, bytes, margin).subarray(margin.length, margin.length + bytes.length);
}
