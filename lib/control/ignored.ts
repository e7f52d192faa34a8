/**
 * What a configuration may say, and has no effect.
 *
 * @module
 */

import { RUNTIME_TLS } from "../edge/portable/tls_library.ts";
import type { Config, ConfigProblem } from "./config_types.ts";

/** What in a file the portable engine passes over. */
export function ignoredByPortable({ proxy: { workers, tls } }: Pick<Config, "proxy">): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const ignored = (key: string, reason: string) =>
    problems.push({ path: `proxy.${key}`, message: `is ignored: the portable engine ${reason}` });
  if (workers > 1) ignored("workers", "has one thread");
  if (tls.libssl !== "") ignored("libssl", `speaks TLS with ${RUNTIME_TLS.name}`);
  if (tls.groups.length > 0) ignored("tls_groups", `has the groups ${RUNTIME_TLS.groups.join(", ")}`);
  if (tls.ciphers.length > 0) ignored("tls_ciphers", "has ciphers of its own, all with authenticated encryption");
  return problems;
}
