import assert from "node:assert/strict";
import fc from "fast-check";
import { type IpAddress, ipv4, parseIpAddress } from "../wire/ip_address.ts";
import { RateLimiter } from "./rate_limiter.ts";
import type { Allowed, Task } from "./testdata/rate_limiter_worker.ts";

function ipOf(text: string): IpAddress {
  const ip = parseIpAddress(text);
  assert.ok(ip, text);
  return ip;
}

/** One set of eight places, so that every source competes with every other. */
function limiterOf(limit: number): RateLimiter {
  return new RateLimiter({ limit, windowMs: 7000, capacity: 8, seed: 1 });
}

/** How many of `attempts` connections at once are allowed. */
function burst(limiter: RateLimiter, source: string, nowMs: number, attempts: number): number {
  return Array.from({ length: attempts }, () => limiter.allow(ipOf(source), nowMs)).filter(Boolean).length;
}

async function inThread(task: Task): Promise<Allowed> {
  const worker = new Worker(new URL("./testdata/rate_limiter_worker.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise<Allowed>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Allowed>) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(task);
    });
  } finally {
    worker.terminate();
  }
}

function gateOf(): Task["gate"] {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

Deno.test("a source may open as many connections as the limit says, and others still can", () => {
  const limiter = limiterOf(3);
  assert.equal(burst(limiter, "192.0.2.1", 500, 10), 3);
  assert.equal(burst(limiter, "192.0.2.2", 500, 10), 3);
});

Deno.test("a connection counts for the window and is forgotten within a slice after", () => {
  const limiter = limiterOf(1);
  assert.equal(limiter.allow(ipv4(192, 0, 2, 1), 999), true);
  assert.equal(limiter.allow(ipv4(192, 0, 2, 1), 7999), false);
  assert.equal(limiter.allow(ipv4(192, 0, 2, 1), 8000), true);
});

Deno.test("refused connections do not prolong the refusal", () => {
  const limiter = limiterOf(2);
  const source = ipv4(192, 0, 2, 1);
  const allowedAt: number[] = [];
  for (let now = 0; now < 17_000; now += 100) if (limiter.allow(source, now)) allowedAt.push(now);
  assert.deepEqual(allowedAt, [0, 100, 8000, 8100, 16_000, 16_100]);
});

Deno.test("an IPv6 source is its /64", () => {
  const limiter = limiterOf(2);
  assert.equal(burst(limiter, "2001:db8::1", 0, 1), 1);
  assert.equal(burst(limiter, "2001:db8::ffff:ffff:ffff:ffff", 0, 2), 1);
  assert.equal(burst(limiter, "2001:db8:0:1::1", 0, 2), 2);
});

Deno.test("an IPv4-mapped IPv6 address is the IPv4 source", () => {
  const limiter = limiterOf(1);
  assert.equal(burst(limiter, "192.0.2.1", 0, 1), 1);
  assert.equal(burst(limiter, "::ffff:192.0.2.1", 0, 1), 0);
});

Deno.test("an IPv4 source and an IPv6 source with the same bits are two", () => {
  const limiter = limiterOf(1);
  assert.equal(burst(limiter, "32.1.13.184", 0, 1), 1);
  assert.equal(burst(limiter, "2001:db8::", 0, 1), 1);
});

Deno.test("0.0.0.0 and :: are sources like any other", () => {
  const limiter = limiterOf(1);
  assert.equal(burst(limiter, "0.0.0.0", 0, 2), 1);
  assert.equal(burst(limiter, "::", 0, 2), 1);
});

Deno.test("a source at its limit stays there while a flood of others passes through the same places", () => {
  const limiter = limiterOf(5);
  assert.equal(burst(limiter, "192.0.2.1", 0, 5), 5);
  for (let n = 0; n < 10_000; n++) assert.equal(limiter.allow(ipv4(10, 0, n >> 8, n & 255), 1), true);
  assert.equal(burst(limiter, "192.0.2.1", 2, 1), 0);
});

Deno.test("an expired source gives way to a new one before any that counts", () => {
  const limiter = limiterOf(3);
  assert.equal(burst(limiter, "192.0.2.1", 0, 3), 3);
  for (let n = 2; n <= 8; n++) assert.equal(burst(limiter, `192.0.2.${n}`, 7000, 1), 1);
  assert.equal(burst(limiter, "192.0.2.9", 8000, 1), 1);
  for (let n = 2; n <= 9; n++) assert.equal(burst(limiter, `192.0.2.${n}`, 8000, 3), 2, `192.0.2.${n}`);
});

Deno.test("of the sources with the fewest connections the longest silent gives way", () => {
  const limiter = limiterOf(2);
  for (let n = 1; n <= 7; n++) burst(limiter, `192.0.2.${n}`, 1000 * (8 - n), n < 3 ? 2 : 1);
  assert.equal(burst(limiter, "192.0.2.8", 7000, 1), 1);
  assert.equal(burst(limiter, "192.0.2.9", 7000, 1), 1); // in the place of .7, silent since 1000
  for (const n of [1, 2]) assert.equal(burst(limiter, `192.0.2.${n}`, 7000, 2), 0);
  for (const n of [3, 4, 5, 6, 8, 9]) assert.equal(burst(limiter, `192.0.2.${n}`, 7000, 2), 1, `192.0.2.${n}`);
  assert.equal(burst(limiter, "192.0.2.7", 7000, 3), 2);
});

Deno.test("a clock that steps back a little grants nothing, and one that steps back far blocks nobody for long", () => {
  const limiter = limiterOf(2);
  const hour = 3_600_000;
  assert.equal(burst(limiter, "192.0.2.1", hour, 3), 2);
  assert.equal(burst(limiter, "192.0.2.1", hour - 6000, 3), 0);
  assert.equal(burst(limiter, "192.0.2.1", 0, 3), 2);
  assert.equal(burst(limiter, "192.0.2.1", 7999, 3), 0);
  assert.equal(burst(limiter, "192.0.2.1", 8000, 3), 2);
});

Deno.test("limiters over one buffer share one quota, and the seed of the first", () => {
  const size = RateLimiter.byteLength(1024);
  for (const buffer of [new ArrayBuffer(size), new SharedArrayBuffer(size)]) {
    const options = { limit: 3, windowMs: 1000, capacity: 1024, buffer };
    assert.equal(burst(new RateLimiter({ ...options, seed: 7 }), "192.0.2.1", 0, 2), 2);
    assert.equal(burst(new RateLimiter(options), "192.0.2.1", 0, 2), 1);
    assert.throws(() => new RateLimiter({ ...options, seed: 8 }), RangeError);
  }
});

Deno.test("threads that count the same sources at the same time allow each the limit, all in all", async () => {
  const limit = 50_000;
  const buffer = new SharedArrayBuffer(RateLimiter.byteLength(1024));
  const options = { limit, windowMs: 7000, capacity: 1024, buffer };
  const task = { sources: 3, attempts: 20_000, gate: gateOf(), threads: 4 };
  const allowed = await Promise.all([1, 2, 3, 4].map((owner) => inThread({ ...task, options: { ...options, owner } })));
  const totals = [0, 1, 2].map((source) => allowed.reduce((total, ofThread) => total + (ofThread[source] ?? 0), 0));
  assert.deepEqual(totals, [limit, limit, limit]);
});

Deno.test("a thread that waits for the lock of a dead one goes on once it is released", async () => {
  const buffer = new SharedArrayBuffer(RateLimiter.byteLength(8));
  const options = { limit: 2, windowMs: 7000, capacity: 8, buffer };
  const supervisor = new RateLimiter(options);
  const lock = new Uint32Array(buffer, 8 * 32, 1); // after the entries
  lock[0] = 2;
  const gate = gateOf();
  const allowed = inThread({ options: { ...options, owner: 3 }, sources: 1, attempts: 5, gate, threads: 1 });
  await Atomics.waitAsync(gate, 0, 0).value;
  assert.equal(supervisor.releaseLocksOf(1), 0);
  assert.equal(lock[0], 2);
  assert.equal(supervisor.releaseLocksOf(2), 1);
  assert.notEqual(lock[0], 2);
  assert.deepEqual(await allowed, [2]);
  assert.equal(lock[0], 0);
});

Deno.test("a limit of 65,535 connections in one instant is counted exactly", () => {
  assert.equal(burst(limiterOf(65_535), "192.0.2.1", 0, 65_540), 65_535);
});

Deno.test("sources are spread evenly over the places, whatever bits their addresses differ in", () => {
  const capacity = 4096;
  for (const sourceOf of [(n: number) => ipv4(10, 0, n >> 8, n & 255), (n: number) => ipv4(n >> 8, n & 255, 0, 1)]) {
    const limiter = new RateLimiter({ limit: 1, windowMs: 7000, capacity, seed: 99 });
    // An eighth full: hardly a set gets more than its eight, so every source is still known.
    for (let n = 0; n < capacity / 8; n++) assert.equal(limiter.allow(sourceOf(n), 0), true);
    for (let n = 0; n < capacity / 8; n++) assert.equal(limiter.allow(sourceOf(n), 0), false, `source ${n}`);
  }
});

Deno.test("options out of range are refused", () => {
  const refused: Partial<ConstructorParameters<typeof RateLimiter>[0]>[] = [
    { limit: 0 },
    { limit: 65_536 },
    { limit: 1.5 },
    { limit: NaN },
    { windowMs: 0 },
    { windowMs: 1.5 },
    { windowMs: Infinity },
    { capacity: 0 },
    { capacity: 4 },
    { capacity: 1000 },
    { capacity: NaN },
    { capacity: 16, buffer: new ArrayBuffer(RateLimiter.byteLength(16) - 1) },
    { owner: 0 },
    { owner: 1.5 },
    { owner: 2 ** 32 },
    { seed: 0 },
    { seed: -1 },
    { seed: 2 ** 32 },
  ];
  for (const options of refused) {
    assert.throws(() => new RateLimiter({ limit: 1, windowMs: 1000, capacity: 16, ...options }), RangeError);
  }
  assert.throws(() => limiterOf(1).releaseLocksOf(0), RangeError);
});

Deno.test("agrees with an exact log: never above the limit in a window, never refused once 8 slices are quiet", () => {
  const attempts = fc.array(fc.record({ pause: fc.double({ min: 0, max: 40, noNaN: true }), source: fc.nat(2) }), {
    minLength: 20,
    maxLength: 200,
  });
  const windowMs = fc.integer({ min: 1, max: 200 });
  const uptime = fc.constantFrom(0, 1e6, 1.7e12, 2 ** 31, 2 ** 32, 2 ** 34);
  fc.assert(
    fc.property(attempts, windowMs, uptime, fc.integer({ min: 1, max: 6 }), (attempts, windowMs, uptime, limit) => {
      const sliceMs = Math.ceil(windowMs / 7);
      const limiter = new RateLimiter({ limit, windowMs, capacity: 8 });
      const log: number[][] = [[], [], []];
      let now = Math.max(0, uptime * sliceMs - 100); // across the point where the slice number wraps, too
      for (const { pause, source } of attempts) {
        now += pause;
        const allowedAt = log[source] ?? [];
        if (limiter.allow(ipv4(10, 0, 0, source), now)) {
          allowedAt.push(now);
          assert.ok(allowedAt.filter((then) => then >= now - windowMs).length <= limit, "above the limit");
        } else {
          const counted = allowedAt.filter((then) => Math.floor(then) > Math.floor(now) - 8 * sliceMs);
          assert.ok(counted.length >= limit, "refused without reason");
        }
      }
    }),
    { numRuns: 2000 },
  );
});
