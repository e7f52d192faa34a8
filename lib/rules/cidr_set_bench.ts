import { CidrSet, formatCidr, parseCidr } from "./cidr_set.ts";
import { randomAddresses } from "./testdata/random_addresses.ts";

/** As many random prefixes as given, in equal parts of each length. */
function setOf(family: 4 | 6, prefixes: number, lengths: readonly number[]): CidrSet {
  const set = new CidrSet();
  const next = randomAddresses(family, 1);
  for (let i = 0; set.size < prefixes; i++) {
    const length = lengths[i % lengths.length] ?? 0;
    const parsed = parseCidr(formatCidr({ address: next(), prefixLength: family === 4 ? 96 + length : length }));
    const canonical = parsed.kind === "host_bits" ? parseCidr(parsed.canonical) : parsed;
    if (canonical.kind === "ok") set.add(canonical.cidr);
  }
  return set;
}

for (
  const [family, lengths] of [
    [4, [24]],
    [4, [20, 22, 23, 24, 32]],
    [6, [48]],
    [6, [32, 40, 44, 48, 64]],
  ] as const
) {
  for (const prefixes of [10, 1000, 100_000]) {
    const set = setOf(family, prefixes, lengths);
    const next = randomAddresses(family, 2);
    const group = `IPv${family} lookup, prefixes of length ${lengths.join(", ")}`;
    Deno.bench(`IPv${family}, ${prefixes} prefixes of ${lengths.length} length(s)`, {
      group,
      baseline: prefixes === 10,
    }, () => {
      set.has(next());
    });
  }
}

const grown = setOf(4, 100_000, [24, 32]);
const cidrs = Array.from({ length: 256 }, (_, i) => parseCidr(`10.0.${i}.0/25`)).flatMap((parsed) =>
  parsed.kind === "ok" ? [parsed.cidr] : []
);
Deno.bench("256 adds and 256 deletes at 100,000 prefixes", { group: "change" }, () => {
  for (const cidr of cidrs) grown.add(cidr);
  for (const cidr of cidrs) grown.delete(cidr);
});
