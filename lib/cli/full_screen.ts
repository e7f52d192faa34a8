/**
 * A program that has the whole terminal to itself.
 *
 * @module
 */

import type { Output, Screen } from "./output.ts";

// xterm's control sequences, which every terminal of today knows.
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"; // the alternate screen, no cursor, and lines that are cut at its edge
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[2K";
const TO_END_OF_SCREEN = "\x1b[J";

/** What a program does with the terminal. */
export interface FullScreenProgram {
  /** The lines of the screen, no more than it has. */
  draw(): readonly string[];
  /** Keys were pressed, as the terminal tells it; `"quit"` where the program is to end. */
  input(text: string): "quit" | "go_on";
  /** Ends with the program; it calls `redraw` when there is something new to show. */
  run(redraw: () => void, signal: AbortSignal): Promise<void>;
}

const ENDING: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM", "SIGHUP"];
const RESIZED: Deno.Signal = "SIGWINCH";

/**
 * Runs a program on the alternate screen, until it ends, a key ends it, or a signal. The terminal is then as it was,
 * whatever ended it.
 *
 * @throws What the program throws.
 */
export async function runFullScreen(program: FullScreenProgram, screen: Screen, output: Output): Promise<void> {
  const ending = new AbortController();
  const stop = () => ending.abort();
  const redraw = () => {
    if (ending.signal.aborted) return;
    output.out(frame(program.draw(), screen));
    if (output.isClosed === true) stop();
  };
  const hasKeys = Deno.stdin.isTerminal();
  for (const signal of ENDING) Deno.addSignalListener(signal, stop);
  if (Deno.build.os !== "windows") Deno.addSignalListener(RESIZED, redraw);
  try {
    if (hasKeys) {
      Deno.stdin.setRaw(true);
      void readKeys((text) => {
        if (ending.signal.aborted) return;
        if (program.input(text) === "quit") stop();
        else redraw();
      }, stop);
    }
    output.out(ENTER);
    redraw();
    await program.run(redraw, ending.signal);
  } finally {
    stop();
    output.out(LEAVE);
    if (hasKeys) Deno.stdin.setRaw(false);
    for (const signal of ENDING) Deno.removeSignalListener(signal, stop);
    if (Deno.build.os !== "windows") Deno.removeSignalListener(RESIZED, redraw);
  }
}

/** Reads until the terminal is gone. A read that is under way when the program ends is left to the end of the process. */
async function readKeys(pressed: (text: string) => void, gone: () => void): Promise<void> {
  const buffer = new Uint8Array(256);
  const decoder = new TextDecoder();
  try {
    for (let n = await Deno.stdin.read(buffer); n !== null; n = await Deno.stdin.read(buffer)) {
      pressed(decoder.decode(buffer.subarray(0, n), { stream: true }));
    }
    gone();
  } catch {
    gone(); // the terminal was closed under the read: there is nobody to tell
  }
}

/** Lines that are drawn over those before. What was there goes first: behind a full line the cursor is on its end. */
function frame(lines: readonly string[], screen: Screen): string {
  const { rows } = screen.size();
  const shown = lines.slice(0, rows).map((line) => CLEAR_LINE + line).join("\r\n");
  return HOME + shown + (lines.length < rows ? `\r\n${TO_END_OF_SCREEN}` : "");
}
