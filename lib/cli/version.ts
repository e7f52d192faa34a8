/**
 * Which program this is.
 *
 * @module
 */

import { readCommit } from "./commit.ts";
import manifest from "../../deno.json" with { type: "json" };

/** The program's version, such as `0.1.0`. */
export const version: string = manifest.version;

/** What it was made of, such as `1a2b3c4d5e6f`; `unknown` where nothing tells. */
export const commit: string = readCommit() ?? "unknown";

/** The program and what it runs on, in one line. */
export function versionLine(): string {
  return `mc-proxy ${version} (commit ${commit}, deno ${Deno.version.deno}, v8 ${Deno.version.v8}, ${Deno.build.target})`;
}
