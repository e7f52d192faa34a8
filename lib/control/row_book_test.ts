import assert from "node:assert/strict";
import fc from "fast-check";
import { RowBook } from "./row_book.ts";

const REST_MS = 1_000;

/** A book of `maxRows` rows, and what it did with them. */
function open(maxRows: number) {
  const clock = { now: 0 };
  const cleared: number[] = [];
  const reserved: number[] = [];
  const book = new RowBook({
    maxRows,
    restMs: REST_MS,
    now: () => clock.now,
    reserve: (row) => reserved.push(row),
    clear: (row) => cleared.push(row),
  });
  return { book, clock, cleared, reserved };
}

Deno.test("a name that goes and returns has its row again, and its counts go on", () => {
  const { book, clock, cleared } = open(10);
  book.use("a");
  book.release("a");
  book.use("b");
  clock.now += 10 * REST_MS;
  book.use("a");
  assert.deepEqual([book.row("a"), book.row("b"), cleared], [1, 2, []]);
});

Deno.test("a row goes to another name only after its rest, the one that has rested longest first", () => {
  const { book, clock, cleared, reserved } = open(10);
  for (const name of ["a", "b"]) book.use(name);
  book.release("b");
  clock.now += 1;
  book.release("a");
  clock.now += REST_MS - 2;
  book.use("c");
  assert.deepEqual([book.row("c"), cleared], [3, []]);
  clock.now += 1;
  book.use("d");
  assert.deepEqual([book.row("d"), cleared], [2, [2]]);
  assert.deepEqual([book.row("b"), reserved], [0, [0, 1, 2, 3]]);
});

Deno.test("a name with several users keeps its row until the last one goes", () => {
  const { book } = open(10);
  book.use("a");
  book.use("a");
  book.release("a");
  assert.deepEqual([...book.names()], [["a", 1]]);
  book.release("a");
  assert.deepEqual([...book.names()], []);
});

Deno.test("names for which there is no row share the first one", () => {
  const { book } = open(2);
  for (const name of ["a", "b", "c", "c"]) book.use(name);
  assert.deepEqual([book.row("b"), book.row("c"), book.sharing], [0, 0, 3]);
  assert.deepEqual([...book.names()], [["a", 1]]);
  for (const name of ["b", "c", "c", "c"]) book.release(name);
  assert.equal(book.sharing, 0);
});

Deno.test("whatever comes and goes, no two names have one row, and a row changes hands only when cleared", () => {
  const step = fc.record({ use: fc.boolean(), name: fc.constantFrom(..."abcdefgh"), ms: fc.nat(REST_MS) });
  fc.assert(fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
    const { book, clock, cleared } = open(5);
    const users = new Map<string, number>();
    const owners = new Map<number, string>();
    for (const { use, name, ms } of steps) {
      clock.now += ms;
      const wasCleared = cleared.length;
      if (use) book.use(name);
      else book.release(name);
      users.set(name, Math.max(0, (users.get(name) ?? 0) + (use ? 1 : -1)));
      for (const [owner, row] of book.names()) {
        if (owners.get(row) !== undefined && owners.get(row) !== owner) {
          assert.ok(cleared.slice(wasCleared).includes(row));
        }
        owners.set(row, owner);
      }
      const living = [...users].filter(([, count]) => count > 0).map(([owner]) => owner);
      const named = [...book.names()].map(([owner]) => owner);
      assert.equal(new Set([...book.names()].map(([, row]) => row)).size, named.length);
      const sharing = living.filter((owner) => book.row(owner) === 0);
      assert.deepEqual(new Set([...named, ...sharing]), new Set(living));
      assert.equal(book.sharing, sharing.reduce((sum, owner) => sum + (users.get(owner) ?? 0), 0));
    }
  }));
});
