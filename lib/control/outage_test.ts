import assert from "node:assert/strict";
import { Outage } from "./outage.ts";

/** An outage that settles when the test says so, and what is told of it. */
function outage() {
  const told: string[] = [];
  const settled = { current: Promise.withResolvers<void>() };
  const made = new Outage({
    failed: (reason) => told.push(reason),
    recovered: () => {
      told.push("recovered");
      settled.current.resolve();
      settled.current = Promise.withResolvers();
    },
  }, 0);
  return { made, told, settled: () => settled.current.promise };
}

Deno.test("what fails is told once, and again once it had recovered", async () => {
  const { made, told, settled } = outage();
  for (const _ of [1, 2]) {
    made.failed("EMFILE");
    assert.equal(made.reason, "EMFILE");
    const over = settled();
    made.recovered();
    made.failed("ENFILE"); // before it had settled
    assert.equal(made.reason, "ENFILE");
    made.recovered();
    await over;
    assert.equal(made.reason, undefined);
  }
  assert.deepEqual(told, ["EMFILE", "recovered", "EMFILE", "recovered"]);
});

Deno.test("it has recovered when it works for all", async () => {
  const { made, told, settled } = outage();
  made.failed("EMFILE");
  made.failed("EMFILE");
  made.recovered();
  await new Promise((resolve) => setTimeout(resolve)); // behind whatever was set to settle
  assert.equal(made.reason, "EMFILE");
  const over = settled();
  made.recovered();
  await over;
  assert.deepEqual(told, ["EMFILE", "recovered"]);
});

Deno.test("users that are gone count no more", async () => {
  const { made, settled } = outage();
  made.failed("EMFILE");
  made.failed("EMFILE");
  const over = settled();
  made.reset();
  await over;
  assert.equal(made.reason, undefined);
});
