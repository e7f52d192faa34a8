/**
 * On which line of a TOML document each of its values stands: the parser does not tell.
 *
 * @module
 */

import { parse } from "smol-toml";
import { quote } from "./quote.ts";

/**
 * A key in a path: a bare key of TOML as it is, any other in quotes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(["tls_cert", "a b"].map(keyText), ["tls_cert", '"a b"']);
 * ```
 */
export function keyText(key: string): string {
  return /^[\w-]{1,80}$/.test(key) ? key : quote(key);
}

/**
 * The line of each table, key and element of an array, counted from 1, by its path: `listeners[0].routes[2].backend`. A
 * table's is the line of its header, a key's that on which the key stands.
 *
 * @param text A sound TOML document (https://toml.io/en/v1.0.0); of any other the outcome means nothing.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const lines = tomlLines('[[listeners]]\naddr = ":443"\n\n  [[listeners.routes]]\n  hostname = "a.test"\n');
 * assert.deepEqual([lines.get("listeners[0].addr"), lines.get("listeners[0].routes[0]")], [2, 4]);
 * ```
 */
export function tomlLines(text: string): ReadonlyMap<string, number> {
  return new Scanner(text).run();
}

class Scanner {
  readonly #text: string;
  readonly #lines = new Map<string, number>();
  /** How many tables each array of tables has so far, by its path. */
  readonly #tables = new Map<string, number>();
  #at = 0;
  /** Where the line was counted to. */
  #counted = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  run(): ReadonlyMap<string, number> {
    let table = "";
    for (;;) {
      this.#skip(/[\s]+|#[^\n]*/y);
      if (this.#at >= this.#text.length) return this.#lines;
      const line = this.#lineNow();
      if (this.#peek() === "[") {
        table = this.#header(line);
      } else {
        this.#pair(table);
      }
    }
  }

  /** `[a.b]` or `[[a.b]]`; returns the path of its table. */
  #header(line: number): string {
    const isArray = this.#text.startsWith("[[", this.#at);
    this.#at += isArray ? 2 : 1;
    const keys = this.#keys();
    this.#at += isArray ? 2 : 1;
    let path = "";
    keys.forEach((key, i) => {
      path = join(path, key);
      const isLast = i === keys.length - 1;
      if (isLast && isArray) this.#tables.set(path, (this.#tables.get(path) ?? 0) + 1);
      this.#note(path, line);
      const count = this.#tables.get(path);
      if (count !== undefined) path = `${path}[${count - 1}]`;
    });
    this.#note(path, line);
    return path;
  }

  /** `a.b = value` in a table. */
  #pair(table: string): void {
    const line = this.#lineNow();
    let path = table;
    for (const key of this.#keys()) {
      path = join(path, key);
      this.#note(path, line);
    }
    this.#at++; // "="
    this.#value(path);
  }

  #value(path: string): void {
    this.#skip(/[ \t]+/y);
    const string = this.#match(/"""(?:\\[^]|[^\\])*?"{3,5}(?!")|'''[^]*?'{3,5}(?!')|"(?:\\.|[^"\\\n])*"|'[^'\n]*'/y);
    if (string !== undefined) return;
    switch (this.#peek()) {
      case "[":
        return this.#array(path);
      case "{":
        return this.#inlineTable(path);
      default:
        if (this.#match(/[^,\]}#\n]+/y) === undefined) this.#at++; // never in a sound document
    }
  }

  #array(path: string): void {
    this.#at++;
    for (let index = 0;; index++) {
      this.#skip(/[\s,]+|#[^\n]*/y);
      if (this.#at >= this.#text.length || this.#peek() === "]") break;
      const element = `${path}[${index}]`;
      this.#note(element, this.#lineNow());
      this.#value(element);
    }
    this.#at++;
  }

  #inlineTable(path: string): void {
    this.#at++;
    for (;;) {
      this.#skip(/[\s,]+|#[^\n]*/y);
      if (this.#at >= this.#text.length || this.#peek() === "}") break;
      this.#pair(path);
    }
    this.#at++;
  }

  /** The keys of a dotted key, up to what stands behind it. */
  #keys(): string[] {
    const keys: string[] = [];
    for (;;) {
      this.#skip(/[ \t]+/y);
      const key = this.#match(/"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[\w-]+/y) ?? "";
      keys.push(/^["']/.test(key) ? Object.keys(parse(`${key} = 0`))[0] ?? "" : key);
      this.#skip(/[ \t]+/y);
      if (this.#peek() !== ".") return keys;
      this.#at++;
    }
  }

  #note(path: string, line: number): void {
    if (!this.#lines.has(path)) this.#lines.set(path, line);
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #skip(what: RegExp): void {
    while (this.#match(what));
  }

  /** What a sticky pattern finds here, passed over. */
  #match(what: RegExp): string | undefined {
    what.lastIndex = this.#at;
    const found = what.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #lineNow(): number {
    for (; this.#counted < this.#at; this.#counted++) if (this.#text[this.#counted] === "\n") this.#line++;
    return this.#line;
  }
}

function join(path: string, key: string): string {
  return path === "" ? keyText(key) : `${path}.${keyText(key)}`;
}
