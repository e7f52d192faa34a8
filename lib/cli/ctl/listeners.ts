/**
 * `ctl listeners`: what is listened on, and how much is let in.
 *
 * @module
 */

import { Argument, type Command, InvalidArgumentError } from "commander";
import { MAX_CONNECTIONS } from "../../control/config_schema.ts";
import { printable } from "../../control/quote.ts";
import { addExamples, type CtlContext, define } from "./command.ts";
import { listenerJson } from "./json.ts";
import { formatTable } from "./table.ts";

/** Adds `listeners` and its subcommands. */
export function addListeners(parent: Command, context: CtlContext): void {
  const listeners = parent.command("listeners").description("List the listeners, and limit their connections.");
  addExamples(listeners, [
    `${context.invocation} listeners list`,
    `${context.invocation} listeners set-max-connections :443 5000`,
  ]);
  define(listeners.command("list").description("List the listeners."), context, {
    examples: ["listeners list"],
    run: async ({ client, screen }) => {
      const { listeners } = await client.getStatus({ omitRoutes: true });
      const rows = listeners.map(({ addr, boundAddr, proxyProtocol, counts, maxConnections, routeCount }) => [
        addr,
        boundAddr || "not open",
        proxyProtocol ? "required" : "no",
        String(counts.active),
        maxConnections === 0 ? "none" : String(maxConnections),
        String(routeCount),
      ]);
      return { text: formatTable(COLUMNS, rows, screen), json: listeners.map(listenerJson) };
    },
  });
  define(
    listeners.command("set-max-connections")
      .description("Limit the open connections of a listener; those that are open stay open.")
      .argument("<LISTENER>", 'its addr as configured, such as ":443"')
      .addArgument(new Argument("<N>", "how many; 0: no limit").argParser(readLimit)),
    context,
    {
      examples: ["listeners set-max-connections :443 5000"],
      run: async ({ client, args: [listener = "", n] }) => {
        const max = Number(n);
        const previous = await client.setListenerMaxConnections(listener, max);
        const result = previous === max ? "unchanged" : "changed";
        const was = previous === max ? "unchanged" : `was ${limit(previous)}`;
        return {
          text: `${printable(listener)}: ${limit(max)} (${was})\n`,
          json: { result, listener, max_connections: max, previous },
        };
      },
    },
  );
}

const COLUMNS = [
  { header: "LISTENER" },
  { header: "BOUND TO" },
  { header: "PROXY HEADER" },
  { header: "ACTIVE", align: "right" },
  { header: "LIMIT", align: "right" },
  { header: "ROUTES", align: "right" },
] as const;

function limit(max: number): string {
  return max === 0 ? "no limit" : `at most ${max}`;
}

function readLimit(text: string): string {
  if (/^\d{1,10}$/.test(text) && Number(text) <= MAX_CONNECTIONS) return text;
  throw new InvalidArgumentError(`Expected a whole number from 0 (no limit) to ${MAX_CONNECTIONS}.`);
}
