/**
 * The log that a proxy writes of its connections: whether it is written at all.
 *
 * @module
 */

/** How long a line may take from the end of its connection to the file. */
const TIMEOUT_MS = 5_000;
const POLL_MS = 20;
const NEWLINE = 10;

/** Makes a log begin anew: every proxy appends to it. */
export async function emptyLog(file: string): Promise<void> {
  await Deno.truncate(file);
}

/**
 * Waits until a log has a line for each of so many connections, but not for ever.
 *
 * @returns How many lines it has.
 * @throws {Error} If it has none.
 */
export async function countLines(file: string, wanted: number): Promise<number> {
  const deadline = performance.now() + TIMEOUT_MS;
  let lines = linesOf(await Deno.readFile(file));
  while (lines < wanted && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    lines = linesOf(await Deno.readFile(file));
  }
  if (lines === 0) throw new Error(`${file} is empty: no connection was logged`);
  return lines;
}

function linesOf(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
