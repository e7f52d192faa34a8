/**
 * `mc-proxy snapshot`: backs up the database.
 *
 * @module
 */

import { basename, dirname, extname, join } from "node:path";
import { loadConfig } from "../control/config.ts";
import { printable } from "../control/quote.ts";
import { snapshotDatabase } from "../control/store/snapshot.ts";
import type { Output } from "./output.ts";

/**
 * Copies the database that a configuration names to `out`, by default beside the database.
 *
 * @throws {ConfigError | StoreError} If it cannot.
 */
export async function runSnapshot(file: string, out: string | undefined, output: Output): Promise<void> {
  const { path } = loadConfig(file).config.database;
  const target = out ?? snapshotName(path, new Date());
  const size = await snapshotDatabase(path, target);
  output.out(`${printable(target)} (${size} bytes)\n`);
}

/**
 * The name of a snapshot that was given none: beside the database, with the time in UTC.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const time = new Date("2026-01-31T09:30:00.123Z");
 * assert.equal(snapshotName("/srv/mc-proxy.db", time), "/srv/mc-proxy-20260131T093000Z.db");
 * ```
 */
export function snapshotName(database: string, time: Date): string {
  const stamp = time.toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  return join(dirname(database), `${basename(database, extname(database))}-${stamp}.db`);
}
