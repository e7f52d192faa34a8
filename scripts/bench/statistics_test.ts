import assert from "node:assert/strict";
import fc from "fast-check";
import { median, quantile, spread } from "./statistics.ts";

const samples = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 });

Deno.test("the median has as many samples on its one side as on its other", () => {
  fc.assert(fc.property(samples, (values) => {
    const middle = median(values);
    assert.ok(values.filter((value) => value < middle).length <= values.length / 2);
    assert.ok(values.filter((value) => value > middle).length <= values.length / 2);
  }));
});

Deno.test("quantiles go from the least sample to the greatest and never fall", () => {
  fc.assert(fc.property(samples, (values) => {
    const [least = 0, lower = 0, upper = 0, greatest = 0] = [0, 0.25, 0.75, 1].map((share) => quantile(values, share));
    assert.ok(least <= lower && lower <= upper && upper <= greatest);
    assert.equal(least, Math.min(...values));
    assert.equal(greatest, Math.max(...values));
  }));
});

Deno.test("the order of the samples is left as it was", () => {
  const values = [3, 1, 2];
  assert.equal(median(values), 2);
  assert.deepEqual(values, [3, 1, 2]);
});

Deno.test("spread is the interquartile range over the median", () => {
  assert.equal(spread([10, 10, 10]), 0);
  assert.equal(spread([0, 0]), 0);
  assert.equal(spread([8, 9, 10, 11, 12]), 0.2);
});

Deno.test("no samples have no median", () => assert.throws(() => median([]), RangeError));
