import assert from "node:assert/strict";
import { AcceptLoop } from "./accept_loop.ts";
import { DescriptorReserve } from "./descriptor_reserve.ts";

const EMFILE = new Error("Too many open files (os error 24)");

interface FakeConn {
  readonly name: string;
  close(): void;
}

/** A listener whose `accept` gives what a test puts in, one after the other. */
class FakeListener {
  readonly #waiting: (FakeConn | Error)[] = [];
  #wanted = Promise.withResolvers<void>();
  isClosed = false;

  put(...what: readonly (FakeConn | Error)[]): void {
    this.#waiting.push(...what);
    this.#wanted.resolve();
  }

  async accept(): Promise<FakeConn> {
    while (this.#waiting.length === 0) {
      if (this.isClosed) throw new Deno.errors.BadResource("closed");
      this.#wanted = Promise.withResolvers();
      await this.#wanted.promise;
    }
    const next = this.#waiting.shift();
    if (next === undefined || next instanceof Error) throw next;
    return next;
  }

  close(): void {
    assert.ok(!this.isClosed, "closed twice");
    this.isClosed = true;
    this.#wanted.resolve();
  }
}

/** A loop over a fake listener: what it takes and tells, in order. */
function started(reserved: number, onTake: (conn: FakeConn) => void = () => {}) {
  const listener = new FakeListener();
  const reserve = new DescriptorReserve(reserved);
  const told: string[] = [];
  const taken = new Map<string, PromiseWithResolvers<void>>();
  const conn = (name: string): FakeConn => {
    taken.set(name, Promise.withResolvers());
    return { name, close: () => told.push(`closed ${name}`) };
  };
  const loop = new AcceptLoop<FakeConn>(listener, reserve, (accepted) => {
    told.push(accepted.name);
    taken.get(accepted.name)?.resolve();
    onTake(accepted);
  }, { acceptFailed: (reason) => told.push(reason), acceptRecovered: () => told.push("recovered") });
  return {
    loop,
    listener,
    reserve,
    told,
    conn,
    isTaken: (name: string) => taken.get(name)?.promise,
    async [Symbol.asyncDispose]() {
      await loop.close();
      reserve[Symbol.dispose]();
    },
  };
}

Deno.test("whatever the system refuses, the next connection is taken, and the refusal is told once", async () => {
  await using test = started(0);
  test.listener.put(EMFILE, EMFILE, test.conn("a"));
  await test.isTaken("a");
  assert.deepEqual(test.told, [EMFILE.message, "a"]);
  assert.equal(test.loop.problem, EMFILE.message, "until it has settled");
});

Deno.test("as long as there is a reserve, a refusal is none", async () => {
  await using test = started(2);
  test.listener.put(EMFILE, test.conn("a"), EMFILE, test.conn("b"));
  await test.isTaken("b");
  assert.deepEqual(test.told, ["a", "b"]);
  assert.equal(test.loop.problem, undefined);
});

Deno.test("a connection that cannot be served is closed, and the next one taken", async () => {
  await using test = started(0, ({ name }) => {
    if (name === "a") throw new Error("gone");
  });
  test.listener.put(test.conn("a"), test.conn("b"));
  await test.isTaken("b");
  assert.deepEqual(test.told, ["a", "closed a", "b"]);
});

Deno.test("a connection that its client reset in the queue is passed over", async () => {
  await using test = started(0);
  test.listener.put(new Deno.errors.NotConnected("reset"), test.conn("a"));
  await test.isTaken("a");
  assert.deepEqual(test.told, ["a"]);
});

Deno.test("it ends when it is closed, once or twice, even while accepting rests", async () => {
  const test = started(0);
  test.listener.put(EMFILE);
  while (test.told.length === 0) await Promise.resolve();
  await Promise.all([test.loop.close(), test.loop.close()]);
  assert.ok(test.listener.isClosed);
  test.reserve[Symbol.dispose]();
});
