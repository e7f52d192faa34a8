/**
 * Writes the events of the log into docs/LOG.md, from the table that the program goes by: `deno task log-docs`.
 *
 * @module
 */

import { formatted } from "./docs/formatted.ts";
import { type EventSpec, type FieldSpec, LOG_EVENTS } from "../lib/control/log_events.ts";
import { ROOT } from "./program.ts";

const FILE = `${ROOT}docs/LOG.md`;

/** What stands before and behind the events. */
const BEGIN = "<!-- The events, by `deno task log-docs` -->";
const END = "<!-- The end of the events -->";

/** docs/LOG.md with the events as they are now, before it is formatted. */
export function withEvents(page: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/LOG.md lacks "${BEGIN}" or "${END}"`);
  const events = Object.entries(LOG_EVENTS).map(([name, event]) => describe(name, event));
  return `${page.slice(0, begin)}${BEGIN}\n\n${events.join("\n")}\n${page.slice(end)}`;
}

function describe(name: string, { level, always, message, meaning, remedy, fields }: EventSpec): string {
  const level_ = always === true ? `${level}, written at every level of the log` : level;
  const said = message === undefined ? "" : `, "${message}"`;
  const rows = fieldRows(fields);
  return [
    `### \`${name}\`\n`,
    `Level: ${level_}${said}. ${meaning}\n`,
    ...remedy === undefined ? [] : [`What to do: ${remedy}\n`],
    ...rows.length === 0 ? [] : ["| field | type | is |\n| --- | --- | --- |", ...rows, ""],
  ].join("\n");
}

/** A row for each field; those that are described by the very same words share one. */
function fieldRows(fields: Readonly<Record<string, FieldSpec>>): string[] {
  const alike = Map.groupBy(Object.entries(fields), ([, spec]) => spec);
  return Array.from(alike, ([{ type, optional, about }, all]) => {
    const names = all.map(([name]) => `\`${name}\``).join(", ");
    return `| ${names} | ${type}${optional ? ", or left out" : ""} | ${about} |`;
  });
}

if (import.meta.main) {
  await Deno.writeTextFile(FILE, await formatted(withEvents(await Deno.readTextFile(FILE))));
}
