import { GeoIp } from "./geoip.ts";
import { buildMmdb } from "./testdata/build_mmdb.ts";
import { randomAddresses } from "./testdata/random_addresses.ts";

const LANGUAGES = ["de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"];

function names(name: string): Record<string, string> {
  return Object.fromEntries(LANGUAGES.map((language) => [language, `${name} (${language})`]));
}

/** Every /16 of IPv4, with the records that MaxMind's country databases have. */
const entries = Array.from({ length: 65_536 }, (_, n) => {
  const code = ["NL", "DE", "FR", "SE", "US", "JP", "BR", "ZA"][(n * 40_503) % 8] ?? "NL";
  const country = { geoname_id: 2_750_405, iso_code: code, names: names(code) };
  const continent = { code: "EU", geoname_id: 6_255_148, names: names("Europe") };
  return { cidr: `${n >> 8}.${n & 255}.0.0/16`, record: { continent, country, registered_country: country } };
});
const bytes = buildMmdb(entries);
const geoip = GeoIp.open(bytes);

Deno.bench("open, 65,536 networks", () => {
  GeoIp.open(bytes);
});

for (const family of [4, 6] as const) {
  const next = randomAddresses(family, 1);
  Deno.bench(`country of an IPv${family} address`, () => {
    geoip.country(next());
  });
}
