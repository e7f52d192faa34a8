/**
 * docs/CONFIG.md, made from the schema of the configuration file and what config_keys.ts says of its keys.
 *
 * @module
 */

import * as v from "valibot";
import { stringify } from "smol-toml";
import { variableOf } from "../../lib/control/config_environment.ts";
import { storedSchema, TABLES } from "../../lib/control/config_schema.ts";
import { type KeyText, TEXTS } from "./config_keys.ts";

const INTRODUCTION = `\
# The configuration file

<!-- Written by "deno task docs" from the schema of the program. -->

One TOML file. Keys that are not on this page are errors; \`mc-proxy check -c FILE\` tells all that is wrong with a file
at once, each with its line, its path and its host name, such as
\`line 14: listeners[0].routes[2].backend (git.example.net)\`. Relative paths are taken from the file's folder.
A duration is text: \`"250ms"\`, \`"5s"\`, \`"1m30s"\`. [config/example.toml](../config/example.toml) is a whole file.

**When it is read.** At each start. But listeners, routes, policies and the lists of the firewall only *seed* a database
that is new: from then on the database is the truth, a start with a file that differs says so in one line of the log, and
[\`ctl diff\`, \`ctl apply\` and \`ctl export\`](CTL.md#a-configuration-in-git) bring file and database together. Below, such
keys are "stored".

**SIGHUP** does not read this file. It loads the GeoIP database anew, and looks at once at the certificates and keys of
L7 routes, which are otherwise looked at every few seconds. A file that cannot be used is logged, and the one before
stays in use; the line \`reloaded\` says that all were looked at. All else takes a restart, or where it is stored, \`ctl\`.

**The environment** overrides single values, those that name a variable below: \`MCPROXY_LOG_LEVEL=debug\`. It does not
override lists, nor what is in tables of which there may be many.
`;

/** The whole page, before it is formatted. */
export function configPage(): string {
  const names = Object.keys(TABLES) as (keyof typeof TABLES)[];
  return [INTRODUCTION, ...names.map(tableSection)].join("\n");
}

function tableSection(table: keyof typeof TABLES): string {
  const isArray = table.startsWith("listeners");
  const header = isArray ? `[[${table}]]` : `[${table}]`;
  const keys: Readonly<Record<string, v.GenericSchema>> = TABLES[table];
  const texts: Readonly<Record<string, KeyText>> = TEXTS[table].keys;
  const sections = Object.entries(keys).map(([key, schema]) => {
    const text = texts[key];
    if (text === undefined) throw new TypeError(`config_keys.ts has nothing about ${table}.${key}`);
    return keySection(table, key, schema, text);
  });
  return [`## \`${header}\``, "", TEXTS[table].about, "", ...sections].join("\n");
}

function keySection(table: string, key: string, schema: v.GenericSchema, { does, example, text }: KeyText): string {
  const facts = [`${typeText(schema, text)}; ${defaultText(schema)}`, `for example \`${key} = ${example}\``];
  const variable = variableOf(table, key);
  if (isStored(table, key)) facts.push("stored: it seeds a new database");
  else facts.push(`read at each start${variable === undefined ? "" : `; \`${variable}\` overrides it`}`);
  return [`### \`${table}.${key}\``, "", does, "", ...facts.map((fact) => `- ${fact}`), ""].join("\n");
}

/** Whether a key seeds the database, and is not looked at any more where there is one. */
export function isStored(table: string, key: string): boolean {
  if (table !== "firewall") return table.startsWith("listeners");
  return v.safeParse(storedSchema, { listeners: [], firewall: { ...STORED_FIREWALL, [key]: [] } }).success;
}

const STORED_FIREWALL = { blocked_ips: [], blocked_cidrs: [], blocked_countries: [] };

/** What a key takes, in words. */
function typeText(schema: v.GenericSchema, text: string | undefined): string {
  const type = "wrapped" in schema ? schema.wrapped as v.GenericSchema : schema; // of one that has a default
  const description = v.getDescription(type);
  if (description !== undefined) return description;
  if ("options" in type && Array.isArray(type.options)) return `one of ${type.options.map(code).join(", ")}`;
  switch (type.type) {
    case "boolean":
      return "`true` or `false`";
    case "array":
      return (type as v.ArraySchema<v.GenericSchema, undefined>).item.type === "string"
        ? "an array of strings"
        : "an array of tables";
    case "string":
      if (text !== undefined) return `a string: ${text}`;
  }
  throw new TypeError(`a key of type ${type.type} is to be described, in the schema or in config_keys.ts`);
}

function defaultText(schema: v.GenericSchema): string {
  return "default" in schema ? `default ${code(schema.default)}` : "required";
}

function code(value: unknown): string {
  return `\`${stringify({ x: value }).replace(/^x = (.*)\n$/, "$1")}\``;
}
