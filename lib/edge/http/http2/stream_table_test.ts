import assert from "node:assert/strict";
import fc from "fast-check";
import { StreamTable } from "./stream_table.ts";

const ids = (table: StreamTable<{ readonly id: number }>) => table.values().map(({ id }) => id).sort((a, b) => a - b);

Deno.test("a stream table tells what a map tells, whichever numbers come and go", () => {
  const number = fc.oneof(
    fc.integer({ min: 1, max: 60 }),
    fc.integer({ min: 0, max: 40 }).map((n) => 1 + 2 * 1024 * n), // all of one place
    fc.constant(2 ** 31 - 1),
  );
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), number), { maxLength: 300 }), (steps) => {
    const table = new StreamTable<{ readonly id: number }>();
    const model = new Map<number, { readonly id: number }>();
    for (const [adds, id] of steps) {
      const present = model.get(id);
      if (adds && present === undefined) {
        const stream = { id };
        model.set(id, stream);
        table.add(stream);
      } else if (!adds && present !== undefined) {
        model.delete(id);
        table.delete(present);
      }
      assert.equal(table.get(id), model.get(id));
      assert.equal(table.size, model.size);
    }
    assert.deepEqual(ids(table), [...model.keys()].sort((a, b) => a - b));
  }));
});

Deno.test("a stream that is not in the table is not found, and taking it out changes nothing", () => {
  const table = new StreamTable<{ readonly id: number }>();
  assert.equal(table.get(1), undefined);
  table.delete({ id: 1 });
  table.add({ id: 3 });
  table.delete({ id: 3 + 2 * 16 }); // of the same place
  assert.equal(table.get(3 + 2 * 16), undefined);
  assert.deepEqual(ids(table), [3]);
});
