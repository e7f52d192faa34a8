import assert from "node:assert/strict";
import { raiseDescriptorLimit } from "./limits.ts";
import { readDescriptorLimit } from "./proc.ts";

Deno.test({
  name: "a limit that is high enough is left alone",
  ignore: Deno.build.os !== "linux",
  fn() {
    const before = readDescriptorLimit();
    raiseDescriptorLimit(Math.min(before, 100));
    assert.equal(readDescriptorLimit(), before);
  },
});

Deno.test({
  name: "a limit that nobody may have is an error that says how many there may be",
  ignore: Deno.build.os !== "linux" || readDescriptorLimit() === Infinity,
  fn() {
    const limit = readDescriptorLimit();
    assert.throws(
      () => raiseDescriptorLimit(4_000_000_000), // beyond fs.nr_open, whose greatest value is 2^31
      (error) => error instanceof Error && error.message.includes(`may have ${limit} descriptors and needs 4000000000`),
    );
    assert.equal(readDescriptorLimit(), limit);
  },
});
