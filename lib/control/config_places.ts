/**
 * Where in its file a configuration says something.
 *
 * @module
 */

import { isTable } from "./config_schema.ts";
import type { ConfigProblem } from "./config_types.ts";
import { quote } from "./quote.ts";
import { tomlLines } from "./toml_lines.ts";

/** What a path begins with that is about a listener, or one of its routes. */
const LISTENER = /^listeners\[(\d+)\](?:\.routes\[(\d+)\])?/;

/** The places of one file. Of a file without problems nothing is looked for. */
export class ConfigPlaces {
  readonly #text: string;
  readonly #document: Readonly<Record<string, unknown>>;
  readonly #variables: ReadonlyMap<string, string>;
  #lines: ReadonlyMap<string, number> | undefined;

  /**
   * @param text A sound TOML document.
   * @param document What was read from it.
   * @param variables The environment variables that override it, by the paths of what they override.
   */
  constructor(
    text: string,
    document: Readonly<Record<string, unknown>>,
    variables: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#text = text;
    this.#document = document;
    this.#variables = variables;
  }

  /** The environment variable that a value comes from; `undefined` where it is the file's, or the default. */
  variable(path: string): string | undefined {
    return this.#variables.get(path);
  }

  /**
   * The line of what a path names, or of the nearest thing around it that the file has; `undefined` where it has none, as
   * of what the environment says.
   */
  line(path: string): number | undefined {
    if (this.#variables.has(path)) return undefined;
    this.#lines ??= tomlLines(this.#text);
    for (let rest = path; rest !== ""; rest = rest.replace(/(?:^|\.)(?:[\w-]+|"(?:\\.|[^"])*")$|\[\d+\]$|[^]$/, "")) {
      const line = this.#lines.get(rest);
      if (line !== undefined) return line;
    }
    return undefined;
  }

  /** A problem in one line: where it is, of which route or listener, and what is wrong. */
  describe({ path, message }: ConfigProblem): string {
    const line = this.line(path);
    const name = this.#name(path);
    const named = this.variable(path) ?? (name === undefined ? path : `${path} (${name})`);
    return [line === undefined ? "" : `line ${line}`, named, message].filter((part) => part !== "").join(": ");
  }

  /** The host name of the route, or the address of the listener, that a path is about; not where the path names that. */
  #name(path: string): string | undefined {
    const [, i, j] = LISTENER.exec(path) ?? [];
    if (i === undefined) return undefined;
    const listener = at(this.#document["listeners"], i);
    const key = j === undefined ? "addr" : "hostname";
    const named = j === undefined ? listener : at(isTable(listener) ? listener["routes"] : undefined, j);
    const name = isTable(named) ? named[key] : undefined;
    if (typeof name !== "string" || name === "" || path.endsWith(`.${key}`)) return undefined;
    return /^[\w.*:[\]-]{1,80}$/.test(name) ? name : quote(name);
  }
}

function at(array: unknown, index: string): unknown {
  return Array.isArray(array) ? array[Number(index)] : undefined;
}
