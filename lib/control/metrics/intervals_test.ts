import assert from "node:assert/strict";
import { intervals, orAborted } from "./intervals.ts";

Deno.test("whoever is busy misses the times that pass, and gets those after them where they were", async () => {
  const ending = new AbortController();
  const start = performance.now();
  let times = 0;
  for await (const _ of intervals(20, ending.signal)) {
    times++;
    const passed = performance.now() - start;
    if (passed > 200) break;
    while (performance.now() - start < 110) { /* busy for five intervals */ }
  }
  const all = 1 + Math.floor((performance.now() - start) / 20);
  assert.ok(times <= all - 4, `${times} of ${all}`);
});

Deno.test("a wait is over when it is aborted, before as within it", async () => {
  const ending = new AbortController();
  const times = intervals(3_600_000, ending.signal);
  await times.next();
  const next = times.next();
  ending.abort();
  assert.equal((await next).done, true);
  assert.equal((await intervals(3_600_000, ending.signal).next()).done, true);
  await orAborted(new Promise(() => {}), ending.signal);
});
