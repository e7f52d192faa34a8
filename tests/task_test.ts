import assert from "node:assert/strict";
import { ROOT } from "../scripts/program.ts";

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
