import assert from "node:assert/strict";
import type { ConnectionEnd } from "../engine.ts";
import { type LinesReport, Reports } from "./reports.ts";

const END: ConnectionEnd = {
  listener: ":443",
  client: "192.0.2.1:1",
  serverName: "a.test",
  route: undefined,
  backend: undefined,
  bytesIn: 0,
  bytesOut: 0,
  durationMs: 0,
  end: "closed",
  detail: undefined,
};

/** Reports with a clock that is set, and what came of them. */
class Rig {
  now = 0;
  readonly reported: LinesReport[] = [];
  readonly reports = new Reports(
    { logFormat: "text", logPriorities: false },
    (report) => this.reported.push(report),
    () => this.now,
  );

  end(bytesIn: number, detail?: string): void {
    this.reports.connectionEnded({ ...END, bytesIn, detail });
  }

  get counts(): number[] {
    return this.reported.map(({ lines }) => lines.count);
  }

  /** The `bytes_in` of every line that was reported, in order. */
  get order(): number[] {
    const text = this.reported.map(({ lines }) => new TextDecoder().decode(lines.bytes)).join("");
    return text.split("\n").slice(0, -1).map((line) => Number(/ bytes_in=(\d+) /.exec(line)?.[1]));
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("so many lines are passed on at once, in the order of their ends; the rest when it is flushed", () => {
  const rig = new Rig();
  for (const i of upTo(600)) rig.end(i);
  assert.deepEqual(rig.counts, [256, 256]);
  rig.reports.flush();
  rig.reports.flush();
  assert.deepEqual(rig.counts, [256, 256, 88]);
  assert.deepEqual(rig.order, upTo(600));
});

Deno.test("few lines are passed on after 20 ms, and the worker waits no longer for events until then", () => {
  const rig = new Rig();
  assert.equal(rig.reports.patienceMs, -1);
  rig.end(0);
  assert.equal(rig.reports.patienceMs, 20);
  rig.now = 19;
  rig.end(1);
  rig.reports.flushIfDue();
  assert.deepEqual(rig.counts, []);
  rig.now = 20;
  rig.reports.flushIfDue();
  assert.deepEqual(rig.counts, [2]);
  assert.equal(rig.reports.patienceMs, -1);
  rig.now = 100;
  rig.end(2);
  rig.reports.flushIfDue();
  assert.deepEqual(rig.counts, [2], "the time runs from the first line");
});

Deno.test("long lines are passed on before they are many", () => {
  const rig = new Rig();
  for (const i of upTo(20)) rig.end(i, "\u0001".repeat(10_000));
  assert.ok(rig.counts.every((count) => count <= 2), String(rig.counts));
  rig.reports.flush();
  assert.deepEqual(rig.order, upTo(20));
});

Deno.test("requests and connections keep their order", () => {
  const rig = new Rig();
  const { serverName: _, route: __, backend: ___, end: ____, detail: _____, ...common } = END;
  rig.end(0);
  rig.reports.requestEnded({
    ...common,
    bytesIn: 1,
    route: "*",
    requestId: "id",
    protocol: "h2",
    method: "GET",
    host: "a.test",
    path: "/",
    userAgent: undefined,
    status: 200,
    grpcStatus: undefined,
    backendMs: undefined,
    error: undefined,
  });
  rig.end(2);
  rig.reports.flush();
  assert.deepEqual(rig.order, [0, 1, 2]);
});
