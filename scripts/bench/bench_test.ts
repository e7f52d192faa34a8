import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lines } from "../../tests/harness/lines.ts";
import { processTree } from "./proc.ts";

const BENCH = fileURLToPath(new URL("bench.ts", import.meta.url));

/** Starts the benchmark with its temporary files in `folder`. */
function start(folder: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-all", BENCH, ...args],
    env: { TMPDIR: folder },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}

/** Processes that were started with something in `folder`. */
async function runningFrom(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => ""); // it may end meanwhile
    if (command.includes(folder)) found.push(command);
  }
  return found;
}

Deno.test({
  name: "a quick run without peers measures mc-proxy, writes what it found, and leaves nothing behind",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder(async (folder) => {
      const json = `${folder}/found.json`;
      const bench = start(folder, "--quick", "--only", "exchange", "--no-peers", "--json", json);
      const { code, stdout, stderr } = await bench.output();
      const text = new TextDecoder();
      assert.equal(code, 0, text.decode(stderr));
      assert.match(text.decode(stdout), /^\| CPU µs per exchange +\| +[\d.]+ \|/m);
      const { sections } = JSON.parse(await Deno.readTextFile(json));
      assert.deepEqual(sections[0].subjects, ["mc-proxy"]);
      const { "CPU µs per exchange": cpu, "exchanges/s": rate } = sections[0].samples[0].values;
      assert.ok(cpu > 0 && rate > 0);
      assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["found.json"]);
      assert.deepEqual(await runningFrom(`${folder}/`), []);
    }),
});

const HAS_LIBSSL = await isFile("/usr/lib/x86_64-linux-gnu/libssl.so.3") ||
  await isFile("/usr/lib/aarch64-linux-gnu/libssl.so.3");

for (const [row, value] of [["h2,grpc,h1,tls", "CPU µs per request"], ["body", "CPU s per GB"]] as const) {
  Deno.test({
    name: `a quick run of ${row} measures HTTP` + (HAS_LIBSSL ? "" : " (needs Debian's libssl3)"),
    ignore: Deno.build.os !== "linux" || !HAS_LIBSSL,
    fn: () =>
      withFolder(async (folder) => {
        const json = `${folder}/found.json`;
        const { code, stderr } = await start(folder, "--quick", "--only", row, "--no-peers", "--json", json).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        const { sections } = JSON.parse(await Deno.readTextFile(json));
        assert.equal(sections.length, row.split(",").length);
        for (const { samples } of sections) assert.ok(samples[0].values[value] > 0);
      }),
  });
}

Deno.test({
  name: "an interrupted run stops all its processes and removes its files",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder(async (folder) => {
      const bench = start(folder, "--only", "exchange", "--no-peers");
      const stdout = new Lines(bench.stdout, (line) => line);
      const stderr = new Lines(bench.stderr, (line) => line);
      await stderr.find((line) => line.endsWith("warm-up"));
      const started = processTree(bench.pid).slice(1);
      bench.kill("SIGINT");
      const { code } = await bench.status;
      await Promise.all([stdout.ended, stderr.ended]);
      assert.equal(code, 130, stderr.seen.join("\n"));
      assert.ok(started.length > 1, "backend and proxy must have been running");
      assert.deepEqual(started.filter((pid) => processTree(pid).length > 0), []);
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    }),
});

Deno.test("a command line that is wrong gets one line and exit code 2", () =>
  withFolder(async (folder) => {
    const { code, stderr } = await start(folder, "--only", "disk").output();
    assert.equal(code, 2);
    assert.match(new TextDecoder().decode(stderr), /^bench: [^\n]+; see deno task bench --help\n$/);
  }));
