/**
 * Libraries that are not what they should be, made with the C compiler.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { isInstalled, runTool } from "./tools.ts";

/** Defines a test that compiles a library; without a compiler it is ignored, and its name says so. */
export function testWithCompiler(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.build.os !== "linux" || !isInstalled("cc");
  Deno.test({ name: ignore ? `${name} (needs cc)` : name, ignore, fn });
}

/** Compiles a shared library at `path`, which needs others: they are known by their files' names. */
export async function compileLibrary(path: string, source: string, needed: readonly string[] = []): Promise<void> {
  const file = await Deno.makeTempFile({ dir: dirname(path), suffix: ".c" });
  await Deno.writeTextFile(file, source);
  const named = `-Wl,-soname,${basename(path)},--no-as-needed`;
  const { code, stderr } = await runTool("cc", ["-shared", "-fPIC", "-o", path, file, named, ...needed]);
  if (code !== 0) throw new Error(stderr);
}

/** What says of itself what a libssl says, and is none. */
export function versionSource(version: string, number: number): string {
  return `const char *OpenSSL_version(int which) { return ${JSON.stringify(version)}; }
unsigned long OpenSSL_version_num(void) { return ${number}UL; }
`;
}
