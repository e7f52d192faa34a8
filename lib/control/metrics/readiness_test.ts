import assert from "node:assert/strict";
import { notReady } from "./readiness.ts";

const READY = {
  supervisor: { isAccepting: true, threads: { wanted: 2, up: 2 } },
  administration: {
    status: { draining: false, listeners: [{ addr: ":443", problem: undefined }] },
    isSuspended: false,
  },
  store: { writeProblem: undefined },
};

Deno.test("a program is ready when nothing stands against it", () => {
  assert.deepEqual(notReady(READY), []);
});

Deno.test("every reason is told", () => {
  assert.deepEqual(
    notReady({
      ...READY,
      supervisor: { isAccepting: true, threads: { wanted: 4, up: 3 } },
      administration: {
        status: {
          draining: false,
          listeners: [{ addr: ":443", problem: "in use" }, { addr: ":444", problem: undefined }],
        },
        isSuspended: false,
      },
      store: { writeProblem: "/x.db: the disk is full" },
    }),
    ["listener :443: not open: in use", "worker threads: 3 of 4 up", "database: /x.db: the disk is full"],
  );
});

Deno.test("until the listeners are open, that is the reason, and the database is left alone", () => {
  const store = {
    get writeProblem(): string {
      throw new Error("asked in the middle of the start");
    },
  };
  assert.deepEqual(notReady({ ...READY, supervisor: { isAccepting: false, threads: { wanted: 2, up: 0 } }, store }), [
    "listeners: not open yet",
  ]);
});

Deno.test("a program that shuts down is not ready, whatever else", () => {
  assert.deepEqual(
    notReady({ ...READY, administration: { status: { draining: true, listeners: [] }, isSuspended: false } }),
    [
      "shutting down",
    ],
  );
});

Deno.test("while the program is handed over, the database is left alone, and that is no reason", () => {
  const store = {
    get writeProblem(): string {
      throw new Error("asked while it is another's");
    },
  };
  const administration = { status: { draining: false, listeners: [] }, isSuspended: true };
  assert.deepEqual(notReady({ ...READY, administration, store }), []);
});
