/**
 * Whether a file can be had, and why not.
 *
 * @module
 */

import { printable } from "./quote.ts";

/**
 * The reason behind an error of a file operation, to follow the file's name.
 *
 * @throws The error itself, where it is none of a file operation.
 */
export function fileErrorReason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "does not exist";
  if (error instanceof Deno.errors.NotADirectory) return "does not exist: part of its path is not a folder";
  if (error instanceof Deno.errors.IsADirectory) return "is a folder, not a file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) {
    // Of files below /dev, /proc and /sys Deno has most to itself, whatever it was allowed.
    const isSpecial = error.message.startsWith("Requires all access");
    return isSpecial
      ? "is a special file, which cannot be used here"
      : "permission denied: Deno was started without it";
  }
  if (error instanceof Error && /\(os error 28\)/.test(error.message)) return "no space is left on the device";
  // An error that the system numbers and Deno has no class for, such as a name too long (ENAMETOOLONG).
  if (error instanceof Error && /\(os error \d+\)/.test(error.message)) {
    return `cannot be used: ${error.message.replace(/ \(os error.*/s, "")}`;
  }
  throw error;
}

/** What write(2), open(2) and the like say of a disk that takes nothing. */
const UNWRITABLE = ["EROFS", "ENOSPC", "EDQUOT"];

/** Whether an error, or what caused it, is that a disk is full or read-only. */
export function isUnwritable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return "code" in error && UNWRITABLE.includes(String(error.code)) || isUnwritable(error.cause);
}

/** What is wrong with a path where a symbolic link stands that leads to nothing; `undefined` where none does. */
export function brokenLink(path: string): string | undefined {
  try {
    if (fileExists(path) || !Deno.lstatSync(path).isSymlink) return undefined;
    return `is a symbolic link to ${printable(Deno.readLinkSync(path))}, which does not exist; ` +
      "put that back, or remove the link";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined; // nothing stands there
    throw error;
  }
}

/**
 * Why a path leads to nothing that can be read to its end; `undefined` where it is a file. To open a pipe would wait for
 * who writes into it.
 *
 * @throws Where there is nothing, or that cannot be told.
 */
export function notAFile(path: string): string | undefined {
  const { isFile, isDirectory } = Deno.statSync(path);
  if (isDirectory) return "is a folder, not a file";
  return isFile ? undefined : "is no regular file";
}

/** The size of a file in bytes; 0 where there is none. */
export function fileSize(path: string): number {
  return fileExists(path) ? Deno.statSync(path).size : 0;
}

/**
 * Whether there is a file or folder at `path`.
 *
 * @throws Where that cannot be told, for want of a permission.
 */
export function fileExists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Which file stands at a path, links followed: another text for another file; `undefined` where there is none. */
export function fileIdentity(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
