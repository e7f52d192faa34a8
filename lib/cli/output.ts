/**
 * Where commands print.
 *
 * @module
 */

/** Takes whole lines, line feeds included. */
export interface Output {
  /** What was asked for. */
  out(text: string): void;
  /** Warnings and errors. */
  err(text: string): void;
}

/** Standard output and standard error of this process. */
export const processOutput: Output = {
  out: (text) => write(Deno.stdout, text),
  err: (text) => write(Deno.stderr, text),
};

function write(stream: { writeSync(octets: Uint8Array): number }, text: string): void {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
  } catch (error) {
    // Whoever read has gone (`mc-proxy --help | head -1`): nobody is left to be told.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
