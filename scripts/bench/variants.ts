/**
 * Variants of mc-proxy that one run compares by turns, as the command line names them.
 *
 * @module
 */

import { resolve } from "node:path";

/** A checkout of mc-proxy, and how it is started. */
export interface Variant {
  /** What its column is called: unlike any other's. */
  readonly name: string;
  /** The root of its repository, absolute. */
  readonly folder: string;
  /** Flags of V8 beside those of its `mc-proxy` task; of contradicting ones these count. */
  readonly v8Flags: readonly string[];
  /** Variables beside those of the benchmark. */
  readonly environment: Readonly<Record<string, string>>;
}

const NAME = /^[A-Za-z0-9][\w.-]*$/;
const VARIABLE = /^([A-Za-z_]\w*)=(.*)$/s;

/**
 * Reads `NAME=DIR[,FLAG|VARIABLE=VALUE]...`: what begins with `--` is a flag of V8, what has a `=` a variable.
 *
 * @param base The folder that a relative DIR is below.
 * @throws {SyntaxError} If it is not that, with what would be right.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseVariant("big=../work,--max-semi-space-size=8,MCPROXY_PROXY_ENGINE=portable", "/src/main"), {
 *   name: "big",
 *   folder: "/src/work",
 *   v8Flags: ["--max-semi-space-size=8"],
 *   environment: { MCPROXY_PROXY_ENGINE: "portable" },
 * });
 * ```
 */
export function parseVariant(text: string, base: string): Variant {
  const at = text.indexOf("=");
  const name = text.slice(0, Math.max(at, 0));
  const [folder = "", ...settings] = text.slice(at + 1).split(",");
  if (!NAME.test(name) || folder === "") {
    throw new SyntaxError(`it must be NAME=DIR, e.g. before=../main,--max-semi-space-size=4, not: ${text}`);
  }
  const v8Flags = settings.filter((setting) => setting.startsWith("--"));
  const variables = settings.filter((setting) => !setting.startsWith("--"));
  return {
    name,
    folder: resolve(base, folder),
    v8Flags,
    environment: Object.fromEntries(variables.map((setting) => {
      const [, variable, value] = VARIABLE.exec(setting) ?? [];
      if (variable === undefined || value === undefined) {
        throw new SyntaxError(`after DIR come flags of V8 (--flag) and variables (NAME=VALUE), not: ${setting}`);
      }
      return [variable, value];
    })),
  };
}
