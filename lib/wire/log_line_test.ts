import assert from "node:assert/strict";
import fc from "fast-check";
import { type LogFormat, LogLineWriter, MAX_VALUE } from "./log_line.ts";
import { type Fields, stringLogLine } from "./testdata/string_log_line.ts";

const TIME = Date.parse("2026-01-31T09:30:00.000Z");
const FORMATS: readonly LogFormat[] = ["text", "json"];

const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

function write(writer: LogLineWriter, time: number, event: string, fields: Fields, message?: string): void {
  writer.begin(time, "info", event);
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === "string") writer.text(key, value);
    else writer.number(key, value);
  }
  writer.end(message);
}

/** One line, without its line feed. */
function line(format: LogFormat, time: number, fields: Fields, message?: string): string {
  const writer = new LogLineWriter(format);
  write(writer, time, "connection", fields, message);
  return text(writer.take().bytes).slice(0, -1);
}

/** The fields of a line of JSON that are not its frame's. */
function fieldsOf(json: string): Record<string, unknown> {
  const { time: _, level: __, event: ___, message: ____, ...fields } = JSON.parse(json);
  return fields;
}

const HOSTILE = ['a=1 b="', "\u001b[31m", "\u2028", "\u009b", "", '"', "\\", "\u007f", "\ud800", "\n", "é", "a\0"];
const anyText = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constantFrom(...HOSTILE));
const anyNumber = fc.oneof(
  fc.integer(),
  fc.maxSafeNat(),
  fc.double(),
  fc.constantFrom(0, -0, 9, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, NaN, Infinity, -Infinity),
);
const anyFields = fc.dictionary(
  fc.string({ unit: fc.constantFrom("a", "b", "_", "z"), minLength: 1, maxLength: 8 }),
  fc.oneof(anyText, anyNumber, fc.constant(undefined)),
);
const anyTime = fc.oneof(fc.nat({ max: 4e12 }), fc.nat({ max: 2_000 }));

Deno.test("a line has time, level, event, fields and a message, in text and in JSON", () => {
  const fields = { listener: ":443", accepted: 3, bytes_in: 0.5, absent: undefined, name: "two words" };
  assert.equal(
    line("text", TIME, fields, "the listener is closed"),
    '2026-01-31T09:30:00.000Z info connection listener=:443 accepted=3 bytes_in=0.5 name="two words" ' +
      'message="the listener is closed"',
  );
  const json = line("json", TIME, fields, "the listener is closed");
  assert.deepEqual(Object.keys(JSON.parse(json)).slice(0, 3), ["time", "level", "event"]);
  assert.deepEqual(JSON.parse(json), {
    time: "2026-01-31T09:30:00.000Z",
    level: "info",
    event: "connection",
    listener: ":443",
    accepted: 3,
    bytes_in: 0.5,
    name: "two words",
    message: "the listener is closed",
  });
});

Deno.test("for the journal, a line begins with the priority of its level, in text and in JSON", () => {
  for (const format of FORMATS) {
    for (const [level, prefix] of [["error", "<3>"], ["warn", "<4>"], ["info", "<6>"], ["debug", "<7>"]] as const) {
      const writer = new LogLineWriter(format, true);
      writer.begin(TIME, level, "event");
      writer.text("value", "<0>\n<0>");
      writer.end();
      const plain = stringLogLine(format, TIME, level, "event", { value: "<0>\n<0>" });
      assert.equal(text(writer.take().bytes), prefix + plain);
    }
  }
});

Deno.test("lines are byte for byte what they are from strings, one behind the other", () => {
  for (const format of FORMATS) {
    const writer = new LogLineWriter(format); // used again and again, as it is in the program
    const each = fc.tuple(anyTime, anyFields, fc.option(anyText, { nil: undefined }));
    fc.assert(fc.property(fc.array(each), (lines) => {
      for (const [time, fields, message] of lines) write(writer, time, "event", fields, message);
      const { bytes, count } = writer.take();
      const wanted = lines.map(([time, fields, message]) =>
        stringLogLine(format, time, "info", "event", fields, message)
      );
      assert.equal(text(bytes), wanted.join(""));
      assert.equal(count, lines.length);
    }));
  }
});

