import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_DURATION_MS, parseDuration } from "./config_duration.ts";

Deno.test("a duration is numbers with units, added up", () => {
  for (
    const [text, milliseconds] of [
      ["5s", 5_000],
      ["1m30s", 90_000],
      ["250ms", 250],
      ["1.5s", 1_500],
      ["0.25m", 15_000],
      ["1h1m1s1ms", 3_661_001],
      ["1ms", 1],
      ["0s1ms", 1],
      ["1.6ms", 2],
      ["24h", MAX_DURATION_MS],
    ] as const
  ) assert.equal(parseDuration(text), milliseconds, text);
});

Deno.test("what has no unit, a sign, a space, or is out of range is no duration", () => {
  const texts = ["", "5", "s", "-5s", "+5s", "5 s", "5s ", "5S", "5d", "1us", "1.s", ".5s", "1e3s", "0s", "0.4ms"];
  for (const text of [...texts, "24h1ms", "9".repeat(20) + "h", "1s".repeat(17), "٥s"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

Deno.test("every whole number of milliseconds up to a day has a text", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: MAX_DURATION_MS }), (total) => {
    const hours = Math.floor(total / 3_600_000);
    const seconds = Math.floor(total / 1_000) % 3_600;
    assert.equal(parseDuration(`${hours}h${seconds}s${total % 1_000}ms`), total);
  }));
});
