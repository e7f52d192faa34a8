import assert from "node:assert/strict";
import { type LogLines, LogLineWriter } from "../wire/log_line.ts";
import { Log, type LogSink } from "./log.ts";

/** A sink that keeps what it gets, and takes it only while it is open. */
class Sink implements LogSink {
  text = "";
  #open = Promise.withResolvers<void>();

  constructor(open = true) {
    if (open) this.open();
  }

  /** Level and event of each line. */
  get events(): string[] {
    return this.text.trimEnd().split("\n").map((line) => line.split(" ").slice(1, 3).join(" "));
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

Deno.test("lines below the level are left out", async () => {
  const sink = new Sink();
  const log = new Log("warn", "text", sink);
  log.info("accept_recovered", { listener: ":443" });
  log.warn("config_differs", {});
  log.error("reload_failed", { error: "e" });
  await log.flush();
  assert.deepEqual(sink.events, ["warn config_differs", "error reload_failed"]);
});

Deno.test("changes by administrators are written at every level", async () => {
  const sink = new Sink();
  const log = new Log("error", "text", sink);
  log.warn("config_differs", {});
  log.info("change", { what: "route_removed", listener: ":443", hostname: "a.test", old: "b.test:1 l4" });
  await log.flush();
  assert.deepEqual(sink.events, ["info change"]);
});

Deno.test("lines arrive whole and in order through a sink that takes parts", async () => {
  const sink = new Sink();
  const log = new Log("info", "text", sink);
  for (let i = 0; i < 500; i++) log.warn("drain_timeout", { connections: i });
  await log.flush();
  assert.deepEqual(
    sink.text.trimEnd().split("\n").map((line) => line.split(" ")[3]),
    Array.from({ length: 500 }, (_, i) => `connections=${i}`),
  );
});

Deno.test("a sink that stands still bounds the memory, and the lost lines are counted", async () => {
  const sink = new Sink(false);
  const log = new Log("info", "text", sink);
  log.info("accept_recovered", { listener: "first" });
  await Promise.resolve(); // the first line is with the sink
  const stack = "x".repeat(10_000);
  for (let i = 0; i < 2_000; i++) log.error("internal_error", { stack });
  sink.open();
  await log.flush();
  const lines = sink.text.trimEnd().split("\n");
  const large = lines.filter((line) => line.includes(" internal_error ")).length;
  assert.ok(large < 500, `${large} lines of 10,000 characters were kept`);
  assert.match(lines.at(-1) ?? "", new RegExp(` warn log_lines_dropped lines=${2_000 - large} message=`));
});

Deno.test("a sink that is gone is no error", async () => {
  const log = new Log("info", "text", { write: () => Promise.reject(new Deno.errors.BrokenPipe("gone")) });
  log.warn("config_differs", {});
  await log.flush();
  log.warn("config_differs", {});
  await log.flush();
});

/** Lines as an engine hands them over. */
function engineLines(count: number, detail: string): LogLines {
  const writer = new LogLineWriter("text");
  for (let i = 0; i < count; i++) {
    writer.begin(0, "info", "connection");
    writer.text("detail", detail);
    writer.number("i", i);
    writer.end();
  }
  return writer.take();
}

Deno.test("lines of an engine are written as they are, in order with the others", async () => {
  const sink = new Sink();
  const log = new Log("info", "text", sink);
  const lines = engineLines(100, "x".repeat(500));
  log.info("accept_recovered", { listener: ":443" });
  log.append(lines);
  log.warn("config_differs", {});
  await log.flush();
  assert.ok(sink.text.includes(new TextDecoder().decode(lines.bytes)));
  assert.deepEqual(sink.events, [
    "info accept_recovered",
    ...Array.from({ length: 100 }, () => "info connection"),
    "warn config_differs",
  ]);
});

Deno.test("lines of an engine that are lost are counted one by one", async () => {
  const sink = new Sink(false);
  const log = new Log("info", "text", sink);
  log.info("accept_recovered", { listener: "first" });
  await Promise.resolve(); // the first line is with the sink
  const [batches, each] = [200, 7];
  for (let i = 0; i < batches; i++) log.append(engineLines(each, "x".repeat(10_000)));
  const dropped = log.dropped;
  sink.open();
  await log.flush();
  const written = sink.events.filter((event) => event === "info connection").length;
  assert.ok(written > 0 && written < 500, `${written} lines of 10,000 characters were kept`);
  assert.equal(written + dropped, batches * each);
  assert.equal(written % each, 0, "a batch is written as a whole or not at all");
  assert.match(sink.text.trimEnd().split("\n").at(-1) ?? "", new RegExp(` warn log_lines_dropped lines=${dropped} `));
  log.append(engineLines(1, "later"));
  await log.flush();
  assert.match(sink.text, / connection detail=later i=0\n$/);
});
