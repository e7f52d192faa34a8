/**
 * Addresses that cannot be listened on together.
 *
 * @module
 */

import { type Binding, localAddressOf, takeSamePort } from "../edge/listen.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import { parseListenAddress } from "../wire/socket_address.ts";
import type { Config, ConfigProblem } from "./config_types.ts";
import { quote } from "./quote.ts";

/** An address to listen on, and where it is written down: `listeners[0].addr`, `metrics.addr`. */
export interface ListenAddress {
  readonly addr: string;
  readonly path: string;
}

/**
 * Where an address is bound.
 *
 * @throws {TypeError} If it is not an address to listen on.
 */
export function bindingOf(addr: string): Binding {
  const parsed = parseListenAddress(addr);
  if (parsed === undefined) throw new TypeError(`not a listen address: ${addr}`);
  return { hostname: parsed.host || "::", port: parsed.port };
}

/**
 * Which addresses cannot be bound together with one that stands before them, as each start and takeover would have to
 * bind them: one problem for each, which names both.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const [problem] = listenConflicts([
 *   { addr: ":443", path: "listeners[0].addr" },
 *   { addr: "127.0.0.1:443", path: "listeners[1].addr" },
 * ]);
 * assert.equal(
 *   problem?.message,
 *   '"127.0.0.1:443" cannot be bound together with ":443" of listeners[0].addr: both take port 443 of 127.0.0.1; ' +
 *     "remove one of them, or give one another port",
 * );
 * ```
 */
export function listenConflicts(addresses: readonly ListenAddress[]): ConfigProblem[] {
  const bindings = addresses.map(({ addr }) => bindingOf(addr));
  return addresses.flatMap(({ addr, path }, i) => {
    const own = bindings[i];
    const first = bindings.findIndex((binding, j) => j < i && own !== undefined && takeSamePort(binding, own));
    const [other, binding] = [addresses[first], bindings[first]];
    if (own === undefined || other === undefined || binding === undefined) return [];
    const message = `${quote(addr)} cannot be bound together with ${quote(other.addr)} of ${other.path}: ` +
      `both take port ${own.port} of ${shared(own, binding)}; remove one of them, or give one another port`;
    return [{ path, message }];
  });
}

/** What is to be listened on beside a state that is asked for. */
export interface Beside {
  /** Listeners that are stored, and stay. */
  readonly stored: readonly { readonly addr: string }[];
  /** Where metrics are served. */
  readonly metrics: ListenAddress | undefined;
}

/**
 * Which listeners of a state that is asked for cannot be bound together with one another; nor, where they are not stored
 * so far, with what is to be there beside them.
 */
export function conflictsOf({ listeners }: Pick<Config, "listeners">, { stored, metrics }: Beside): ConfigProblem[] {
  const wanted = listenAddressesOf({ listeners, metrics: undefined });
  const named = new Set(listeners.map(({ addr }) => addr));
  const known = new Set(stored.map(({ addr }) => addr));
  const path = "the database, which stays without --prune";
  const staying = stored.filter(({ addr }) => !named.has(addr)).map(({ addr }) => ({ addr, path }));
  const added = wanted.filter(({ addr }) => !known.has(addr));
  const own = new Set(added.map(({ path }) => path));
  const beside = metrics === undefined ? staying : [metrics, ...staying];
  const found = [
    ...listenConflicts(wanted),
    ...listenConflicts([...beside, ...added]).filter(({ path }) => own.has(path)),
  ];
  return [...new Map(found.map((problem) => [problem.path, problem])).values()];
}

/** The addresses of a configuration, in the order in which a start binds them. */
export function listenAddressesOf({ listeners, metrics }: Pick<Config, "listeners" | "metrics">): ListenAddress[] {
  const addresses = listeners.map(({ addr }, i) => ({ addr, path: `listeners[${i}].addr` }));
  return metrics === undefined ? addresses : [...addresses, { addr: metrics.addr, path: "metrics.addr" }];
}

/** What two bindings of one port have in common: what the one of them is that says more. */
function shared(a: Binding, b: Binding): string {
  const [narrow = ""] = [a.hostname, b.hostname].sort((one, other) => breadth(one) - breadth(other));
  const address = localAddressOf(narrow);
  switch (breadth(narrow)) {
    case 0:
      return address === undefined ? narrow : formatIpAddress(address);
    case 1:
      return "every IPv4 address";
    default:
      return "every address";
  }
}

function breadth(hostname: string): number {
  return hostname === "::" ? 2 : hostname === "0.0.0.0" ? 1 : 0;
}
