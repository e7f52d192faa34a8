import assert from "node:assert/strict";
import { countForward } from "./max_forwards.ts";

Deno.test("Max-Forwards is counted down to 0, and then the request goes no further", () => {
  for (const [value, left] of [["1", "0"], ["10", "9"], ["007", "6"], ["9".repeat(400), "1000000"]] as const) {
    const fields = ["x", "max-forwards", "max-forwards", value];
    assert.equal(countForward(fields), true);
    assert.deepEqual(fields, ["x", "max-forwards", "max-forwards", left]);
  }
  for (const value of ["0", "00"]) assert.equal(countForward(["max-forwards", value]), false);
});

Deno.test("without the field, or with one that is no number, a request is forwarded as it is", () => {
  for (const fields of [[], ["x", "0"], ["max-forwards", ""], ["max-forwards", "-1"], ["max-forwards", "1, 2"]]) {
    const before = [...fields];
    assert.equal(countForward(fields), true);
    assert.deepEqual(fields, before);
  }
});
