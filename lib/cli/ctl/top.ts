/**
 * `top`: what a running server does, a second.
 *
 * @module
 */

import { type Command, InvalidArgumentError, Option } from "commander";
import type { AdminClient, Stats } from "../../admin/client.ts";
import { parseDuration } from "../../control/config_duration.ts";
import { ratesBetween } from "../../control/metrics/rates.ts";
import { statsJson } from "../../control/metrics/stats_json.ts";
import { printable } from "../../control/quote.ts";
import { Failure } from "../failure.ts";
import { runFullScreen } from "../full_screen.ts";
import type { Output, Screen } from "../output.ts";
import { type CtlContext, define } from "./command.ts";
import { INITIAL, keysOf, press, type TopState } from "./top_state.ts";
import { topLine, topLines } from "./top_view.ts";

/** Adds `top`. */
export function addTop(parent: Command, context: CtlContext): void {
  define<{ readonly interval: number }>(
    parent.command("top")
      .description("Show what happens a second, by listener, host name and backend, until q or Ctrl-C.")
      .addOption(
        new Option("--interval <duration>", "from one look to the next: 100ms to 60s")
          .argParser(readInterval).default(1_000, "1s"),
      ),
    context,
    {
      examples: ["top -c /srv/mc-proxy/config.toml", "top --interval 5s --json"],
      run: async ({ client, options, screen }) => {
        const isOver = options.json === true || screen === undefined
          ? await print(client, options.interval, options.json === true, context.output)
          : await show(client, options.interval, screen, context.output);
        if (isOver) throw new Failure([`the server at ${client.path} is shutting down`]);
        return undefined;
      },
    },
  );
}

function readInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError('Write for example "500ms" or "5s".');
}

/** Prints a line for each interval, or a document; returns whether the server ended it. */
async function print(client: AdminClient, intervalMs: number, isJson: boolean, output: Output): Promise<boolean> {
  const ending = new AbortController();
  const { signal } = ending;
  const onSignal = () => ending.abort();
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const each of signals) Deno.addSignalListener(each, onSignal);
  let before: Stats | undefined;
  try {
    for await (const stats of client.watchStats({ intervalMs, signal })) {
      if (isJson) output.out(`${JSON.stringify(statsJson(stats))}\n`);
      else if (before !== undefined) output.out(`${topLine({ stats, rates: ratesBetween(before, stats) })}\n`);
      before = stats;
      if (output.isClosed === true) return false;
    }
    return !signal.aborted;
  } finally {
    for (const each of signals) Deno.removeSignalListener(each, onSignal);
  }
}

/** Shows it on the whole screen; returns whether the server ended it. */
async function show(client: AdminClient, intervalMs: number, screen: Screen, output: Output): Promise<boolean> {
  let state: TopState = INITIAL;
  let before: Stats | undefined;
  let now: Stats | undefined;
  let isOver = false;
  await runFullScreen(
    {
      draw: () => {
        if (now === undefined) return [`asking ${printable(client.path)} …`];
        const rates = ratesBetween(before ?? now, now);
        return topLines({ stats: now, rates }, state, { ...screen.size(), hasColours: screen.hasColours });
      },
      input: (text) => {
        for (const key of keysOf(text)) {
          const next = press(state, key);
          if (next === "quit") return "quit";
          state = next;
        }
        return "go_on";
      },
      run: async (redraw, signal) => {
        for await (const stats of client.watchStats({ intervalMs, signal })) {
          [before, now] = [now, stats];
          redraw();
        }
        isOver = !signal.aborted;
      },
    },
    screen,
    output,
  );
  return isOver;
}
