import assert from "node:assert/strict";
import { isCountryCode } from "./country_codes.ts";

const LETTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const KNOWN = LETTERS.flatMap((first) => LETTERS.map((second) => first + second)).filter(isCountryCode);

Deno.test("there are 249 assigned codes, and Kosovo's", () => {
  assert.equal(KNOWN.length, 250);
  assert.equal(isCountryCode("XK"), true);
});

Deno.test("every code is a region that the platform can name", () => {
  const names = new Intl.DisplayNames("en", { type: "region", fallback: "none" });
  assert.deepEqual(KNOWN.filter((code) => names.of(code) === undefined), []);
});

Deno.test("what is no country is refused", () => {
  for (const text of ["", "D", "de", "De", "DEU", " DE", "EU", "AP", "UK", "ZZ", "AN", "SU", "A1", "None", "276"]) {
    assert.equal(isCountryCode(text), false, text);
  }
});
