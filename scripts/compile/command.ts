/**
 * The command line of `deno compile`.
 *
 * @module
 */

import { flagsOf } from "../program.ts";
import type { Target } from "./base.ts";

/** The module that no import names: what a worker's thread starts with. */
export const WORKER_MODULE = "lib/edge/linux/worker.ts";

/**
 * Folders of npm packages that stay out: `deno compile` takes whole packages, tests included.
 *
 * The numbers in bintrees' tests are taken for a program, over which the parser of Deno 2.9 overflows its stack, and that
 * ends the compiling.
 */
const LEFT_OUT: readonly (readonly [name: string, folder: string])[] = [["bintrees", "/test"]];

/** What to compile. */
export interface Compilation {
  /** The `mc-proxy` task, whose permissions and flags for V8 the binary gets. */
  readonly task: string;
  readonly target: Target;
  readonly output: string;
  /** Files of the repository to put in, beside the modules. */
  readonly files: readonly string[];
  /** Folders to leave out. */
  readonly leftOut: readonly string[];
}

/**
 * The arguments of `deno`.
 *
 * Without V8's code cache: it would be a file of a fixed name in /tmp, which any user of the host can put there first.
 *
 * @throws {Error} If the task runs something else.
 */
export function compileArguments({ task, target, output, files, leftOut }: Compilation): string[] {
  return [
    "compile",
    ...flagsOf(task),
    "--no-check", // `deno task check` does
    "--frozen",
    "--no-code-cache",
    "--exclude-unused-npm",
    ...leftOut.flatMap((folder) => ["--exclude", folder]),
    ...[WORKER_MODULE, ...files].flatMap((path) => ["--include", path]),
    "--target",
    target,
    "--output",
    output,
    "main.ts",
  ];
}

/** The folders to leave out, as they are in Deno's cache of npm packages: by registry, name and version. */
export function leftOutFolders(npmCache: string): string[] {
  return foldersIn(npmCache).flatMap((registry) =>
    LEFT_OUT.flatMap(([name, folder]) => foldersIn(`${registry}/${name}`).map((version) => version + folder))
  );
}

/** The folders in a folder, sorted; none where there is no such folder. */
function foldersIn(path: string): string[] {
  try {
    const entries = Array.from(Deno.readDirSync(path)).filter(({ isDirectory }) => isDirectory);
    return entries.map(({ name }) => `${path}/${name}`).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
