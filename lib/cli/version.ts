/**
 * Which program this is.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };

/** The program's version, such as `0.1.0`. */
export const version: string = manifest.version;

/** The program and what it runs on, in one line. */
export function versionLine(): string {
  return `mc-proxy ${version} (deno ${Deno.version.deno}, v8 ${Deno.version.v8}, ${Deno.build.target})`;
}
