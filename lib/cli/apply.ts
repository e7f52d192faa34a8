/**
 * `mc-proxy apply`: has the database of a server that does not run follow a file.
 *
 * @module
 */

import { loadConfig } from "../control/config.ts";
import { appliedAnswer } from "./ctl/apply.ts";
import { print } from "./ctl/command.ts";
import type { Output } from "./output.ts";

/** What may be said of it. */
export interface OfflineApplyOptions {
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/**
 * Makes the database that a configuration names hold what it says, and prints what was changed.
 *
 * @throws {ConfigError | StoreError} If that cannot be; then nothing was changed.
 */
export async function runApply(
  file: string,
  { prune = false, dryRun = false, json = false }: OfflineApplyOptions,
  output: Output,
): Promise<void> {
  const { config, warnings } = loadConfig(file);
  const { applyOffline } = await import("../control/offline_apply.ts"); // the other commands start faster without it
  const applied = { ...await applyOffline(file, config, { prune, dryRun }), opening: [], closing: [] };
  const own = warnings.map(({ path, message }) => `${path}: ${message}`);
  const all = [...new Set([...own, ...applied.warnings])];
  print({ ...appliedAnswer({ ...applied, warnings: all }, dryRun), warnings: all }, json, output);
}
