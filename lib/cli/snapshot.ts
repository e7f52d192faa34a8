/**
 * `mc-proxy snapshot`: backs up the database.
 *
 * @module
 */

import { basename, dirname, extname, join } from "node:path";
import { loadConfig } from "../control/config.ts";
import { fileExists } from "../control/file_access.ts";
import { printable } from "../control/quote.ts";
import { snapshotDatabase } from "../control/store/snapshot.ts";
import { withStoreErrors } from "../control/store/store_error.ts";
import { Failure } from "./failure.ts";
import type { Output } from "./output.ts";

const DAY_MS = 24 * 3600 * 1000;

/** What may be said of a snapshot. */
export interface SnapshotOptions {
  /** The new file, or a folder for it; by default the database's own. */
  readonly out: string | undefined;
  /** How many days older snapshots are kept; by default, for good. */
  readonly keepDays: number | undefined;
}

/**
 * Copies the database that a configuration names, and then removes the copies beside the new one that are too old.
 *
 * @throws {ConfigError | StoreError | Failure} If it cannot; nothing is removed unless there is a new copy.
 */
export async function runSnapshot(file: string, { out, keepDays }: SnapshotOptions, output: Output): Promise<void> {
  const { path } = loadConfig(file).config.database;
  const now = new Date();
  const name = snapshotName(path, now);
  const target = targetOf(out ?? dirname(path), name, keepDays !== undefined);
  const size = await snapshotDatabase(path, target);
  output.out(`${printable(target)} (${size} bytes)\n`);
  if (keepDays === undefined) return;
  for (const old of expiredSnapshots(filesIn(dirname(target)), path, new Date(now.getTime() - keepDays * DAY_MS))) {
    const file = join(dirname(target), old);
    withStoreErrors(file, () => Deno.removeSync(file));
    output.out(`${printable(file)} removed\n`);
  }
}

/**
 * The name of a snapshot that was given none: the database's, with the time in UTC.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const time = new Date("2026-01-31T09:30:00.123Z");
 * assert.equal(snapshotName("/srv/mc-proxy.db", time), "mc-proxy-20260131T093000Z.db");
 * ```
 */
export function snapshotName(database: string, time: Date): string {
  const stamp = time.toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  return `${basename(database, extname(database))}-${stamp}.db`;
}

/**
 * Which of the files in a folder are snapshots of a database from before a time, by their names: whatever is called
 * otherwise is not ours to remove. The newest snapshot is none of them, however old.
 */
export function expiredSnapshots(files: readonly string[], database: string, before: Date): string[] {
  const [prefix = ""] = snapshotName(database, before).split(/(?=\d{8}T\d{6}Z\.db$)/);
  const snapshots = files.filter((name) =>
    name.startsWith(prefix) && /^\d{8}T\d{6}Z\.db$/.test(name.slice(prefix.length))
  );
  // Such names have the order of their times.
  return snapshots.sort().slice(0, -1).filter((name) => name < snapshotName(database, before));
}

/**
 * The new file: `out` itself, or one of this name in it.
 *
 * @throws {Failure} If `out` can only be meant for a folder, and is none.
 */
function targetOf(out: string, name: string, keepsSeveral: boolean): string {
  if (isFolder(out)) return join(out, name);
  const isMeantForFolder = out.endsWith("/") || (keepsSeveral && extname(out) === "" && !exists(out));
  if (!isMeantForFolder) return out;
  throw new Failure([`${out}: is no folder; make it first, or name a file such as ${join(dirname(out), name)}`]);
}

function exists(path: string): boolean {
  return withStoreErrors(path, () => fileExists(path));
}

function filesIn(folder: string): string[] {
  return withStoreErrors(folder, () => Array.from(Deno.readDirSync(folder)))
    .filter(({ isFile }) => isFile)
    .map(({ name }) => name);
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false; // whatever is wrong with it, who writes there says
  }
}
