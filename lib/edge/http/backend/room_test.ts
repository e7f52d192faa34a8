import assert from "node:assert/strict";
import { Deadlines } from "../../deadlines.ts";
import type { Turn, TurnTask } from "../turn.ts";
import { BackendRoom, LONG_MS, type Tenant, type Waiting } from "./room.ts";

class HandTurn implements Turn {
  now = 0;
  readonly deadlines = new Deadlines(0);
  readonly #tasks: TurnTask[] = [];

  atEnd(task: TurnTask): void {
    this.#tasks.push(task);
  }

  atNextEnd(task: TurnTask): void {
    this.#tasks.push(task);
  }

  /** @returns How many tasks there were. */
  end(): number {
    const tasks = this.#tasks.splice(0);
    for (const task of tasks) task.endTurn();
    return tasks.length;
  }
}

class Pool implements Waiting {
  told = 0;

  constructor(readonly whenTold = () => {}) {}

  roomMade(): void {
    this.told++;
    this.whenTold();
  }
}

class Connection implements Tenant {
  isIdle = false;
  /** When it was last taken up; `undefined`: it has room. */
  fullSince: number | undefined;
  closed = 0;

  constructor(readonly room: BackendRoom, readonly pool: Waiting) {
    assert.ok(room.take(pool));
    room.open(this);
  }

  isLong(now: number): boolean {
    return this.fullSince !== undefined && now - this.fullSince >= LONG_MS;
  }

  close(): void {
    this.closed++;
    this.room.left(this);
  }
}

Deno.test("connections have places up to the limit, those that are being dialled too", () => {
  const turn = new HandTurn();
  const room = new BackendRoom(2, turn);
  const pool = new Pool();
  const open = new Connection(room, pool);
  assert.ok(room.take(pool)); // is being dialled
  assert.equal(room.take(pool), false);
  assert.equal(room.taken, 2);
  room.failed();
  assert.equal(pool.told, 0, "at the end of the turn");
  turn.end();
  assert.equal(pool.told, 1);
  assert.ok(room.take(pool));
  room.left(open);
  room.left(open);
  assert.equal(room.taken, 1, "who leaves twice leaves once");
});

Deno.test("a pool that waits is told once, and others with it, whatever they do then", () => {
  const turn = new HandTurn();
  const room = new BackendRoom(1, turn);
  const first: Pool = new Pool(() => room.take(first));
  const second: Pool = new Pool(() => room.take(second));
  const connection = new Connection(room, new Pool());
  room.take(first);
  room.take(second);
  room.take(second);
  connection.close();
  room.changed();
  assert.equal(turn.end(), 1);
  assert.deepEqual([first.told, second.told, room.taken], [1, 1, 1]);
  assert.equal(turn.end(), 0, "nothing has changed since");
  room.failed();
  turn.end();
  assert.deepEqual([first.told, second.told], [1, 2], "only who found no place waits on");
});

Deno.test("a connection that another pool keeps for later gives way", () => {
  const room = new BackendRoom(2, new HandTurn());
  const busy = new Connection(room, new Pool());
  const idle = new Connection(room, new Pool());
  idle.isIdle = true;
  assert.ok(room.take(new Pool()));
  assert.deepEqual([busy.closed, idle.closed, room.taken], [0, 1, 2]);
  assert.equal(room.take(new Pool()), false);
});

Deno.test("connections that are taken up for long leave their places to others, up to as many again", () => {
  const turn = new HandTurn();
  const room = new BackendRoom(2, turn);
  const pool = new Pool();
  const connections = [new Connection(room, pool), new Connection(room, pool)];
  for (const connection of connections) connection.fullSince = 0;
  turn.now = LONG_MS - 1;
  assert.equal(room.take(pool), false);
  turn.now = LONG_MS;
  const more = [new Connection(room, pool), new Connection(room, pool)];
  assert.equal(room.take(pool), false, "those that are not carry requests of less");
  for (const connection of more) connection.fullSince = turn.now;
  turn.now += LONG_MS;
  assert.equal(room.take(pool), false, "there is an end to it");
  assert.equal(room.taken, 4);
});

Deno.test("a client has half of what the connections carry", () => {
  const turn = new HandTurn();
  const room = new BackendRoom(3, turn);
  const share = room.shareOf("192.0.2.1");
  assert.equal(room.shareOf("192.0.2.1"), share);
  assert.notEqual(room.shareOf("192.0.2.2"), share);
  share.held = 1;
  assert.ok(room.allows(share, 1));
  share.held = 2;
  assert.equal(room.allows(share, 1), false);
  assert.ok(room.allows(share, 100));
  const pool = new Pool();
  share.waiting = 1;
  room.waitFor(pool);
  room.release(share);
  turn.end();
  assert.equal(pool.told, 1);
  share.waiting = 0;
  room.release(share);
  assert.equal(room.shareOf("192.0.2.1").held, 0);
  assert.notEqual(room.shareOf("192.0.2.1"), share, "what has nothing is forgotten");
});

Deno.test("requests that wait are counted for whom they can be sent", () => {
  const room = new BackendRoom(4, new HandTurn());
  const [a, b] = [room.shareOf("a"), room.shareOf("b")];
  const waiting = [a, a, b, a, a].map((share) => ({ share }));
  assert.equal(room.sendable(waiting, 1), 3);
  a.held = 1;
  assert.equal(room.sendable(waiting, 1), 2);
  assert.equal(room.sendable(waiting, 1), 2, "the second time, too");
  a.held = 2;
  assert.equal(room.sendable(waiting, 1), 1);
  assert.equal(room.sendable(waiting, 100), 5);
});

Deno.test("a limit of one is one", () => {
  const room = new BackendRoom(1, new HandTurn());
  assert.ok(room.allows(room.shareOf("a"), 1));
  assert.ok(room.take(new Pool()));
  assert.equal(room.take(new Pool()), false);
});
