import assert from "node:assert/strict";
import fc from "fast-check";
import { REJECT_REASONS } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import type { SuppressedLines } from "./engine.ts";
import { LINES_IN_FULL, Suppression, WINDOW_MS } from "./suppression.ts";

/** A suppression with a clock that the test turns. */
class Bench {
  now = 1_000;
  readonly deadlines = new Deadlines(this.now);
  readonly told: SuppressedLines[] = [];
  readonly suppression = new Suppression({
    deadlines: this.deadlines,
    now: () => this.now,
    report: (lines) => this.told.push(...lines),
  });

  advance(ms: number): void {
    this.now += ms;
    this.deadlines.advance(this.now);
  }

  /** How many of so many refusals are to be written. */
  refuse(count: number, route?: { readonly hostname: string; readonly backend: string | undefined }): number {
    let written = 0;
    for (let i = 0; i < count; i++) {
      const suppressed = this.suppression.refused(":443", "blocked_ip", route);
      if (suppressed === undefined) written++;
      else if (suppressed.wantsClient) suppressed.note(`192.0.2.7:${i}`);
    }
    return written;
  }

  get sums(): number[] {
    return this.told.map(({ lines }) => lines);
  }
}

Deno.test("what is within the measure is written, and no deadline waits", () => {
  const bench = new Bench();
  assert.equal(bench.refuse(LINES_IN_FULL), LINES_IN_FULL);
  assert.equal(bench.deadlines.size, 0);
  bench.suppression.flush();
  assert.deepEqual(bench.told, []);
});

Deno.test("what is beyond it is told once a window, also where the flood is over, and then nothing waits", () => {
  const bench = new Bench();
  assert.equal(bench.refuse(1_000), LINES_IN_FULL);
  bench.advance(WINDOW_MS - 100);
  assert.deepEqual(bench.sums, []);
  bench.advance(200);
  assert.deepEqual(bench.sums, [1_000 - LINES_IN_FULL]);
  assert.equal(bench.deadlines.size, 0);
  bench.advance(WINDOW_MS * 3);
  assert.equal(bench.refuse(LINES_IN_FULL + 1), LINES_IN_FULL);
  bench.advance(WINDOW_MS + 100);
  assert.deepEqual(bench.sums, [1_000 - LINES_IN_FULL, 1]);
});

Deno.test("the sum says when the first and the last was, and who the first, the tenth, the hundredth were", () => {
  const bench = new Bench();
  bench.refuse(LINES_IN_FULL);
  bench.advance(1_000);
  bench.refuse(150);
  bench.advance(2_000);
  bench.refuse(1);
  const before = Date.now();
  bench.suppression.flush();
  const [told] = bench.told;
  assert.ok(told !== undefined);
  const { firstAt, lastAt, clients, ...rest } = told;
  assert.equal(lastAt - firstAt, 2_000);
  assert.ok(lastAt >= before && lastAt <= Date.now());
  assert.deepEqual(clients, ["192.0.2.7:0", "192.0.2.7:9", "192.0.2.7:99"]);
  assert.deepEqual(rest, {
    of: "connection",
    listener: ":443",
    reason: "blocked_ip",
    route: undefined,
    backend: undefined,
    status: undefined,
    lines: 151,
  });
});

Deno.test("kinds are counted apart, and beyond a thousand routes by listener and reason alone", () => {
  const bench = new Bench();
  for (let i = 0; i < 2_000; i++) {
    bench.refuse(i < 1_000 ? LINES_IN_FULL + 1 : 1, { hostname: `h${i}.test`, backend: "b:1" });
  }
  bench.suppression.flush();
  const routes = bench.told.map(({ route }) => route);
  assert.equal(routes.filter((route) => route !== undefined).length, 1_000);
  assert.deepEqual(bench.told.find(({ route }) => route === undefined)?.lines, 1_000 - 24 - LINES_IN_FULL);
});

Deno.test("whatever is refused when, what is written and what is told make all of it", () => {
  const step = fc.record({
    reason: fc.constantFrom(...REJECT_REASONS),
    route: fc.constantFrom(undefined, "a.test", "*.b.test"),
    status: fc.constantFrom(undefined, 400, 431),
    count: fc.nat({ max: 300 }),
    ms: fc.nat({ max: 2 * WINDOW_MS }),
  });
  fc.assert(fc.property(fc.array(step), (steps) => {
    const bench = new Bench();
    let written = 0;
    let all = 0;
    for (const { reason, route, status, count, ms } of steps) {
      for (let i = 0; i < count; i++) {
        const suppressed = status === undefined
          ? bench.suppression.refused(":443", reason, route && { hostname: route, backend: undefined })
          : bench.suppression.malformed(":443", route ?? "*", status);
        if (suppressed === undefined) written++;
      }
      all += count;
      bench.advance(ms);
    }
    bench.suppression.flush();
    assert.equal(written + bench.sums.reduce((sum, lines) => sum + lines, 0), all);
    assert.equal(bench.deadlines.size, 0);
  }));
});
