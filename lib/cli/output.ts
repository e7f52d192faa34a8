/**
 * Where commands print.
 *
 * @module
 */

import { fileErrorReason } from "../control/file_access.ts";
import { isJournal } from "../control/journal.ts";
import { priorityPrefix } from "../wire/log_line.ts";
import { readVariable } from "./environment.ts";
import { Failure } from "./failure.ts";

/** Takes whole lines, line feeds included. */
export interface Output {
  /** What was asked for. @throws {Failure} If it cannot be written. */
  out(text: string): void;
  /** Warnings and errors; an error where `level` does not say otherwise. */
  err(text: string, level?: "error" | "warn"): void;
  /** The terminal that `out` prints on; none where that is a file, a pipe, or a terminal that cannot move its cursor. */
  readonly screen?: Screen | undefined;
  /** Whether nobody reads `out` any more. */
  readonly isClosed?: boolean;
}

/** A terminal. */
export interface Screen {
  readonly hasColours: boolean;
  /** In characters, at this moment. */
  size(): { readonly columns: number; readonly rows: number };
}

let isClosed = false;

/** Standard output and standard error of this process. */
export const processOutput: Output = {
  out: (text) => {
    try {
      write(Deno.stdout, text);
    } catch (error) {
      // `mc-proxy --help | head -1`: nobody is left to be told.
      if (error instanceof Deno.errors.BrokenPipe) isClosed = true;
      else throw new Failure([`standard output: ${fileErrorReason(error)}`], { cause: error });
    }
  },
  err: (text, level = "error") => {
    try {
      write(Deno.stderr, isJournal(readVariable("JOURNAL_STREAM")) ? prioritized(text, level) : text);
    } catch {
      // There is nowhere else to say so.
    }
  },
  get screen() {
    return Deno.stdout.isTerminal() && readVariable("TERM") !== "dumb" ? terminal : undefined;
  },
  get isClosed() {
    return isClosed;
  },
};

const terminal: Screen = {
  get hasColours() {
    return !Deno.noColor; // https://no-color.org
  },
  size: () => {
    const { columns, rows } = Deno.consoleSize();
    // A terminal that was told no size, such as a serial line's, says 0.
    return { columns: columns || 80, rows: rows || 24 };
  },
};

/** Lines as the journal of systemd wants them. */
function prioritized(text: string, level: "error" | "warn"): string {
  return text.replaceAll(/^(?=.)/gm, priorityPrefix(level));
}

function write(stream: { writeSync(octets: Uint8Array): number }, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}
