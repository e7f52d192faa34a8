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

Deno.test("a sink that is gone is no error, and every line that it did not take is counted", async () => {
  const log = new Log("info", "text", { write: () => Promise.reject(new Deno.errors.BrokenPipe("gone")) });
  log.warn("config_differs", {});
  await log.flush();
  assert.equal(log.dropped, 1);
  log.warn("config_differs", {});
  log.warn("config_differs", {});
  await log.flush();
  assert.equal(log.dropped, 3);
});

Deno.test("what a full disk did not take is counted and told once there is room; no line goes on another's end", async () => {
  let text = "";
  let room = 0;
  const log = new Log("info", "text", {
    write(bytes) {
      if (room === 0) return Promise.reject(new Error("No space left on device (os error 28)"));
      const taken = Math.min(bytes.length, room);
      room -= taken;
      text += new TextDecoder("latin1").decode(bytes.subarray(0, taken));
      return Promise.resolve(taken);
    },
  });
  const write = async (...connections: readonly number[]) => {
    for (const each of connections) log.warn("drain_timeout", { connections: each });
    await log.flush();
  };
  room = 1_000;
  await write(1);
  room = 20;
  await write(2, 3);
  assert.equal(log.dropped, 2, "that of which there is a part only, too");
  room = 0;
  await write(4);
  room = 1_000;
  await write(5);
  await write(6);
  const [first, cut, ...rest] = text.trimEnd().split("\n");
  assert.match(first ?? "", / connections=1 /);
  assert.equal(cut?.length, 20);
  assert.deepEqual(rest.map((line) => line.split(" ").slice(2, 4).join(" ")), [
    "drain_timeout connections=5",
    "log_lines_dropped lines=3",
    "drain_timeout connections=6",
  ]);
  assert.equal(log.dropped, 3);
});

Deno.test("lines that found no room are counted before the sink takes any again", async () => {
  const sink = new Sink(false);
  const log = new Log("info", "text", sink);
  const stack = "x".repeat(10_000);
  for (let i = 0; i < 1_000; i++) log.error("internal_error", { stack });
  const { dropped } = log;
  assert.ok(dropped > 0);
  sink.open();
  await log.flush();
  assert.equal(log.dropped, dropped);
});

Deno.test("standard error on a full disk, or that nobody reads, is counted so", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const script = `
    import { Log } from ${JSON.stringify(new URL("./log.ts", import.meta.url).href)};
    await Deno.stdin.readable.pipeTo(new WritableStream());
    const log = new Log("info", "text");
    log.warn("config_differs", {});
    await log.flush();
    console.log(log.dropped);
  `;
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(file, script);
  const run = `"$0" run --quiet --no-check -A "$1"`;
  const full = await new Deno.Command("sh", {
    args: ["-c", `exec ${run} 2>/dev/full </dev/null`, Deno.execPath(), file],
  })
    .output();
  assert.equal(new TextDecoder().decode(full.stdout), "1\n");
  const unread = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", file],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await unread.stderr.cancel();
  await unread.stdin.close();
  assert.equal(await new Response(unread.stdout).text(), "1\n");
  await unread.status;
  Deno.removeSync(file);
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
