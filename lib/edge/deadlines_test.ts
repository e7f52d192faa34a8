import assert from "node:assert/strict";
import fc from "fast-check";
import { Deadlines, type Expirable } from "./deadlines.ts";

class Entry implements Expirable {
  deadline = 0;
  slot = -1;
  readonly expiredAt: number[] = [];

  constructor(readonly deadlines: Deadlines) {}

  expire(): void {
    this.expiredAt.push(this.deadlines.now);
  }
}

Deno.test("an entry expires at the first advance at or after its time that ends a tick", () => {
  const deadlines = new Deadlines(1000, 10);
  const entry = new Entry(deadlines);
  deadlines.set(entry, 25);
  for (const now of [1024, 1029]) deadlines.advance(now);
  assert.deepEqual(entry.expiredAt, []);
  deadlines.advance(1030);
  deadlines.advance(5000);
  assert.deepEqual(entry.expiredAt, [1030]);
});

Deno.test("a pause longer than the wheel expires all that is due and nothing else", () => {
  const deadlines = new Deadlines(0, 1);
  const [due, later] = [new Entry(deadlines), new Entry(deadlines)];
  deadlines.set(due, 700);
  deadlines.set(later, 100_000);
  deadlines.advance(50_000);
  assert.deepEqual([due.expiredAt, later.expiredAt], [[50_000], []]);
  deadlines.advance(100_000);
  assert.deepEqual(later.expiredAt, [100_000]);
});

Deno.test("any sequence of sets, extensions, clears and advances expires each entry in its time", () => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom("set", "extend", "clear", "advance"), fc.nat(4), fc.integer({ min: 0, max: 3000 })),
    { maxLength: 60 },
  );
  fc.assert(fc.property(steps, (steps) => {
    const deadlines = new Deadlines(0, 7);
    const entries = Array.from({ length: 5 }, () => new Entry(deadlines));
    const due: (number | undefined)[] = entries.map(() => undefined);
    let now = 0;
    for (const [step, i, ms] of steps) {
      const entry = entries[i];
      const before = due[i];
      if (entry === undefined) continue;
      if (step === "set") {
        deadlines.set(entry, ms);
        due[i] = now + ms;
      } else if (step === "extend" && before !== undefined) {
        deadlines.extend(entry, ms);
        due[i] = Math.max(before, now + ms);
      } else if (step === "clear") {
        deadlines.clear(entry);
        due[i] = undefined;
      } else if (step === "advance") {
        now += ms;
        deadlines.advance(now);
        for (const [j, time] of due.entries()) {
          const expired = (entries[j]?.expiredAt.splice(0).length ?? 0) > 0;
          if (time === undefined || time > now) assert.equal(expired, false, "too early, or cleared");
          else if (expired) due[j] = undefined;
          else assert.ok(time > now - 7, "more than a tick too late");
        }
      }
    }
    assert.equal(deadlines.size, due.filter((time) => time !== undefined).length);
  }));
});
