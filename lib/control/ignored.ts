/**
 * What a configuration may say, and has no effect.
 *
 * @module
 */

import type { Config, ConfigProblem } from "./config_types.ts";

/** What in a file the server passes over. */
export function ignored({ proxy }: Pick<Config, "proxy">): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (proxy.workers > 1 && proxy.engine === "portable") {
    problems.push({ path: "proxy.workers", message: "is ignored: the portable engine has one thread" });
  }
  return problems;
}
