/**
 * `mc-proxy apply`: has the database of a server that does not run follow a file.
 *
 * @module
 */

import { loadConfig } from "../control/config.ts";
import { appliedAnswer, warningLines } from "./ctl/apply.ts";
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
  const { config, warnings, places } = loadConfig(file);
  const { applyOffline } = await import("../control/offline_apply.ts"); // the other commands start faster without it
  const made = await applyOffline({ file, config, places }, { prune, dryRun });
  const all = warningLines(places, warnings, made.warnings);
  const applied = { ...made, warnings: all, opening: [], closing: [] };
  print({ ...appliedAnswer(applied, dryRun), warnings: all }, json, output);
}
