import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lines } from "../../tests/harness/lines.ts";
import { ROOT } from "../program.ts";
import { processTree } from "./proc.ts";
import { isFile } from "./proxies.ts";
import type { Section } from "./report.ts";
import { TLS_EXPECTED } from "./tls_settings.ts";

const BENCH = fileURLToPath(new URL("bench.ts", import.meta.url));

/** Starts the benchmark with its temporary files in `folder`. */
function start(folder: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-all", BENCH, ...args],
    env: { TMPDIR: folder, INIT_CWD: folder },
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

const HAS_LIBSSL = await isFile("/usr/lib/x86_64-linux-gnu/libssl.so.3") ||
  await isFile("/usr/lib/aarch64-linux-gnu/libssl.so.3");

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

/** Runs quickly, without peers. @returns The sections that it found. */
async function findSections(folder: string, ...args: string[]): Promise<Section[]> {
  const json = `${folder}/found.json`;
  const { code, stderr } = await start(folder, "--quick", "--no-peers", "--json", json, ...args).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(await Deno.readTextFile(json)).sections;
}

const VALUES = {
  "new-log": { value: "without the log", sections: 1, tls: false },
  "idle": { value: "RSS of all, MiB", sections: 1, tls: false },
  "h2,grpc,h1,tls": { value: "CPU µs per request", sections: 4, tls: true },
  "body": { value: "CPU s per GB", sections: 1, tls: true },
  "backend-tls": { value: "CPU µs per request", sections: 2, tls: true },
  "idle-tls": { value: "RSS of all, MiB", sections: 1, tls: true },
  "latency": { value: "handshakes/s", sections: 1, tls: true },
};

for (const [rows, { value, sections, tls }] of Object.entries(VALUES)) {
  Deno.test({
    name: `a quick run of ${rows} measures what it is for` + (tls && !HAS_LIBSSL ? " (needs Debian's libssl3)" : ""),
    ignore: Deno.build.os !== "linux" || tls && !HAS_LIBSSL,
    fn: () =>
      withFolder(async (folder) => {
        const found = await findSections(folder, "--only", rows);
        assert.equal(found.length, sections);
        for (const sample of found.flatMap(({ samples }) => samples)) {
          assert.ok((sample.values[value] ?? NaN) > 0, JSON.stringify(sample));
          assert.equal(sample.tls, tls ? TLS_EXPECTED : undefined);
        }
      }),
  });
}

Deno.test({
  name: "variants are measured by turns in the place of this mc-proxy, and compared with the first",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder(async (folder) => {
      const variants = ["--variant", `before=${ROOT}`, "--variant", `after=${ROOT},--max-semi-space-size=2`];
      const [section] = await findSections(folder, "--only", "exchange", "--rounds", "2", ...variants);
      assert.deepEqual(section?.subjects, ["before", "after"]);
      assert.deepEqual(section?.ratios, [["after", "before"]]);
      const turns = section?.samples.map(({ subject, round }) => `${round} ${subject}`);
      assert.deepEqual(turns, ["1 before", "1 after", "2 after", "2 before"]);
    }),
});

const HAS_PERF = await new Deno.Command("perf", { args: ["record", "--quiet", "--output", "/dev/null", "--", "true"] })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name: "perf records the proxy that was asked for, with names of what it compiled" + (HAS_PERF ? "" : " (needs perf)"),
  ignore: Deno.build.os !== "linux" || !HAS_PERF,
  fn: () =>
    withFolder(async (folder) => {
      const bench = start(folder, "--quick", "--only", "exchange", "--no-peers", "--perf", "mc-proxy");
      const { code, stderr } = await bench.output();
      const text = new TextDecoder().decode(stderr);
      assert.equal(code, 0, text);
      const file = `${folder}/perf-exchange-mc-proxy.data`;
      const [, names] = new RegExp(`^bench: exchange: perf record of mc-proxy, in ${file} and (.*)$`, "m").exec(text) ??
        [];
      assert.ok(names !== undefined, text);
      assert.match(await Deno.readTextFile(names), /^[0-9a-f]+ [0-9a-f]+ .*main\.ts/m);
      await Deno.remove(names);
      assert.ok((await Deno.stat(file)).size > 0);
      assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["perf-exchange-mc-proxy.data"]);
    }),
});

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

Deno.test({
  name: "perf of a proxy that takes no part gets one line and exit code 2, and says which do",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder(async (folder) => {
      const { code, stderr } = await start(folder, "--no-peers", "--perf", "HAProxy").output();
      assert.equal(code, 2);
      assert.match(new TextDecoder().decode(stderr), /^bench: --perf knows mc-proxy, not: HAProxy; [^\n]+\n$/);
    }),
});
