import assert from "node:assert/strict";
import fc from "fast-check";
import type { Expirable } from "./deadlines.ts";
import { TimedDeadlines } from "./timed_deadlines.ts";

class Entry implements Expirable {
  deadline = 0;
  slot = -1;
  readonly expired = Promise.withResolvers<number>();
  times = 0;

  expire(): void {
    this.times++;
    this.expired.resolve(performance.now());
  }
}

Deno.test("an entry expires once, and not before its time", async () => {
  const deadlines = new TimedDeadlines(5);
  const short = new Entry();
  const long = new Entry();
  const start = performance.now();
  deadlines.set(long, 60);
  deadlines.set(short, 10);
  assert.equal(deadlines.size, 2);
  assert.ok(await short.expired.promise - start >= 10);
  assert.ok(await long.expired.promise - start >= 60);
  assert.deepEqual([short.times, long.times, deadlines.size], [1, 1, 0]);
});

Deno.test("a deadline beyond one turn of the wheel is kept", async () => {
  const deadlines = new TimedDeadlines(1); // 512 ms a turn
  const entry = new Entry();
  const start = performance.now();
  deadlines.set(entry, 700);
  assert.ok(await entry.expired.promise - start >= 700);
});

Deno.test("an extended deadline is put off, and never brought forward", async () => {
  const deadlines = new TimedDeadlines(5);
  const extended = new Entry();
  const start = performance.now();
  deadlines.set(extended, 10);
  deadlines.extend(extended, 80);
  deadlines.extend(extended, 1);
  assert.ok(await extended.expired.promise - start >= 70); // the clock of `extend` is up to a tick old
});

Deno.test("a cleared entry never expires, and clearing it again is harmless", async () => {
  const deadlines = new TimedDeadlines(5);
  const cleared = new Entry();
  const later = new Entry();
  deadlines.set(cleared, 5);
  deadlines.set(later, 30);
  deadlines.clear(cleared);
  deadlines.clear(cleared);
  await later.expired.promise;
  assert.equal(cleared.times, 0);
});

Deno.test("an entry that expires may clear and set others, itself among them", async () => {
  const deadlines = new TimedDeadlines(5);
  const victim = new Entry();
  const again = new Entry();
  const done = Promise.withResolvers<void>();
  again.expire = () => {
    deadlines.clear(victim);
    if (++again.times < 3) deadlines.set(again, 5);
    else done.resolve();
  };
  deadlines.set(again, 5);
  deadlines.set(victim, 5);
  await done.promise;
  assert.equal(deadlines.size, 0);
});

Deno.test("no timer is left running when nothing waits", () => {
  // Deno's own check for leaked timers fails this test otherwise.
  const deadlines = new TimedDeadlines();
  const entry = new Entry();
  deadlines.set(entry, 1000);
  deadlines.set(entry, 2000);
  assert.equal(deadlines.size, 1);
  deadlines.clear(entry);
});

Deno.test("any mix of deadlines expires each in its time", async () => {
  const delays = fc.array(fc.integer({ min: 0, max: 150 }), { minLength: 1, maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(delays, async (delays) => {
      const deadlines = new TimedDeadlines(3);
      const start = performance.now();
      const entries = delays.map((ms) => {
        const entry = new Entry();
        deadlines.set(entry, ms);
        return entry;
      });
      const expired = await Promise.all(entries.map((entry) => entry.expired.promise));
      expired.forEach((time, i) => assert.ok(time - start >= (delays[i] ?? 0)));
      assert.equal(deadlines.size, 0);
    }),
    { numRuns: 5 },
  );
});
