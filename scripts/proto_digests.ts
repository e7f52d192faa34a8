/**
 * The end of `deno task proto`: writes down what the code was generated from, and what it was then, so that a test without
 * the generator can tell whether the two still belong together.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import { ROOT } from "./program.ts";

/** What the code is generated from and by: .proto files, the generator's settings and version; and what is generated. */
const FOLDERS: readonly (readonly [folder: string, ending: RegExp])[] = [
  ["proto", /\.proto$|\.yaml$|deno\.(?:json|lock)$/],
  ["lib/admin/gen", /$/],
  ["scripts/dev/grpc", /\.proto$|_pb\.ts$/],
];

/** The file that {@linkcode digests} is written to, within the repository. */
export const DIGESTS_FILE = "proto/digests.json";

/**
 * SHA-256 of each of these files, in hexadecimal, by the paths below `root` in order.
 *
 * @param root With a slash at the end.
 */
export function digests(root: string): Record<string, string> {
  const paths = FOLDERS.flatMap(([folder, ending]) =>
    [...filesBelow(join(root, folder))].filter((path) => ending.test(path))
  );
  return Object.fromEntries(
    paths.sort().map((path) => [
      relative(root, path),
      createHash("sha256").update(Deno.readFileSync(path)).digest("hex"),
    ]),
  );
}

function* filesBelow(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesBelow(join(folder, name));
    else yield join(folder, name);
  }
}

if (import.meta.main) Deno.writeTextFileSync(ROOT + DIGESTS_FILE, `${JSON.stringify(digests(ROOT), null, 2)}\n`);
