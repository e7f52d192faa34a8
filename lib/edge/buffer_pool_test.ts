import assert from "node:assert/strict";
import { BufferPool } from "./buffer_pool.ts";

const KiB = 1024;

Deno.test("a buffer is as large as asked for, and the largest where more is asked for than there is", () => {
  const pool = new BufferPool();
  assert.deepEqual(
    [0, 4 * KiB, 4 * KiB + 1, 65 * KiB, 1024 * KiB].map((bytes) => pool.take(bytes).length / KiB),
    [4, 4, 16, 256, 256],
  );
});

Deno.test("a buffer that was given back is taken again", () => {
  const pool = new BufferPool();
  const buffer = pool.take();
  pool.give(buffer);
  assert.equal(pool.take(), buffer);
  assert.notEqual(pool.take(), buffer);
});

Deno.test("a full read gets a larger buffer, a small one a smaller, and what lies between the same", () => {
  const pool = new BufferPool();
  let buffer = pool.take();
  const sizes = [4, 16, 64, 256, 20, 3, 4, 1].map((kilobytes) => {
    buffer = pool.adapt(buffer, kilobytes * KiB);
    return buffer.length / KiB;
  });
  assert.deepEqual(sizes, [16, 64, 256, 256, 256, 64, 64, 16]);
  assert.equal(pool.adapt(pool.take(), 1).length, 4 * KiB);
});

Deno.test("no more than 8 MiB of a size are kept", () => {
  const pool = new BufferPool();
  const taken = new Set(Array.from({ length: 40 }, () => pool.take(256 * KiB)));
  for (const buffer of taken) pool.give(buffer);
  let again = 0;
  for (let i = 0; i < 40; i++) if (taken.has(pool.take(256 * KiB))) again++;
  assert.equal(again, 32);
});

Deno.test("a buffer that is none of the pool's sizes is not kept", () => {
  const pool = new BufferPool();
  pool.give(new Uint8Array(0));
  pool.give(new Uint8Array(5));
  assert.equal(pool.take().length, 4 * KiB);
});
