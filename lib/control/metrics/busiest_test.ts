import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_TOLD, tellBusiest } from "./busiest.ts";

function tell(counts: readonly (readonly [string, number])[]) {
  return tellBusiest<number, { name: string; count: number }>({
    read: () => counts,
    weigh: (count) => count,
    tell: (name, count) => ({ name, count }),
    add: (others, count) => others.count += count,
    others: "(other)",
  });
}

Deno.test("as many as there is room for are all told, in their order, but for those that are idle", () => {
  const counts = Array.from({ length: MAX_TOLD }, (_, i) => [`h${i}`, i] as const);
  assert.deepEqual(tell(counts), counts.slice(1).map(([name, count]) => ({ name, count })));
});

Deno.test("of more, the busiest are told and the others are one sum: nothing is lost, and no more is told", () => {
  const count = fc.oneof(fc.nat({ max: 3 }), fc.nat());
  fc.assert(
    fc.property(
      fc.array(count, { minLength: MAX_TOLD - 2, maxLength: MAX_TOLD + 500, size: "max" }),
      fc.boolean(),
      (all, hasOthers) => {
        const counts = all.map((count, i) => [hasOthers && i === 7 ? "(other)" : `h${i}`, count] as const);
        const told = tell(counts);
        const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
        assert.equal(sum(told.map(({ count }) => count)), sum(all));
        const named = told.filter(({ name }) => name !== "(other)");
        assert.ok(named.length <= MAX_TOLD && told.length <= named.length + 1);
        const busiest = counts.filter(([name]) => name !== "(other)").map(([, count]) => count)
          .sort((a, b) => b - a).slice(0, MAX_TOLD).filter((count) => count > 0);
        assert.deepEqual(named.map(({ count }) => count).sort((a, b) => b - a), busiest);
      },
    ),
    { numRuns: 30 },
  );
});
