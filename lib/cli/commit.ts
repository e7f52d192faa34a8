/**
 * Of which commit the program is.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { isAbsolute, join } from "node:path";

/** Where `deno task compile` leaves the commit for the binary that it makes, from the root of the repository. */
export const COMMIT_FILE = "out/commit";

/**
 * The commit, such as `1a2b3c4d5e6f`; a binary says `-dirty` behind it where files had been changed.
 *
 * A binary carries it in a file of its own. In a clone it is read out of `.git`: Git itself may not be run. What was
 * changed since is not known there.
 *
 * @param root The folder of the program's modules.
 * @returns `undefined` where there is neither, or it may not be read.
 */
export function readCommit(
  { root = new URL("../..", import.meta.url), isBinary = Deno.build.standalone }: {
    readonly root?: URL;
    readonly isBinary?: boolean;
  } = {},
): string | undefined {
  if (root.protocol !== "file:") return undefined;
  const folder = fileURLToPath(root);
  if (isBinary) return readText(join(folder, COMMIT_FILE));
  const git = gitFolder(folder);
  const head = git && readText(join(git, "HEAD"));
  if (git === undefined || head === undefined) return undefined;
  const hash = head.startsWith("ref: ") ? readRef(git, head.slice("ref: ".length)) : head;
  return hash !== undefined && /^[0-9a-f]{40,64}$/.test(hash) ? hash.slice(0, 12) : undefined;
}

/** `.git`, or where it points to: in a worktree it is a file, gitrepository-layout(5). */
function gitFolder(root: string): string | undefined {
  const path = join(root, ".git");
  if (readText(join(path, "HEAD")) !== undefined) return path;
  const link = readText(path);
  if (link === undefined || !link.startsWith("gitdir: ")) return undefined;
  const target = link.slice("gitdir: ".length);
  return isAbsolute(target) ? target : join(root, target);
}

/** The hash that a branch is at: in a file of its own or in the list of all; worktrees share both. */
function readRef(git: string, ref: string): string | undefined {
  const common = readText(join(git, "commondir"));
  const folder = common === undefined ? git : isAbsolute(common) ? common : join(git, common);
  const own = readText(join(folder, ref));
  if (own !== undefined) return own;
  const line = readText(join(folder, "packed-refs"))?.split("\n").find((line) => line.endsWith(` ${ref}`));
  return line?.split(" ")[0];
}

/** A file's text, without blanks around it; `undefined` where it cannot be read, for whatever reason. */
function readText(path: string): string | undefined {
  // Not asked for: `version` needs no permission, and tells less without.
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return undefined;
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return undefined;
  }
}
