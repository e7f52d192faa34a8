import assert from "node:assert/strict";
import { EndedLines } from "../edge/ended_lines.ts";
import type { ConnectionEnd, RequestEnd } from "../edge/engine.ts";
import { type EventSpec, LOG_EVENTS } from "./log_events.ts";
import { Log } from "./log.ts";

const EVENTS: readonly (readonly [string, EventSpec])[] = Object.entries(LOG_EVENTS);

Deno.test("names of events and fields need no quotes, and no field has the name of a common one", () => {
  for (const [name, { fields }] of EVENTS) {
    for (const each of [name, ...Object.keys(fields)]) assert.match(each, /^[a-z][a-z0-9_]*$/);
    for (const common of ["time", "level", "event"]) assert.ok(!(common in fields), `${name} ${common}`);
  }
});

Deno.test("every warning and error says what to do about it, and nothing else does", () => {
  for (const [name, { level, remedy }] of EVENTS) {
    assert.equal(remedy !== undefined, level === "warn" || level === "error", name);
  }
});

Deno.test("an event has a message of its own or in its fields, not both", () => {
  for (const [name, { message, fields }] of EVENTS) assert.ok(message === undefined || !("message" in fields), name);
});

Deno.test("only the events that there are can be logged, at their level and with their fields", async () => {
  const log = new Log("info", "text", { write: ({ length }) => Promise.resolve(length) });
  // The compiler has to refuse each of these.
  const wrong = (): void => {
    // @ts-expect-error -- there is no such event
    log.info("something_new", {});
    // @ts-expect-error -- engines write its lines
    log.info("connection", { listener: ":443", client: "a", bytes_in: 0, bytes_out: 0, duration_ms: 0, end: "closed" });
    // @ts-expect-error -- it is an error
    log.info("accept_failed", { listener: ":443", reason: "EMFILE" });
    // @ts-expect-error -- the reason is missing
    log.error("accept_failed", { listener: ":443" });
    // @ts-expect-error -- a number
    log.warn("drain_timeout", { connections: "3" });
    // @ts-expect-error -- there is no such field
    log.warn("drain_timeout", { connections: 3, colour: "red" });
  };
  assert.equal(typeof wrong, "function");
  await log.flush();
});

Deno.test("the lines that engines write have the fields that there are, in their order, and their level", () => {
  const common = { listener: ":443", client: "192.0.2.1:1", route: "*", bytesIn: 1, bytesOut: 2, durationMs: 3 };
  const connection: ConnectionEnd = {
    ...common,
    serverName: "a.test",
    backend: "b.test:443",
    end: "backend_reset",
    detail: "ECONNRESET",
    http: { protocol: "h2", requests: 4 },
  };
  const request: RequestEnd = {
    ...common,
    requestId: "id",
    protocol: "h2",
    method: "GET",
    host: "a.test",
    path: "/",
    userAgent: "test/1",
    status: 502,
    grpcStatus: 14,
    backendMs: 5,
    error: "ECONNRESET",
  };
  const lines = new EndedLines("json");
  lines.connectionEnded(connection);
  lines.requestEnded(request);
  const written = new TextDecoder().decode(lines.take().bytes).trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const [i, name] of (["connection", "request"] as const).entries()) {
    const { time: _, level, event, ...fields } = written[i];
    const spec: EventSpec = LOG_EVENTS[name];
    assert.deepEqual([level, event], [spec.level, name]);
    assert.deepEqual(Object.keys(fields), Object.keys(spec.fields));
    for (const [key, value] of Object.entries(fields)) {
      assert.equal(typeof value, spec.fields[key]?.type === "text" ? "string" : "number", `${name} ${key}`);
    }
  }
});
