import assert from "node:assert/strict";
import fc from "fast-check";
import { formatLine, MAX_VALUE } from "./log_line.ts";

const TIME = Date.parse("2026-01-31T09:30:00.000Z");

/** The fields of a line of JSON that are not its frame's. */
function fieldsOf(json: string): Record<string, unknown> {
  const { time: _, level: __, event: ___, message: ____, ...fields } = JSON.parse(json);
  return fields;
}

Deno.test("a line has time, level, event, fields and a message, in text and in JSON", () => {
  const fields = { listener: ":443", accepted: 3, bytes_in: 0.5, absent: undefined, name: "two words" };
  assert.equal(
    formatLine("text", TIME, "listener_closed", fields),
    '2026-01-31T09:30:00.000Z info listener_closed listener=:443 accepted=3 bytes_in=0.5 name="two words" ' +
      'message="the listener is closed"',
  );
  const json = formatLine("json", TIME, "listener_closed", fields);
  assert.deepEqual(Object.keys(JSON.parse(json)).slice(0, 3), ["time", "level", "event"]);
  assert.deepEqual(JSON.parse(json), {
    time: "2026-01-31T09:30:00.000Z",
    level: "info",
    event: "listener_closed",
    listener: ":443",
    accepted: 3,
    bytes_in: 0.5,
    name: "two words",
    message: "the listener is closed",
  });
});

Deno.test("an event that has its own message has no other", () => {
  const line = formatLine("json", TIME, "config", { file: "a.toml", key: "log", message: "is odd" });
  assert.equal(line.split('"message":').length, 2);
  assert.equal(JSON.parse(line).message, "is odd");
});

Deno.test("no value can break a line, forge a field or control a terminal; JSON gives it back whole", () => {
  const value = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom('a=1 b="', "\u001b[31m", "\u2028", "\u009b", "", '"', "\\", "\u007f", "\ud800"),
  );
  fc.assert(fc.property(value, (value) => {
    const text = formatLine("text", TIME, "connection", { value, next: 1 });
    assert.match(text, /^[\x20-\x7e]+$/);
    const quoted = text.slice("2026-01-31T09:30:00.000Z info connection value=".length, -" next=1".length);
    assert.equal(quoted.startsWith('"') ? JSON.parse(quoted) : quoted, value);
    const json = formatLine("json", TIME, "connection", { value });
    assert.match(json, /^[\x20-\x7e]+$/);
    assert.deepEqual(fieldsOf(json), { value });
  }));
});

Deno.test("every number is one that JSON has", () => {
  for (const n of [0, -1, 0.1, 1e300, 2 ** 53, NaN, Infinity, -Infinity]) {
    const line = formatLine("json", TIME, "connection", { n });
    assert.deepEqual(fieldsOf(line), { n: Number.isFinite(n) ? n : null });
  }
});

Deno.test("a value that is too long ends with an ellipsis, and no other does", () => {
  const whole = "x".repeat(MAX_VALUE);
  for (const [value, written] of [[whole, whole], [`${whole}y`, `${whole}…`]] as const) {
    assert.deepEqual(fieldsOf(formatLine("json", TIME, "connection", { value })), { value: written });
    const [, quoted = ""] = formatLine("text", TIME, "connection", { value }).split(" value=");
    assert.equal(quoted.startsWith('"') ? JSON.parse(quoted) : quoted, written);
  }
});

Deno.test("time is told to the millisecond, whatever was told before", () => {
  const time = fc.nat({ max: 4e12 });
  fc.assert(fc.property(fc.array(fc.oneof(time, fc.nat({ max: 2_000 }))), (times) => {
    for (const each of times) {
      assert.equal(JSON.parse(formatLine("json", each, "connection", {})).time, new Date(each).toISOString());
    }
  }));
});
