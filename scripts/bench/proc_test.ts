import assert from "node:assert/strict";
import { parseMachineTimes, parseMemory, parseProcessSeconds } from "./proc.ts";

Deno.test("the CPU time of a process is user and system time, whatever the program is called", () => {
  const rest = "S 1 640 640 0 -1 4194560 2178 0 3 0 1234 766 5 5 20 0 8 0 1157 0 0";
  assert.equal(parseProcessSeconds(`640 (haproxy) ${rest}\n`), 20);
  assert.equal(parseProcessSeconds(`640 (a) b (c ) ${rest}\n`), 20);
});

Deno.test("what is no process's stat is an error, not a time", () => {
  for (const text of ["", "640 (haproxy) S 1", "x"]) assert.throws(() => parseProcessSeconds(text), SyntaxError);
});

Deno.test("memory is the proportional and the resident set size, not one of their parts", () => {
  const rollup = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:    9000 kB\nPss:    4096 kB\nPss_Anon:  12 kB\n";
  assert.deepEqual(parseMemory(rollup), { proportional: 4096 * 1024, resident: 9000 * 1024 });
  assert.throws(() => parseMemory("Rss:  1 kB\nPss_Anon:  12 kB\n"), /no Pss/);
  assert.throws(() => parseMemory("Pss:  1 kB\n"), /no Rss/);
});

Deno.test("the machine's times are those of all CPUs together, guests counted once", () => {
  const stat = "cpu  1000 100 500 8000 200 10 90 100 700 70\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
  assert.deepEqual(parseMachineTimes(stat), { busy: 16, steal: 1, total: 100 });
  assert.throws(() => parseMachineTimes("cpu0 1 2 3\n"), SyntaxError);
});
