/**
 * Under which name the program was started.
 *
 * @module
 */

/** What the program may be called: all of it, or `ctl` alone. */
export type ProgramName = "mc-proxy" | "mcproxyctl";

/**
 * The program that a name stands for: a link called `mcproxyctl` is `mc-proxy ctl`, every other name all of mc-proxy.
 *
 * Of what Deno tells, `process.argv0` of `node:process` is the name as the system was given it, and needs no permission.
 * `Deno.execPath()` and `process.argv[0]` are where the links end; `/proc/self/cmdline` needs `--allow-all`.
 *
 * @param argv0 With or without folders.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(programNameOf("/usr/local/bin/mcproxyctl"), "mcproxyctl");
 * assert.equal(programNameOf("./mc-proxy-0.1.0"), "mc-proxy");
 * ```
 */
export function programNameOf(argv0: string): ProgramName {
  const name = argv0.split(/[/\\]/).at(-1)?.replace(/\.exe$/i, "");
  return name === "mcproxyctl" ? "mcproxyctl" : "mc-proxy";
}
