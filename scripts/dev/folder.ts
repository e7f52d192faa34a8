/**
 * Where the demo keeps its files, for all its commands.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { ROOT } from "../program.ts";

/** The port of the proxy. */
export const DEFAULT_PORT = "8443";

/** Where the person stands: `deno task` itself goes to the root of the repository. */
export function callerFolder(): string {
  return Deno.env.get("INIT_CWD") ?? Deno.cwd();
}

/** The folder that an option names, as an absolute path; `.dev` in the repository by default. */
export function folderOf(option?: string): string {
  return option === undefined ? join(ROOT, ".dev") : resolve(callerFolder(), option);
}
