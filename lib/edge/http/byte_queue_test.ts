import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteQueue } from "./byte_queue.ts";

Deno.test("what is pushed in any pieces comes out in order, in any pieces", () => {
  const step = fc.oneof(
    fc.record({ push: fc.uint8Array({ maxLength: 600 }) }),
    fc.record({ drop: fc.double({ min: 0, max: 1, noNaN: true }) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const queue = new ByteQueue();
    let expected: number[] = [];
    for (const step of steps) {
      if ("push" in step) {
        queue.push(step.push);
        expected.push(...step.push);
      } else {
        const { first } = queue;
        assert.deepEqual([...first], expected.slice(0, first.length));
        assert.equal(first.length > 0, expected.length > 0);
        const count = Math.floor(step.drop * first.length);
        queue.drop(count);
        expected = expected.slice(count);
      }
      assert.equal(queue.length, expected.length);
    }
  }));
});

Deno.test("pieces of one octet cost about what they hold", () => {
  const queue = new ByteQueue();
  for (let i = 0; i < 100_000; i++) queue.push(Uint8Array.of(i));
  assert.ok(queue.capacity < 100_000 + 16 * 1024, `${queue.capacity}`);
});

Deno.test("what was dropped is not kept", () => {
  const queue = new ByteQueue();
  for (let i = 0; i < 1000; i++) {
    queue.push(new Uint8Array(5000));
    while (queue.length > 1000) queue.drop(Math.min(queue.first.length, queue.length - 1000));
  }
  assert.ok(queue.capacity < 64 * 1024, `${queue.capacity}`);
});
