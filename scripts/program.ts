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

/**
 * The command of the `mc-proxy` task, with its very permissions, or the binary that `MC_PROXY_BIN` names.
 *
 * @throws {Error} If the task is not a plain `deno run … main.ts`.
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
 * The command of the `mc-proxy` task of a repository.
 *
 * @param root Its root, with a slash at the end.
 * @throws {Error} If the task is not a plain `deno run … main.ts`.
 */
export function taskCommand({ tasks }: TaskConfiguration, root: string): ProgramCommand {
  const [deno, ...args] = tasks["mc-proxy"].command.split(" ");
  if (deno !== "deno" || args.pop() !== "main.ts") throw new Error("the mc-proxy task must be: deno run … main.ts");
  return { executable: Deno.execPath(), args: [...args, `${root}main.ts`] };
}
