import assert from "node:assert/strict";
import fc from "fast-check";
import { BufferPool } from "../buffer_pool.ts";
import { Backlog } from "./backlog.ts";

Deno.test("what was written leaves in order, whatever is sent at a time", () => {
  const part = fc.record({ length: fc.nat(300_000), sent: fc.nat(200_000) });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const backlog = new Backlog(new BufferPool());
      let written = 0;
      let read = 0;
      const check = (most: number) => {
        const { first } = backlog;
        const count = Math.min(most, first.length);
        for (let i = 0; i < count; i += 997) assert.equal(first[i], (read + i) % 251);
        backlog.drop(count);
        read += count;
        assert.equal(backlog.length, written - read);
      };
      for (const { length, sent } of parts) {
        backlog.push(Uint8Array.from({ length }, (_, i) => (written + i) % 251));
        written += length;
        check(sent);
      }
      while (backlog.length > 0) check(Infinity);
      assert.equal(read, written);
      assert.equal(backlog.first.length, 0);
    }),
    { numRuns: 50 },
  );
});

Deno.test("what is offered again begins with what was offered before", () => {
  const backlog = new Backlog(new BufferPool());
  backlog.push(Uint8Array.of(1, 2, 3));
  assert.deepEqual([...backlog.first], [1, 2, 3]);
  backlog.push(Uint8Array.of(4));
  assert.deepEqual([...backlog.first], [1, 2, 3, 4]);
});

Deno.test("buffers go back to the pool, and are used again", () => {
  const pool = new BufferPool();
  const one = new Backlog(pool);
  one.push(new Uint8Array(10));
  const { buffer } = one.first;
  one.drop(10);
  const two = new Backlog(pool);
  two.push(new Uint8Array(20));
  assert.equal(two.first.buffer, buffer);
  two.clear();
  assert.equal(pool.take(1).buffer, buffer);
});
