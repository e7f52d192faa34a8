import assert from "node:assert/strict";
import { randomUuid } from "./uuid.ts";

Deno.test("UUIDs are of version 4, and no two are the same", () => {
  const made = new Set<string>();
  for (let i = 0; i < 10_000; i++) {
    const uuid = randomUuid();
    assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    made.add(uuid);
  }
  assert.equal(made.size, 10_000);
});

Deno.test("each digit of a UUID takes every value", () => {
  const seen = Array.from({ length: 36 }, () => new Set<string>());
  for (let i = 0; i < 2_000; i++) for (const [at, digit] of [...randomUuid()].entries()) seen[at]?.add(digit);
  const expected = (at: number) => [8, 13, 14, 18, 23].includes(at) ? 1 : at === 19 ? 4 : 16;
  assert.deepEqual(seen.map(({ size }) => size), seen.map((_, at) => expected(at)));
});
