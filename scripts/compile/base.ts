/**
 * The base of a binary: `denort`, which is Deno's runtime without its tools.
 *
 * @module
 */

/** What the program is compiled for. */
export type Target = "x86_64-unknown-linux-gnu" | "aarch64-unknown-linux-gnu";

/** elf(5) `e_machine` of each target. */
const MACHINES: Readonly<Record<Target, number>> = {
  "x86_64-unknown-linux-gnu": 62,
  "aarch64-unknown-linux-gnu": 183,
};

export const TARGETS = Object.keys(MACHINES) as readonly Target[];

/** Where the base comes from. */
export type Base =
  | { readonly kind: "named"; readonly path: string }
  | { readonly kind: "cached"; readonly path: string }
  | { readonly kind: "download"; readonly url: string };

/** There is no base to be had, or the one that is named cannot be used; the message says what to do. */
export class BaseError extends Error {
  override readonly name = "BaseError";
}

/** Where to look. */
export interface Places {
  readonly target: Target;
  /** Deno's version: the base must have the very same. */
  readonly version: string;
  /** Deno's cache. */
  readonly denoDir: string;
  /** `DENORT_BIN`, where it is set. */
  readonly named: string | undefined;
  /** Whether this URL answers with something to download. */
  readonly canDownload: (url: string) => Promise<boolean>;
}

/**
 * Finds the base as `deno compile` will: the file that `DENORT_BIN` names, else the archive in Deno's cache, else the
 * network.
 *
 * @throws {BaseError} If there is none.
 */
export async function findBase({ target, version, denoDir, named, canDownload }: Places): Promise<Base> {
  if (named) return { kind: "named", path: checked(named, target) };
  const archive = `release/v${version}/denort-${target}.zip`;
  const path = `${denoDir}/dl/${archive}`;
  if (isFile(path)) return { kind: "cached", path };
  const url = `https://dl.deno.land/${archive}`;
  if (await canDownload(url)) return { kind: "download", url };
  throw new BaseError(
    [
      `there is no base to compile on for ${target}: ${url} cannot be reached.`,
      "Download it elsewhere, and either",
      `  put it, as it is, at ${path}`,
      "or unpack it and name the file in it:",
      "  DENORT_BIN=/path/to/denort deno task compile",
    ].join("\n"),
  );
}

/** The path, if a program for `target` is there: `deno compile` would take whatever it is. */
function checked(path: string, target: Target): string {
  const head = new Uint8Array(20);
  try {
    using file = Deno.openSync(path);
    file.readSync(head);
  } catch (error) {
    throw new BaseError(`DENORT_BIN: ${path}: ${error instanceof Error ? error.message : error}`);
  }
  const view = new DataView(head.buffer);
  if (view.getUint16(0) === 0x504b) throw new BaseError(`DENORT_BIN: ${path} is a ZIP archive; name the denort in it`);
  if (view.getUint32(0) !== 0x7f454c46) throw new BaseError(`DENORT_BIN: ${path} is no program for Linux (ELF)`);
  if (view.getUint16(18, true) !== MACHINES[target]) {
    throw new BaseError(`DENORT_BIN: ${path} is not for ${target}; name the denort of that target`);
  }
  return path;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // not there
  }
}
