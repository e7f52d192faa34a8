/**
 * Which route serves a server name.
 *
 * @module
 */

import { normalizeHostname } from "../wire/hostname.ts";

const MAX_HOSTNAME = 253;
const MAX_LABELS = 127; // as many labels of one letter as 253 octets hold

/**
 * Reads the host name of a route: an exact name, `*.suffix`, or `*`.
 *
 * A wildcard stands for one or more whole labels, so at most 251 octets may follow its `*.`.
 *
 * @returns The pattern in lower case and without a trailing dot, or `undefined` where `text` is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseHostnamePattern("*.Example.COM."), "*.example.com");
 * assert.equal(parseHostnamePattern("*example.com"), undefined);
 * ```
 */
export function parseHostnamePattern(text: string): string | undefined {
  if (text === "*") return text;
  if (!text.startsWith("*.")) return normalizeHostname(text);
  const suffix = normalizeHostname(text.slice(2));
  return suffix === undefined || suffix.length > MAX_HOSTNAME - 2 ? undefined : `*.${suffix}`;
}

/**
 * Host name patterns, each with its value, and the one that fits a server name best: the exact name, else the longest
 * wildcard, else `*`. `*.example.com` fits names one or more labels deeper than `example.com`, never that name itself.
 *
 * A lookup hashes the name once, and one suffix for each label count that some wildcard has: its cost depends neither on
 * the number of routes nor on the number of labels that a client puts in its server name.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const routes = new RouteTable<string>();
 * routes.set("*.example.com", "wildcard");
 * routes.set("www.example.com", "exact");
 * assert.equal(routes.lookup("www.example.com"), "exact");
 * assert.equal(routes.lookup("a.b.example.com"), "wildcard");
 * assert.equal(routes.lookup("example.com"), undefined);
 * ```
 */
export class RouteTable<T extends NonNullable<unknown>> {
  // Keyed by the pattern less its `*`: the empty string is `*`, and a leading dot, which no host name has, a wildcard.
  // A suffix of a server name is thus looked up as it is cut, without building a pattern out of it.
  readonly #routes = new Map<string, T>();
  readonly #wildcardsByLabels = new Uint32Array(MAX_LABELS + 1);
  #mostLabels = 0;

  /** How many patterns there are. */
  get size(): number {
    return this.#routes.size;
  }

  /** Adds or replaces the value of `pattern`, which must be as {@linkcode parseHostnamePattern} gives it. */
  set(pattern: string, value: T): void {
    const key = keyOf(pattern);
    if (isWildcard(key) && !this.#routes.has(key)) this.#countWildcard(key, 1);
    this.#routes.set(key, value);
  }

  /** Removes `pattern`; false where it is not there. */
  delete(pattern: string): boolean {
    const key = keyOf(pattern);
    const found = this.#routes.delete(key);
    if (found && isWildcard(key)) this.#countWildcard(key, -1);
    return found;
  }

  /** The value of `pattern` itself, whatever host names it fits. */
  get(pattern: string): T | undefined {
    return this.#routes.get(keyOf(pattern));
  }

  /**
   * The value whose pattern fits `serverName` best.
   *
   * @param serverName A host name as `normalizeHostname` gives it; `undefined`, no SNI, fits only `*`.
   */
  lookup(serverName: string | undefined): T | undefined {
    if (serverName === undefined) return this.#routes.get("");
    return this.#routes.get(serverName) ?? this.#longestWildcard(serverName) ?? this.#routes.get("");
  }

  #longestWildcard(serverName: string): T | undefined {
    let longest: T | undefined;
    let dot = serverName.length;
    for (let labels = 1; labels <= this.#mostLabels; labels++) {
      dot = serverName.lastIndexOf(".", dot - 1);
      if (dot < 0) break;
      if (this.#wildcardsByLabels[labels] !== 0) longest = this.#routes.get(serverName.slice(dot)) ?? longest;
    }
    return longest;
  }

  #countWildcard(key: string, change: 1 | -1): void {
    const labels = key.split(".").length - 1;
    this.#wildcardsByLabels[labels] = (this.#wildcardsByLabels[labels] ?? 0) + change;
    this.#mostLabels = this.#wildcardsByLabels.findLastIndex((count) => count !== 0);
  }
}

function keyOf(pattern: string): string {
  return pattern.startsWith("*") ? pattern.slice(1) : pattern;
}

function isWildcard(key: string): boolean {
  return key.startsWith(".");
}
