import assert from "node:assert/strict";
import { Refusal } from "./refusal.ts";

Deno.test("a few wrong fields are told in full", () => {
  const violations = [{ field: "a", description: "is wrong" }, { field: "b", description: "is wrong, too" }];
  const refusal = Refusal.invalid(violations);
  assert.deepEqual([refusal.message, refusal.violations], ["a: is wrong; b: is wrong, too", violations]);
});

Deno.test("of many or long descriptions so much is told as fits the trailers of every gRPC client, never nothing", () => {
  for (const length of [1, 100, 400, 100_000]) {
    const violations = Array.from({ length: 100 }, (_, i) => ({ field: `f${i}`, description: "x".repeat(length) }));
    const { message, violations: told } = Refusal.invalid(violations);
    assert.ok(message.length < 2_100, `${message.length}`);
    assert.deepEqual(told.map(({ field }) => field), violations.slice(0, told.length).map(({ field }) => field));
    assert.ok(told.length >= 3 && told.length <= 12, `${told.length}`);
    assert.ok(message.endsWith(`; and ${100 - told.length} more`));
  }
});

Deno.test("of a long description the beginning and the end are told, and no half of a character", () => {
  const { message } = Refusal.invalid([{ field: "f", description: `/${"😀".repeat(500)}x: does not exist` }]);
  assert.match(message, /^f: \/(😀)+…(😀)+x: does not exist$/u);
  assert.ok(message.length <= 504);
});
