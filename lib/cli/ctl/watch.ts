/**
 * Printing something again and again.
 *
 * @module
 */

import type { Output, Screen } from "../output.ts";
import { count } from "./units.ts";

const EVERY_MS = 1_000;

// xterm's control sequences, which every terminal of today knows.
const ENTER = "\x1b[?1049h\x1b[?25l"; // the alternate screen, without a cursor
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const TO_END_OF_LINE = "\x1b[K";
const TO_END_OF_SCREEN = "\x1b[J";

/**
 * Prints the state that `read` reads, each second until SIGINT or SIGTERM, or until nobody reads it any more.
 *
 * On a screen each state is drawn over the one before, and what was there is back in the end. Elsewhere, and as JSON, one
 * is printed below the other.
 *
 * @throws What `read` throws.
 */
export async function watch(
  read: () => Promise<{ readonly text: string; readonly json: unknown }>,
  isJson: boolean,
  output: Output,
): Promise<void> {
  const screen = isJson ? undefined : output.screen;
  const stopped = Promise.withResolvers<"stopped">();
  const onSignal = () => stopped.resolve("stopped");
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  let isFirst = true;
  try {
    if (screen !== undefined) output.out(ENTER);
    while (output.isClosed !== true) {
      const state = await Promise.race([read(), stopped.promise]);
      if (state === "stopped") return;
      if (screen !== undefined) output.out(frame(state.text, screen));
      else if (isJson) output.out(`${JSON.stringify(state.json)}\n`);
      else output.out(isFirst ? state.text : `\n${state.text}`);
      isFirst = false;
      if (await Promise.race([pause(), stopped.promise]) === "stopped") return;
    }
  } finally {
    if (screen !== undefined) output.out(LEAVE);
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, EVERY_MS));
}

/** A text drawn over the one before; where it is longer than the screen, its last line says so. */
export function frame(text: string, screen: Screen): string {
  const { columns, rows } = screen.size();
  const lines = text.trimEnd().split("\n");
  const height = (line: string) => Math.max(1, Math.ceil(visibleLength(line) / columns));
  let free = rows - 1;
  let shown = 0;
  for (const line of lines) {
    if (height(line) > free) break;
    free -= height(line);
    shown++;
  }
  const last = shown === lines.length
    ? "each second; Ctrl-C ends"
    : `${count(lines.length - shown, "more line")}; Ctrl-C ends`;
  return HOME + [...lines.slice(0, shown), last].join(`${TO_END_OF_LINE}\r\n`) + TO_END_OF_LINE + TO_END_OF_SCREEN;
}

function visibleLength(line: string): number {
  // deno-lint-ignore no-control-regex -- the bold of a table's header takes no room
  return line.replaceAll(/\x1b\[\d+m/g, "").length;
}
