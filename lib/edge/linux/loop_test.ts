import assert from "node:assert/strict";
import { EPOLLET, EPOLLIN, EPOLLOUT, Libc } from "./libc.ts";
import { type Handler, Loop } from "./loop.ts";

function linuxTest(name: string, fn: () => void): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

/** So high that no other thread of this process is given it: the kernel gives the lowest number that is free, open(2). */
const FAR = 900;
const F_DUPFD = 0;

const SYMBOLS = {
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** An eventfd with a number that is far from all others, or with the one that is given. */
function farEventfd(libc: Libc, number?: number): number {
  using c = openLibc();
  const { fcntl, dup2 } = c.symbols;
  const near = libc.eventfd();
  const far = number === undefined ? fcntl(near, F_DUPFD, FAR) : dup2(near, number);
  libc.close(near);
  assert.ok(far >= FAR);
  return far;
}

function openLibc(): { readonly symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] } & Disposable {
  const library = Deno.dlopen("libc.so.6", SYMBOLS);
  return { symbols: library.symbols, [Symbol.dispose]: () => library.close() };
}

function handler(fd: number, onEvent: (events: number) => void = () => {}): Handler & { events: number[] } {
  const events: number[] = [];
  return {
    fd,
    generation: 0,
    events,
    onEvent(bits) {
      events.push(bits);
      onEvent(bits);
    },
  };
}

linuxTest("events reach whoever owns the descriptor", () => {
  const libc = new Libc();
  const loop = new Loop(libc);
  const [quiet, awake] = [handler(libc.eventfd()), handler(libc.eventfd())];
  for (const each of [quiet, awake]) assert.equal(loop.add(each, EPOLLIN), true);
  libc.wake(awake.fd);
  libc.wake(awake.fd);
  loop.dispatch(loop.wait(0));
  assert.deepEqual([quiet.events, awake.events], [[], [EPOLLIN]]);
  assert.equal(libc.takeWakes(awake.fd), 2);
  assert.equal(libc.takeWakes(awake.fd), 0);
  assert.equal(loop.wait(0), 0);
  for (const fd of [quiet.fd, awake.fd, loop.fd]) libc.close(fd);
});

linuxTest("an event for the old owner of a descriptor number never reaches the new one", () => {
  const libc = new Libc();
  const loop = new Loop(libc);
  const old = [farEventfd(libc), farEventfd(libc)];
  const heirs: ReturnType<typeof handler>[] = [];
  // Whichever of the two is told first closes both; the numbers are given anew within the same round of events.
  const owners = old.map((fd) =>
    handler(fd, () => {
      for (const owner of owners) {
        loop.forget(owner);
        libc.close(owner.fd);
      }
      for (const fd of old) {
        const heir = handler(farEventfd(libc, fd));
        loop.add(heir, EPOLLIN);
        heirs.push(heir);
      }
    })
  );
  for (const owner of owners) {
    loop.add(owner, EPOLLIN);
    libc.wake(owner.fd);
  }
  assert.equal(loop.wait(0), 2);
  loop.dispatch(2);
  assert.deepEqual(heirs.map(({ fd }) => fd), old);
  assert.equal(owners.reduce((sum, { events }) => sum + events.length, 0), 1);
  assert.deepEqual(heirs.map(({ events }) => events), [[], []]);
  for (const { fd } of [...heirs, loop]) libc.close(fd);
});

linuxTest("an edge is told once", () => {
  const libc = new Libc();
  const loop = new Loop(libc);
  const edge = handler(libc.eventfd());
  loop.add(edge, (EPOLLIN | EPOLLOUT | EPOLLET) >>> 0);
  loop.dispatch(loop.wait(0));
  assert.deepEqual(edge.events, [EPOLLOUT]);
  assert.equal(loop.wait(0), 0);
  libc.wake(edge.fd);
  loop.dispatch(loop.wait(0));
  assert.deepEqual(edge.events, [EPOLLOUT, EPOLLIN | EPOLLOUT]);
  for (const fd of [edge.fd, loop.fd]) libc.close(fd);
});

linuxTest("a descriptor that was taken out tells nothing, and one that is none is refused", () => {
  const libc = new Libc();
  const loop = new Loop(libc);
  const removed = handler(libc.eventfd());
  loop.add(removed, EPOLLIN);
  assert.deepEqual(loop.handlers(), [removed]);
  loop.remove(removed);
  libc.wake(removed.fd);
  assert.equal(loop.wait(0), 0);
  assert.deepEqual(loop.handlers(), []);
  libc.close(removed.fd);
  assert.equal(loop.add(handler(-1), EPOLLIN), false);
  libc.close(loop.fd);
});
