/** `deno task compile`, with a program in place of Deno's runtime: what it makes has all that it should, and cannot run. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { compileBase, OTHER_TARGET, runCompile } from "./harness/compile.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
Deno.test({
  name:
    "a binary has the modules, the worker, the pages and the commit inside, and two of them are the same (needs /bin/true of Linux)",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    const env = { DENORT_BIN: await compileBase(folder), MC_PROXY_COMMIT: "" };
    const made = await runCompile(["--target", OTHER_TARGET, "--output", `${folder}/mc-proxy`, "--twice"], env);
    assert.deepEqual([made.code, made.stderr], [0, ""]);
    assert.match(made.stdout, /^twice +the same, octet for octet$/m);
    const commit = /, commit (\S+),/.exec(made.stdout)?.[1];
    const binary = new TextDecoder("latin1").decode(await Deno.readFile(`${folder}/mc-proxy`));
    const parts = {
      "the worker of the epoll engine, which no import names": "new EdgeWorker(setup, report)",
      "the status page": Deno.readTextFileSync(`${ROOT}lib/control/metrics/dashboard/page.html`).slice(0, 80),
      "its charts": "var uPlot=function(",
      "what reflection tells of the health service": "file_grpc_health_v1_health",
      "the commit": `${commit}\n`,
      "the flags for V8": '"--max-semi-space-size=4"',
      "permissions": '"allow_run":null',
    };
    for (const [what, text] of Object.entries(parts)) assert.ok(binary.includes(text), `${what} is missing`);
    for (const other of ["namespace ts {", 'protobuf.build = "']) {
      assert.ok(!binary.includes(other), `${other} is in it`);
    }
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("where there is no base, compile says so in a few lines, and exits with 1", async () => {
  const { code, stdout, stderr } = await runCompile([], { DENORT_BIN: "/none/denort" });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^compile: DENORT_BIN: \/none\/denort: .+\n$/);
});

Deno.test("a wrong command line of compile is told what would be right, and exits with 2", async () => {
  const { code, stdout, stderr } = await runCompile(["--target", "vax"], {});
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(
    stderr,
    /^compile: --target: vax is not x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu\n\nUsage: /,
  );
});

Deno.test({
  name: "the compile commands of docs/INSTALL.md do what they say (needs /bin/true of Linux)",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const text = await Deno.readTextFile(new URL("../docs/INSTALL.md", import.meta.url));
    const lines = Array.from(
      text.matchAll(/^.*deno task -q compile(.*)$/gm),
      ([line, rest = ""]) => [line, rest] as const,
    );
    const [plain, cross, ...others] = lines;
    assert.ok(plain !== undefined && cross !== undefined && others.length === 0);
    assert.deepEqual(plain, ["deno task -q compile", ""]);
    const folder = await Deno.makeTempDir();
    const env = { [cross[0].split("=")[0] ?? ""]: await compileBase(folder) };
    // Only what cannot be had in a test is other than in the document: the base, its target, and where the binary goes.
    const args = cross[1].trim().replace(/[\w-]+-linux-gnu/, OTHER_TARGET).replace("out/", `${folder}/`).split(" ");
    const { code, stdout, stderr } = await runCompile(args, env);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^file +\S+\/mc-proxy-arm \(\d+\.\d MiB\)$/m);
    await Deno.remove(folder, { recursive: true });
  },
});
