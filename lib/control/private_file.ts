/**
 * Files that only their owner may open, whatever the umask of the program is.
 *
 * @module
 */

import { fileExists, isUnwritable } from "./file_access.ts";

/** Read and written by the owner, by nobody else: chmod(2). */
export const PRIVATE_MODE = 0o600;

const OF_OTHERS = 0o077;

/**
 * Makes an empty private file where there is none, and takes the rights of group and others from one that is there and
 * belongs to this user. That of another user stays as it is, and so does one on a disk that takes no write.
 *
 * @throws Where the file cannot be made: its folder is missing, or the permission.
 */
export function ensurePrivate(path: string): void {
  if (fileExists(path)) return restrictToOwner(path);
  Deno.openSync(path, { create: true, write: true, mode: PRIVATE_MODE }).close();
}

/** Takes the rights of group and others from a file, as {@linkcode ensurePrivate} does; passes over one that is not there. */
export function restrictToOwner(path: string): void {
  if (Deno.build.os === "windows" || !fileExists(path)) return;
  const { mode, uid, isFile } = Deno.statSync(path);
  if (!isFile || mode === null || (mode & OF_OTHERS) === 0 || uid !== Deno.uid()) return;
  try {
    Deno.chmodSync(path, mode & ~OF_OTHERS & 0o7777);
  } catch (error) {
    if (!isUnwritable(error)) throw error;
  }
}
