/**
 * `ctl export`: the configuration of a running server, as a file.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { fileErrorReason, fileExists } from "../../control/file_access.ts";
import { PRIVATE_MODE } from "../../control/private_file.ts";
import { printable } from "../../control/quote.ts";
import { folderProblem } from "../../control/store/store_error.ts";
import { Failure } from "../failure.ts";
import { type CtlContext, define } from "./command.ts";

/** Adds `export`. */
export function addExport(parent: Command, context: CtlContext): void {
  define<{ readonly out?: string; readonly force?: true }>(
    parent.command("export")
      .description("Print the configuration file with which a server on a new database is what this one is.")
      .option("-o, --out <file>", "write it to this new file")
      .option("--force", "with -o: replace the file where there is one"),
    context,
    {
      examples: ["export", "export -o /srv/mc-proxy/config.toml --force"],
      run: async ({ client, options: { out, force = false } }) => {
        const toml = await client.exportToml();
        if (out === undefined) return { text: toml, json: { toml } };
        const size = writeWhole(out, toml, force);
        return { text: `${printable(out)} (${size} bytes)\n`, json: { file: out, size } };
      },
    },
  );
}

/**
 * Writes a file that is there whole or not at all, by another name first. A new one is its owner's alone; one
 * that is replaced keeps its rights.
 *
 * @returns Its size in octets.
 * @throws {Failure} If it exists and is not to be replaced, or cannot be written.
 */
function writeWhole(out: string, text: string, replaces: boolean): number {
  const failure = (reason: string) => new Failure([`${out}: ${reason}`]);
  const special = "is no regular file; leave out -o, and redirect the output there";
  try {
    if (out.endsWith("/")) throw failure("is the name of a folder; name a file");
    const exists = fileExists(out);
    if (exists && isSpecial(out)) throw failure(special);
    if (exists && !replaces) throw failure("exists already; name a new file, or add --force");
    const folder = folderProblem(out);
    if (folder !== undefined) throw failure(folder);
    const target = exists ? Deno.realPathSync(out) : out; // a link stays one
    if (exists && Deno.statSync(target).isDirectory) throw failure("is a folder, not a file");
    const temporary = join(dirname(target), `.${basename(target)}.${crypto.randomUUID().slice(0, 8)}`);
    const octets = new TextEncoder().encode(text);
    try {
      {
        const mode = exists ? Deno.statSync(target).mode : null;
        using file = Deno.openSync(temporary, { write: true, createNew: true, mode: PRIVATE_MODE });
        for (let rest = octets; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
        file.syncSync();
        if (mode !== null) Deno.chmodSync(temporary, mode & 0o7777);
      }
      Deno.renameSync(temporary, target);
    } finally {
      if (fileExists(temporary)) Deno.removeSync(temporary);
    }
    return octets.length;
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof Deno.errors.NotCapable) throw failure(special); // a device; files are all allowed
    throw failure(fileErrorReason(error));
  }
}

/** Whether a path is that of a device, a pipe or the like: what is written there does not stay, and nothing is replaced. */
function isSpecial(path: string): boolean {
  const { isFile, isDirectory } = Deno.statSync(path);
  return !isFile && !isDirectory;
}
