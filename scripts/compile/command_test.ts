import assert from "node:assert/strict";
import configuration from "../../deno.json" with { type: "json" };
import { compileArguments, leftOutFolders } from "./command.ts";

Deno.test("a binary has the permissions and the flags of the task, and no others", () => {
  const args = compileArguments({
    task: configuration.tasks["mc-proxy"].command,
    target: "aarch64-unknown-linux-gnu",
    output: "/x/mc-proxy",
    files: ["out/commit"],
    leftOut: ["/cache/bintrees/1.0.2/test"],
  });
  assert.deepEqual(args, [
    "compile",
    ...["--quiet", "--no-prompt", "--allow-net", "--allow-read", "--allow-write", "--allow-env", "--allow-ffi"],
    ...["--allow-sys=uid,gid", "--v8-flags=--max-semi-space-size=4"],
    ...["--no-check", "--frozen", "--no-code-cache", "--exclude-unused-npm"],
    ...["--exclude", "/cache/bintrees/1.0.2/test"],
    ...["--include", "lib/edge/linux/worker.ts"],
    ...["--include", "out/commit", "--target", "aarch64-unknown-linux-gnu", "--output", "/x/mc-proxy", "main.ts"],
  ]);
});

Deno.test("a task that runs something else cannot be compiled", () => {
  const compilation = { target: "x86_64-unknown-linux-gnu", output: "x", files: [], leftOut: [] } as const;
  const before = 'ROOT=$PWD && cd "$INIT_CWD" && ';
  const tasks = ['deno run "$ROOT/main.ts" -x', 'node -x "$ROOT/main.ts"', "deno run -x main.ts"].map((run) =>
    before + run
  );
  for (const task of [...tasks, 'deno run -x "$ROOT/main.ts"']) {
    assert.throws(() => compileArguments({ ...compilation, task }), /the mc-proxy task must be: .* deno run … /, task);
  }
});

Deno.test("what is left out is found whatever registry and version it came from", async () => {
  const cache = await Deno.makeTempDir();
  const folders = [
    "a.test/bintrees/1.0.2",
    "a.test/valibot/1.5.0",
    "b.test/bintrees/1.0.1",
    "b.test/bintrees/1.0.2",
  ];
  for (const each of folders) await Deno.mkdir(`${cache}/${each}`, { recursive: true });
  assert.deepEqual(leftOutFolders(cache).map((path) => path.slice(cache.length + 1)), [
    "a.test/bintrees/1.0.2/test",
    "b.test/bintrees/1.0.1/test",
    "b.test/bintrees/1.0.2/test",
  ]);
  assert.deepEqual(leftOutFolders(`${cache}/none`), []);
  await Deno.remove(cache, { recursive: true });
});
