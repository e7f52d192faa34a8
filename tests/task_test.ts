import assert from "node:assert/strict";
import { ROOT } from "../scripts/program.ts";
import { shellLines } from "./harness/docs.ts";
import { isInstalled } from "./harness/tools.ts";

/** Runs the task of a clone in a folder, as a user does. */
async function runTask(cwd: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", `${ROOT}deno.json`, "mc-proxy", ...args],
    cwd,
    env: { INIT_CWD: cwd, NO_COLOR: "1" }, // tests may run in a task of their own
  });
  const { code, stdout, stderr } = await command.output();
  return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test("the task takes relative paths from the folder that its user is in", async () => {
  const folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "mc-proxy " }));
  try {
    Deno.mkdirSync(`${folder}/below`);
    Deno.writeTextFileSync(`${folder}/c.toml`, 'database.path = "x.db"\n[[listeners]]\naddr = ":443"\n');
    const sound = (file: string) => ({ code: 0, output: `${file}: OK (1 listener, 0 routes)\n` });
    assert.deepEqual(await runTask(folder, "check", "-c", "c.toml"), sound("c.toml"));
    assert.deepEqual(await runTask(`${folder}/below`, "check", "-c", "../c.toml"), sound("../c.toml"));
    assert.deepEqual(await runTask(`${folder}/below`, "check", "-c", `${folder}/c.toml`), sound(`${folder}/c.toml`));
    assert.deepEqual(await runTask(`${folder}/below`, "check", "-c", "deno.json"), {
      code: 1,
      output: "deno.json: does not exist\n",
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

/** The README's lines that stop a program which a task started. */
const README = Deno.readTextFileSync(`${ROOT}README.md`);
const STOPS = [
  shellLines(README).find((line) => line.startsWith("kill ")),
  /`(kill [^`]*)`/.exec(README)?.[1],
] as const;

const TESTABLE = Deno.build.os === "linux" && isInstalled("pgrep");

/** Starts a task as npx does, below a shell that passes no signal on, and waits for `ready` in what it prints. */
async function startBelowShell(args: readonly string[], ready: RegExp): Promise<Deno.ChildProcess> {
  const words = [Deno.execPath(), "task", "--quiet", "--config", `${ROOT}deno.json`, ...args];
  const script = `${words.map((word) => `'${word}'`).join(" ")} 2>&1; exit $?`;
  const child = new Deno.Command("sh", { args: ["-c", script], env: { NO_COLOR: "1" }, stdout: "piped" }).spawn();
  const { promise, resolve, reject } = Promise.withResolvers<Deno.ChildProcess>();
  let printed = "";
  const reading = child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({
      write(text) {
        printed += text;
        if (ready.test(printed)) resolve(child);
      },
    }),
  );
  reading.then(() => reject(new Error(`it ended after ${printed}`)), reject);
  return await promise;
}

/** Runs a line of the README. */
async function stop(line: string): Promise<void> {
  const { code, stderr } = await new Deno.Command("sh", { args: ["-c", line] }).output();
  assert.equal(code, 0, `${line}: ${new TextDecoder().decode(stderr)}`);
}

Deno.test({
  name: "the README's line stops a server that a shell and a task started, and those end with it (needs pgrep)",
  ignore: !TESTABLE,
  async fn() {
    const folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "mc-proxy-" }));
    try {
      const file = `${folder}/config.toml`;
      Deno.writeTextFileSync(file, 'database.path = "x.db"\n[[listeners]]\naddr = "127.0.0.1:0"\n');
      const [line] = STOPS;
      assert.ok(line !== undefined && line.includes("/srv/mc-proxy/"));
      const shell = await startBelowShell(["mc-proxy", "server", "-c", file], / ready /);
      await stop(line.replace("/srv/mc-proxy", folder));
      assert.equal((await shell.status).code, 0);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "the README's other line stops the demo that a shell and a task started (needs pgrep)",
  ignore: !TESTABLE,
  async fn() {
    const folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "mc-proxy-" }));
    try {
      const [, line] = STOPS;
      assert.ok(line !== undefined && line.includes("dev"));
      const shell = await startBelowShell(["dev", "--port", "0", "--folder", folder], / ready /);
      // Others may run a demo meanwhile: theirs is not to be stopped.
      await stop(line.replace("dev\\.ts", `dev\\.ts .*${folder}`));
      assert.equal((await shell.status).code, 0);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});
