import assert from "node:assert/strict";
import { PoolTable } from "./pool_table.ts";

class FakePool {
  isIdle = true;
  isClosed = false;

  constructor(readonly name: string, readonly unused: () => void) {}

  close(): void {
    this.isClosed = true;
  }
}

const make = (name: string) => (unused: () => void) => new FakePool(name, unused);

function poolOf(table: PoolTable<FakePool>, name: string): FakePool {
  const pool = table.get(name, make(name));
  assert.ok(pool !== "full");
  return pool;
}

Deno.test("a name has one pool, until that is not used any more", () => {
  const table = new PoolTable<FakePool>(2);
  const first = poolOf(table, "a");
  assert.equal(poolOf(table, "a"), first);
  first.unused();
  assert.equal(table.size, 0);
  const second = poolOf(table, "a");
  assert.notEqual(second, first);
  first.unused();
  assert.equal(poolOf(table, "a"), second, "a pool that is gone takes no other with it");
});

Deno.test("ten thousand names leave as many pools as there is room for, those that were used last", () => {
  const table = new PoolTable<FakePool>(8);
  const pools = Array.from({ length: 10_000 }, (_, i) => poolOf(table, `n${i}`));
  assert.equal(table.size, 8);
  assert.deepEqual([...table].map(({ name }) => name), pools.slice(-8).map(({ name }) => name));
  assert.ok(pools.slice(0, -8).every(({ isClosed }) => isClosed));
});

Deno.test("a pool with a request gives way to no other", () => {
  const table = new PoolTable<FakePool>(2);
  const busy = poolOf(table, "a");
  busy.isIdle = false;
  const idle = poolOf(table, "b");
  const next = poolOf(table, "c");
  assert.deepEqual([busy.isClosed, idle.isClosed], [false, true]);
  next.isIdle = false;
  assert.equal(table.get("d", make("d")), "full");
  assert.equal(poolOf(table, "a"), busy);
});

Deno.test("the pools of one route are closed, and no others", () => {
  const table = new PoolTable<FakePool>(4);
  const [a, b] = [poolOf(table, "route1 a"), poolOf(table, "route2 a")];
  table.close("route1 ");
  assert.deepEqual([a.isClosed, b.isClosed, table.size], [true, false, 1]);
});
