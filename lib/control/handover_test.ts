import assert from "node:assert/strict";
import { newTicketKey } from "../edge/ticket_key.ts";
import { Handover, type HandoverRequest } from "./handover.ts";
import { Refusal } from "./refusal.ts";
import type { StopOptions } from "./supervisor.ts";

const TICKET_KEYS = { keys: [newTicketKey()], rotateMs: 1_000 };
const LISTENER = { addr: ":443", boundAddr: "[::]:443" };

/** A handover with everything around it, which writes down what is done to it. */
class Stage implements Disposable {
  readonly done: string[] = [];
  readonly left: StopOptions[] = [];
  readonly database = Deno.makeTempFileSync({ prefix: "mc-proxy-", suffix: ".db" });
  readonly ending = new AbortController();
  readonly status = { draining: false };
  /** How often the lock cannot be had yet. */
  held = 0;
  /** What goes wrong as it is taken. */
  fault: Error | undefined;
  readonly handover: Handover;

  constructor(timeoutMs = 60_000) {
    const write = (event: string) => void this.done.push(event);
    this.handover = new Handover({
      administration: {
        suspend: (reason) => Promise.resolve(write(`suspend: ${reason}`)),
        resume: () => write("resume"),
        status: this.status as never,
      },
      supervisor: {
        passListeners: (path) => {
          write(`pass to ${path}`);
          return new Map([[LISTENER.addr, 2]]);
        },
        handTicketKeys: () => TICKET_KEYS,
        status: { listeners: [LISTENER] } as never,
      },
      lock: {
        release: () => write("release"),
        retake: () => {
          if (this.fault !== undefined) throw this.fault;
          if (this.held-- > 0) return false;
          write("retake");
          return true;
        },
      },
      database: this.database,
      log: { info: write, warn: write, error: write },
      timeoutMs,
      metrics: () => undefined,
      restoreSocket: () => Promise.resolve(write("restore")),
      leave: (options) => void this.left.push(options),
    });
  }

  begin(change: Partial<HandoverRequest> = {}) {
    const request = { pid: 7, version: "2", database: this.database, descriptorsPath: "/run/d", ...change };
    return this.handover.begin(request, this.ending.signal);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.database);
  }
}

const BEGUN = [
  "handing_over",
  "suspend: the server is being handed over to process 7; try again in a moment",
  "release",
  "pass to /run/d",
];
const UNDONE = ["handover_failed", "retake", "restore", "resume", "carrying_on"];

async function first(offers: ReturnType<Stage["begin"]>) {
  const { value } = await offers.next();
  assert.ok(value, "an offer");
  return value;
}

function refusal(kind: string, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof Refusal, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, message);
    return true;
  };
}

Deno.test("what is finished is told to leave, once", async () => {
  using stage = new Stage();
  const offers = stage.begin();
  const { token, listeners, pid } = await first(offers);
  assert.deepEqual([listeners, pid], [[{ ...LISTENER, sockets: 2 }], Deno.pid]);
  assert.deepEqual(stage.done, BEGUN);
  assert.throws(() => stage.handover.finish({ token: "x", drainMs: 0 }), refusal("invalid", /^token: is not that of/));
  stage.handover.finish({ token, drainMs: 0 });
  assert.deepEqual(stage.left, [{ takesQueued: false }]);
  assert.throws(() => stage.handover.finish({ token, drainMs: 0 }), refusal("invalid", /^token: is not that of/));
  assert.deepEqual(await offers.next(), { done: true, value: undefined });
  await assert.rejects(stage.begin().next(), refusal("unavailable", /^the server is shutting down$/));
  assert.deepEqual(stage.done, [...BEGUN, "handed_over"]);
});

Deno.test("without descriptors, what waits in the queues is taken; the time to drain is passed on", async () => {
  using stage = new Stage();
  const { token, listeners } = await first(stage.begin({ descriptorsPath: "" }));
  assert.deepEqual(listeners, [{ ...LISTENER, sockets: 0 }]);
  stage.handover.finish({ token, drainMs: 5000 });
  assert.deepEqual(stage.left, [{ takesQueued: true, timeoutMs: 5000 }]);
});

Deno.test("when the new process goes away, all is as before as soon as the database is free, and another may begin", async () => {
  using stage = new Stage();
  const offers = stage.begin();
  const { token } = await first(offers);
  await assert.rejects(stage.begin({ pid: 8 }).next(), refusal("precondition", /^process 7 is taking over already/));
  stage.held = 2;
  stage.ending.abort();
  assert.deepEqual(await offers.next(), { done: true, value: undefined });
  assert.throws(() => stage.handover.finish({ token, drainMs: 0 }), refusal("invalid", /^token: /));
  // It waits until the one before is undone.
  const again = stage.handover.begin(
    { pid: 7, version: "2", database: stage.database, descriptorsPath: "/run/d" },
    new AbortController().signal,
  );
  await first(again);
  assert.deepEqual(stage.done, [...BEGUN, ...UNDONE, ...BEGUN]);
  await again.return();
});

Deno.test("a process that takes too long is told so, and cannot finish any more", async () => {
  using stage = new Stage(1);
  const offers = stage.begin();
  const { token } = await first(offers);
  await assert.rejects(offers.next(), refusal("precondition", /^the new process was not ready within 0\.001 s$/));
  assert.throws(() => stage.handover.finish({ token, drainMs: 0 }), refusal("invalid", /^token: /));
  assert.deepEqual(stage.done.slice(0, 5), [...BEGUN, "handover_failed"]);
});

Deno.test("while the program shuts down, or for another database, there is no handover", async () => {
  using stage = new Stage();
  for (const database of ["", "/nonexistent/x.db", "a\0b", Deno.execPath()]) {
    await assert.rejects(stage.begin({ database }).next(), refusal("precondition", /^database\.path is ".*"/));
  }
  const offers = stage.begin();
  await first(offers);
  stage.status.draining = true;
  stage.ending.abort();
  await assert.rejects(offers.next(), refusal("unavailable", /^the server is shutting down$/));
  await assert.rejects(stage.begin().next(), refusal("unavailable", /^the server is shutting down$/));
});

Deno.test("a fault on the way back to how it was is logged", async () => {
  using stage = new Stage();
  stage.fault = new Error("a fault");
  const offers = stage.handover.begin(
    { pid: 7, version: "2", database: stage.database, descriptorsPath: "" },
    stage.ending.signal,
  );
  await offers.next();
  stage.ending.abort();
  await offers.next();
  while (!stage.done.includes("internal_error")) await Promise.resolve();
  assert.ok(!stage.done.includes("resume"));
});
