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

Deno.test("of the time that a thread was held up nothing counts: it turns once before anything expires", () => {
  const deadlines = new Deadlines(1000, 10);
  const [first, second] = [new Entry(deadlines), new Entry(deadlines)];
  deadlines.set(first, 1000);
  deadlines.set(second, 2000);
  deadlines.turnTo(1900);
  assert.equal(deadlines.remaining(first), 1000, "900 ms between two turns are not the peer's");
  deadlines.turnTo(1910);
  deadlines.turnTo(9000);
  assert.deepEqual([first.expiredAt, second.expiredAt, deadlines.now], [[], [], 9000]);
  assert.deepEqual([deadlines.remaining(first), deadlines.remaining(second)], [990, 1990]);
  let now = 9000;
  while (now < 9990) deadlines.turnTo(now += 110);
  assert.deepEqual([first.expiredAt, second.expiredAt], [[9990], []]);
  while (now < 10_990) deadlines.turnTo(now += 100);
  assert.deepEqual(second.expiredAt, [10_990]);
});

Deno.test("what is set and extended behind a late turn has its whole time, by the clock of that turn", () => {
  const deadlines = new Deadlines(0, 10);
  const [before, after] = [new Entry(deadlines), new Entry(deadlines)];
  deadlines.set(before, 100);
  deadlines.turnTo(5000);
  deadlines.set(after, 50);
  deadlines.extend(before, 200);
  deadlines.turnTo(5040);
  assert.deepEqual([before.expiredAt, after.expiredAt], [[], []]);
  deadlines.turnTo(5050);
  assert.deepEqual(after.expiredAt, [5050]);
  deadlines.turnTo(5200);
  assert.deepEqual(before.expiredAt, [5200]);
});

Deno.test("a pause in which nothing waits is none", () => {
  const deadlines = new Deadlines(0, 10);
  deadlines.turnTo(60_000);
  assert.equal(deadlines.time, 60_000);
});

Deno.test("a thread that is late each time still expires what is due", () => {
  const deadlines = new Deadlines(0, 10);
  const entry = new Entry(deadlines);
  deadlines.set(entry, 1000);
  let now = 0;
  for (let turns = 0; turns < 4; turns++) deadlines.turnTo(now += 3000);
  assert.deepEqual(entry.expiredAt, []);
  deadlines.turnTo(now += 3000);
  assert.deepEqual(entry.expiredAt, [now]);
});

Deno.test("between the stages of anything, in whatever turns, there is a turn in which the peer is heard", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 200 }), (gaps) => {
    const deadlines = new Deadlines(0, 50);
    const [first, second] = [new Entry(deadlines), new Entry(deadlines)];
    deadlines.set(first, 1000);
    deadlines.set(second, 1350); // more than 250 ms and a tick
    let now = 0;
    let isFirstOver = false;
    for (const gap of gaps) {
      deadlines.turnTo(now += gap);
      if (second.expiredAt.length > 0) assert.ok(isFirstOver, "both in one turn");
      isFirstOver = first.expiredAt.length > 0;
    }
  }));
});
