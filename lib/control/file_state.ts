/**
 * What files look like from outside, so that a change is seen without reading them.
 *
 * @module
 */

import { fileErrorReason } from "./file_access.ts";

/** Files at one moment. */
export interface FilesState {
  /** Another one where they may have other contents, or may be read where they could not before. */
  readonly id: string;
  /** When one of them changed last, by the clock of their file system: milliseconds since 1970. */
  readonly changedAt: number;
}

/** The file behind a path, links followed; or why there is none. */
type Found = Deno.FileInfo | string;

/** Asks for the state of files. One on a network file system that hangs holds up nothing else. */
export async function stateOf(paths: readonly string[]): Promise<FilesState> {
  return describe(await Promise.all(paths.map((path) => Deno.stat(path).catch(fileErrorReason))));
}

/** Like {@linkcode stateOf}, here and now. */
export function stateOfSync(paths: readonly string[]): FilesState {
  return describe(paths.map((path): Found => {
    try {
      return Deno.statSync(path);
    } catch (error) {
      return fileErrorReason(error);
    }
  }));
}

function describe(found: readonly Found[]): FilesState {
  return {
    id: found.map(identify).join(" "),
    changedAt: Math.max(0, ...found.map((file) => typeof file === "string" ? 0 : changedAt(file))),
  };
}

/** A file that is replaced has another inode, one that is written to another time, one that is moved here another ctime. */
function identify(found: Found): string {
  if (typeof found === "string") return found;
  const { dev, ino, size, mtime, ctime, mode, uid, gid } = found;
  return [dev, ino, size, mtime?.getTime(), ctime?.getTime(), mode, uid, gid].join(",");
}

function changedAt({ mtime, ctime }: Deno.FileInfo): number {
  return Math.max(mtime?.getTime() ?? 0, ctime?.getTime() ?? 0);
}