Deno.test("every character is written as it is from strings", () => {
  for (const format of FORMATS) {
    const writer = new LogLineWriter(format);
    let wanted = "";
    for (let code = 0; code <= 0xffff; code++) {
      const fields = { a: String.fromCharCode(code), b: `x${String.fromCharCode(code)}y` };
      write(writer, TIME, "connection", fields);
      wanted += stringLogLine(format, TIME, "info", "connection", fields);
    }
    assert.equal(text(writer.take().bytes), wanted);
  }
});

Deno.test("no value can break a line, forge a field or control a terminal; JSON gives it back whole", () => {
  fc.assert(fc.property(anyText, (value) => {
    const text = line("text", TIME, { value, next: 1 });
    assert.match(text, /^[\x20-\x7e]+$/);
    const quoted = text.slice("2026-01-31T09:30:00.000Z info connection value=".length, -" next=1".length);
    assert.equal(quoted.startsWith('"') ? JSON.parse(quoted) : quoted, value);
    const json = line("json", TIME, { value });
    assert.match(json, /^[\x20-\x7e]+$/);
    assert.deepEqual(fieldsOf(json), { value });
  }));
});

Deno.test("every number is one that JSON has", () => {
  for (const n of [0, -1, 0.1, 1e300, 2 ** 53, NaN, Infinity, -Infinity]) {
    assert.deepEqual(fieldsOf(line("json", TIME, { n })), { n: Number.isFinite(n) ? n : null });
  }
});

Deno.test("a value that is too long ends with an ellipsis, and no other does", () => {
  for (const unit of ["x", "\u0001", "é"]) {
    const whole = unit.repeat(MAX_VALUE);
    for (const [value, written] of [[whole, whole], [`${whole}y`, `${whole}…`]] as const) {
      assert.deepEqual(fieldsOf(line("json", TIME, { value })), { value: written });
      const [, quoted = ""] = line("text", TIME, { value }).split(" value=");
      assert.equal(quoted.startsWith('"') ? JSON.parse(quoted) : quoted, written);
    }
  }
});

Deno.test("time is told to the millisecond, whatever was told before", () => {
  fc.assert(fc.property(fc.array(anyTime), (times) => {
    const writer = new LogLineWriter("json");
    for (const time of times) write(writer, time, "connection", {});
    const told = text(writer.take().bytes).split("\n").slice(0, -1).map((line) => JSON.parse(line).time);
    assert.deepEqual(told, times.map((time) => new Date(time).toISOString()));
  }));
});

Deno.test("lines of another writer are appended as they are, and counted", () => {
  const [writer, other] = [new LogLineWriter("text"), new LogLineWriter("text")];
  write(writer, TIME, "first", {});
  for (let i = 0; i < 1_000; i++) write(other, TIME, "second", { i });
  writer.append(other.take());
  assert.deepEqual([other.length, other.count], [0, 0]);
  write(writer, TIME, "third", {});
  assert.equal(writer.count, 1_002);
  const { bytes, count } = writer.take();
  const events = text(bytes).split("\n").map((line) => line.split(" ").slice(2).join(" "));
  assert.deepEqual(events, ["first", ...Array.from({ length: 1_000 }, (_, i) => `second i=${i}`), "third", ""]);
  assert.equal(count, 1_002);
});

Deno.test("what was taken stays as it is while lines are written anew", () => {
  const writer = new LogLineWriter("text");
  write(writer, TIME, "first", { value: "x".repeat(200_000) });
  const first = writer.take();
  const before = text(first.bytes);
  write(writer, TIME, "second", {});
  assert.equal(text(first.bytes), before);
  assert.equal(text(writer.take().bytes), "2026-01-31T09:30:00.000Z info second\n");
});
