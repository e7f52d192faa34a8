import { fileURLToPath } from "node:url";
import configuration from "../../deno.json" with { type: "json" };
import type { CommandResult } from "./proxy.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Of the two targets that of the other machine, so that what is made is not started. */
export const OTHER_TARGET = Deno.build.arch === "x86_64" ? "aarch64-unknown-linux-gnu" : "x86_64-unknown-linux-gnu";

/** elf(5) `e_machine` of {@linkcode OTHER_TARGET}. */
const MACHINE = Deno.build.arch === "x86_64" ? 183 : 62;

/** Puts a program into a folder that passes for a base of {@linkcode OTHER_TARGET}: what is made of it cannot run. */
export async function compileBase(folder: string): Promise<string> {
  const base = await Deno.readFile("/bin/true");
  base[18] = MACHINE;
  await Deno.writeFile(`${folder}/denort`, base);
  return `${folder}/denort`;
}

/** Runs `deno task compile` with these variables in its environment, in a folder that has the repository's files. */
export async function runCompile(
  args: readonly string[],
  env: Record<string, string>,
  cwd: string = ROOT,
): Promise<CommandResult> {
  const [, ...rest] = configuration.tasks.compile.command.split(" ");
  const command = new Deno.Command(Deno.execPath(), { args: [...rest, ...args], cwd, env, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
