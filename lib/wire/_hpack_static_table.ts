/**
 * The static table of HPACK (RFC 7541 appendix A).
 *
 * @module
 */

// deno-fmt-ignore
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** How many entries there are; they are numbered from 1. */
export const STATIC_LENGTH: number = ENTRIES.length;

/** Names and values by number less 1. */
export const STATIC_NAMES: readonly string[] = ENTRIES.map(([name]) => name);
export const STATIC_VALUES: readonly string[] = ENTRIES.map(([, value]) => value);

/** The number of an entry by its name, then its value. */
export const STATIC_VALUE_NUMBERS: ReadonlyMap<string, ReadonlyMap<string, number>> = valueNumbers();

/** The lowest number of a name. */
export const STATIC_NAME_NUMBERS: ReadonlyMap<string, number> = new Map(
  ENTRIES.map(([name], i) => [name, i + 1] as const).reverse(),
);

function valueNumbers(): Map<string, Map<string, number>> {
  const numbers = new Map<string, Map<string, number>>();
  for (const [i, [name, value]] of ENTRIES.entries()) {
    const values = numbers.get(name) ?? new Map<string, number>();
    numbers.set(name, values.set(value, i + 1));
  }
  return numbers;
}
