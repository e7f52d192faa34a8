import assert from "node:assert/strict";
import { newTicketKey, type TicketKey } from "../edge/ticket_key.ts";
import { type HandedTicketKeys, TicketKeyring } from "./ticket_keyring.ts";

const UNCHANGED = () => assert.fail("it was not time");

/** A keyring and the keys that it tells of, as they change. */
function keyring(rotationMs: number, handed?: HandedTicketKeys) {
  const told: (readonly TicketKey[])[] = [];
  let wanted = 0;
  const enough = Promise.withResolvers<void>();
  const changed = (keys: readonly TicketKey[]) => {
    told.push(keys);
    if (told.length === wanted) enough.resolve();
  };
  const ring = new TicketKeyring({ rotationMs, handed, changed });
  return {
    ring,
    told,
    /** Waits for so many changes, and ends the keyring. */
    async changes(count: number) {
      wanted = count;
      const alive = setTimeout(() => {}, 2 ** 30); // the keyring's own timer keeps nobody waiting
      if (told.length < count) await enough.promise;
      clearTimeout(alive);
      ring[Symbol.dispose]();
    },
  };
}

Deno.test("a new key takes the place of the first, the one before is still taken, and the one before that is not", async () => {
  const { ring, told, changes } = keyring(1);
  const [first] = ring.keys;
  assert.equal(ring.keys.length, 1);
  await changes(3);
  const [one, two, three] = told;
  assert.deepEqual(one?.slice(1), [first]);
  assert.deepEqual(two?.slice(1), one?.slice(0, 1));
  assert.deepEqual(three?.slice(1), two?.slice(0, 1));
  assert.equal(new Set(told.map(([key]) => String(key?.name))).size, told.length);
});

Deno.test("who takes over goes on with the keys, and makes the next when it is due", async () => {
  using before = new TicketKeyring({ changed: UNCHANGED });
  const handed = before.hand();
  assert.deepEqual(handed.keys, before.keys);
  assert.ok(handed.rotateMs > 11 * 3_600_000 && handed.rotateMs <= 12 * 3_600_000, `${handed.rotateMs} ms`);
  using after = new TicketKeyring({ handed, changed: UNCHANGED });
  assert.deepEqual(after.keys, handed.keys);
  assert.ok(after.hand().rotateMs <= handed.rotateMs);

  const { told, changes } = keyring(3_600_000, { keys: handed.keys, rotateMs: 0 });
  await changes(1);
  assert.deepEqual(told[0]?.slice(1), handed.keys);
});

Deno.test("who is handed no keys makes one, and who is handed many keeps two", () => {
  using none = new TicketKeyring({ handed: { keys: [], rotateMs: 0 }, changed: UNCHANGED });
  assert.equal(none.keys.length, 1);
  assert.ok(none.hand().rotateMs > 11 * 3_600_000);
  const keys = [newTicketKey(), newTicketKey(), newTicketKey()];
  using many = new TicketKeyring({ handed: { keys, rotateMs: 1_000_000_000 }, changed: UNCHANGED });
  assert.deepEqual(many.keys, keys.slice(0, 2));
  assert.ok(many.hand().rotateMs <= 12 * 3_600_000, "not later than a key of its own");
});
