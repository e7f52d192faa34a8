/**
 * PEM files (RFC 7468): text with blocks between `-----BEGIN X-----` and `-----END X-----`.
 *
 * @module
 */

import { fileErrorReason, notAFile } from "./file_access.ts";
import { printable } from "./quote.ts";

/** Far more than any chain needs, and little to read by mistake. */
const MAX_OCTETS = 1024 * 1024;

const BEGIN = "-----BEGIN ";
const DASHES = "-----";

/** One block of a PEM file. */
export interface PemBlock {
  /** What it says it is: `CERTIFICATE`, `PRIVATE KEY`. */
  readonly label: string;
  /** The whole block with its first and last line, and a line feed behind it. */
  readonly text: string;
}

/** The blocks of a PEM file in their order, at least one; or why it has none, to be shown as it stands. */
export type PemReading =
  | { readonly kind: "ok"; readonly blocks: readonly PemBlock[] }
  | { readonly kind: "wrong"; readonly message: string };

/** Reads a PEM file of at most 1 MiB; what stands outside its blocks is passed over (RFC 7468 §5.2). */
export function readPemFile(path: string): PemReading {
  try {
    const reading = readText(path);
    return "wrong" in reading ? wrong(path, reading.wrong) : blocksOf(path, reading.text);
  } catch (error) {
    return wrong(path, fileErrorReason(error));
  }
}

/** @throws Where the file cannot be opened or read. */
function readText(path: string): { text: string } | { wrong: string } {
  const obstacle = notAFile(path);
  if (obstacle !== undefined) return { wrong: obstacle };
  const { size } = Deno.statSync(path);
  if (size > MAX_OCTETS) return { wrong: "is larger than 1 MiB; name a PEM file" };
  return { text: Deno.readTextFileSync(path) };
}

function blocksOf(path: string, text: string): PemReading {
  const blocks: PemBlock[] = [];
  for (let begin = text.indexOf(BEGIN); begin >= 0;) {
    const label = text.slice(begin + BEGIN.length, begin + BEGIN.length + 80).split(DASHES, 1).join();
    const last = `${DASHES}END ${label}${DASHES}`;
    const end = text.indexOf(last, begin);
    if (end < 0) return wrong(path, "ends, or goes wrong, within a PEM block; write the whole file anew");
    blocks.push({ label, text: `${text.slice(begin, end)}${last}\n`.replaceAll("\r\n", "\n") });
    begin = text.indexOf(BEGIN, end);
  }
  if (blocks.length > 0) return { kind: "ok", blocks };
  if (text.trim() === "") return wrong(path, "is empty");
  return wrong(path, `is not PEM: it has no "${BEGIN}" line`);
}

function wrong(path: string, reason: string): PemReading {
  return { kind: "wrong", message: `${printable(path)}: ${reason}` };
}
