/**
 * How the program is started: the one place that tests, the demo and the benchmark take it from.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import configuration from "../deno.json" with { type: "json" };

/** The root of the repository, with a slash at the end. */
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url));

/** An executable and its first arguments; the program's own arguments go behind them. */
export interface ProgramCommand {
  readonly executable: string;
  readonly args: readonly string[];
}

/** What the `mc-proxy` task must be: the program runs in the user's folder, so that the paths it is given are that one's. */
const TASK = /^ROOT=\$PWD && cd "\$INIT_CWD" && deno run (.+) "\$ROOT\/main\.ts"$/;

/** What it was before: a variant that is measured may be of then. */
const FORMER_TASK = /^deno run (.+) main\.ts$/;

/**
 * The flags with which the `mc-proxy` task runs the program.
 *
 * @throws {Error} If the task runs something else.
 */
export function flagsOf(task: string): string[] {
  const [, flags] = TASK.exec(task) ?? [];
  if (flags !== undefined) return flags.split(" ");
  throw new Error('the mc-proxy task must be: ROOT=$PWD && cd "$INIT_CWD" && deno run … "$ROOT/main.ts"');
}

/**
 * The command of the `mc-proxy` task, with its very permissions, or the binary that `MC_PROXY_BIN` names.
 *
 * @throws {Error} If the task runs something else.
 */
export function programCommand(): ProgramCommand {
  const binary = Deno.env.get("MC_PROXY_BIN");
  return binary ? { executable: binary, args: [] } : taskCommand(configuration, ROOT);
}

/** What of a deno.json says how the program is started. */
export interface TaskConfiguration {
  readonly tasks: { readonly "mc-proxy": { readonly command: string } };
}

/**
 * The command of the `mc-proxy` task of a repository, which may be an older one.
 *
 * @param root Its root, with a slash at the end.
 * @throws {Error} If the task runs something else.
 */
export function taskCommand({ tasks }: TaskConfiguration, root: string): ProgramCommand {
  const { command } = tasks["mc-proxy"];
  const flags = FORMER_TASK.exec(command)?.[1]?.split(" ") ?? flagsOf(command);
  return { executable: Deno.execPath(), args: ["run", ...flags, `${root}main.ts`] };
}
