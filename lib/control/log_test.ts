import assert from "node:assert/strict";
import fc from "fast-check";
import { formatLine, Log, type LogSink } from "./log.ts";

const TIME = new Date("2026-01-31T09:30:00.000Z");

/** A sink that keeps what it gets, and takes it only while it is open. */
class Sink implements LogSink {
  text = "";
  #open = Promise.withResolvers<void>();

  constructor(open = true) {
    if (open) this.open();
  }

  open(): void {
    this.#open.resolve();
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#open.promise;
    const taken = Math.min(bytes.length, 1000);
    this.text += new TextDecoder("latin1").decode(bytes.subarray(0, taken));
    return taken;
  }
}

Deno.test("a line has time, level, event and fields, in text and in JSON", () => {
  const fields = { addr: ":443", n: 3, ok: true, absent: undefined, name: "two words" };
  assert.equal(
    formatLine("text", TIME, "info", "listening", fields),
    '2026-01-31T09:30:00.000Z info listening addr=:443 n=3 ok=true name="two words"',
  );
  assert.deepEqual(JSON.parse(formatLine("json", TIME, "warn", "listening", fields)), {
    time: "2026-01-31T09:30:00.000Z",
    level: "warn",
    event: "listening",
    addr: ":443",
    n: 3,
    ok: true,
    name: "two words",
  });
});

Deno.test("no value can break a line, forge a field or control a terminal; JSON gives it back whole", () => {
  const value = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom('a=1 b="', "\u001b[31m", "\u2028", "\u009b", ""),
  );
  fc.assert(fc.property(value, (value) => {
    const text = formatLine("text", TIME, "info", "event", { value, next: 1 });
    assert.match(text, /^[\x20-\x7e]+$/);
    const quoted = text.slice("2026-01-31T09:30:00.000Z info event value=".length, -" next=1".length);
    assert.equal(quoted.startsWith('"') ? JSON.parse(quoted) : quoted, value);
    const json = formatLine("json", TIME, "info", "event", { value });
    assert.match(json, /^[\x20-\x7e]+$/);
    assert.equal(JSON.parse(json).value, value);
  }));
});

Deno.test("lines below the level are left out", async () => {
  const sink = new Sink();
  const log = new Log("warn", "text", sink);
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  await log.flush();
  assert.deepEqual(sink.text.trimEnd().split("\n").map((line) => line.split(" ").slice(1)), [["warn", "c"], [
    "error",
    "d",
  ]]);
});

Deno.test("lines arrive whole and in order through a sink that takes parts", async () => {
  const sink = new Sink();
  const log = new Log("info", "text", sink);
  for (let i = 0; i < 500; i++) log.info("n", { i });
  await log.flush();
  assert.deepEqual(
    sink.text.trimEnd().split("\n").map((line) => line.split(" ")[3]),
    Array.from({ length: 500 }, (_, i) => `i=${i}`),
  );
});

Deno.test("a sink that stands still bounds the memory, and the lost lines are counted", async () => {
  const sink = new Sink(false);
  const log = new Log("info", "text", sink);
  log.info("first");
  await Promise.resolve(); // the first line is with the sink
  const value = "x".repeat(1024 * 1024);
  for (let i = 0; i < 20; i++) log.info("large", { value });
  sink.open();
  await log.flush();
  const lines = sink.text.trimEnd().split("\n");
  const large = lines.filter((line) => line.includes(" large ")).length;
  assert.ok(large < 6, `${large} lines of 1 MiB were kept`);
  assert.match(lines.at(-1) ?? "", new RegExp(` warn log_lines_dropped lines=${20 - large}$`));
});

Deno.test("a sink that is gone is no error", async () => {
  const log = new Log("info", "text", { write: () => Promise.reject(new Deno.errors.BrokenPipe("gone")) });
  log.info("a");
  await log.flush();
  log.info("b");
  await log.flush();
});
