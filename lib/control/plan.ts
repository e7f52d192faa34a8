/**
 * How one stored state differs from another, change by change.
 *
 * @module
 */

import type { FirewallRule } from "../rules/firewall.ts";
import type { ListenerConfig, RouteConfig, StoredState } from "./config_types.ts";
import { rulesOf } from "./firewall_rules.ts";

/** A thing before and after a change: without a before it is added, without an after removed. */
export interface Changed<T> {
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** A listener without its routes. */
export type ListenerSettings = Omit<ListenerConfig, "routes">;

/** A change of a listener's settings. */
export type ListenerChange = Changed<ListenerSettings>;

/** A change of a route. */
export interface RouteChange extends Changed<RouteConfig> {
  /** The `addr` of its listener. */
  readonly listener: string;
}

/** A rule that is added or removed. */
export type RuleChange = Changed<FirewallRule>;

/** All that makes one state of another. In each list, removals stand behind. */
export interface Plan {
  readonly listeners: readonly ListenerChange[];
  /** Those of listeners that are removed are removed one by one. */
  readonly routes: readonly RouteChange[];
  readonly rules: readonly RuleChange[];
}

/**
 * What makes `wanted` of `current`; the order of listeners, routes and rules is no difference, that of a route's policies
 * is.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const firewall = { blockedIps: ["192.0.2.1"], blockedCidrs: [], blockedCountries: [] };
 * const plan = planOf({ listeners: [], firewall }, { listeners: [], firewall: { ...firewall, blockedIps: [] } });
 * assert.deepEqual(plan, {
 *   listeners: [],
 *   routes: [],
 *   rules: [{ before: { type: "ip", value: "192.0.2.1" }, after: undefined }],
 * });
 * ```
 */
export function planOf(current: StoredState, wanted: StoredState): Plan {
  const listeners = new Map(current.listeners.map((listener) => [listener.addr, listener]));
  const wantedAddrs = new Set(wanted.listeners.map(({ addr }) => addr));
  const gone = current.listeners.filter(({ addr }) => !wantedAddrs.has(addr));
  return {
    listeners: changesOf(current.listeners.map(settingsOf), wanted.listeners.map(settingsOf), ({ addr }) => addr),
    routes: [
      ...wanted.listeners.flatMap(({ addr, routes }) => routeChanges(addr, listeners.get(addr)?.routes ?? [], routes)),
      ...gone.flatMap(({ addr, routes }) => routeChanges(addr, routes, [])),
    ],
    rules: changesOf(rulesOf(current.firewall), rulesOf(wanted.firewall), ({ type, value }) => `${type} ${value}`),
  };
}

function settingsOf({ routes: _, ...settings }: ListenerConfig): ListenerSettings {
  return settings;
}

function routeChanges(listener: string, before: readonly RouteConfig[], after: readonly RouteConfig[]): RouteChange[] {
  return changesOf(before, after, ({ hostname }) => hostname).map((change) => ({ listener, ...change }));
}

function changesOf<T>(before: readonly T[], after: readonly T[], nameOf: (each: T) => string): Changed<T>[] {
  const rest = new Map(before.map((each) => [nameOf(each), each]));
  const changes: Changed<T>[] = [];
  for (const each of after) {
    const old = rest.get(nameOf(each));
    rest.delete(nameOf(each));
    if (old === undefined || !isSame(old, each)) changes.push({ before: old, after: each });
  }
  return [...changes, ...rest.values().map((old) => ({ before: old, after: undefined }))];
}

/** Whether two values of the configuration are the same. */
export function isSame<T>(a: T, b: T): boolean {
  return JSON.stringify(a) === JSON.stringify(b); // both were made by the same few functions, key by key in one order
}

/** A plan without its removals, and how many those are. */
export function withoutRemovals({ listeners, routes, rules }: Plan): { readonly plan: Plan; readonly kept: number } {
  const plan = { listeners: staying(listeners), routes: staying(routes), rules: staying(rules) };
  return { plan, kept: sizeOf({ listeners, routes, rules }) - sizeOf(plan) };
}

function staying<Change extends Changed<unknown>>(changes: readonly Change[]): Change[] {
  return changes.filter(({ after }) => after !== undefined);
}

/** How many changes a plan has. */
export function sizeOf({ listeners, routes, rules }: Plan): number {
  return listeners.length + routes.length + rules.length;
}

/** How many things a plan adds, changes and removes. */
export interface PlanCounts {
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

/** Counts the changes of a plan by what they do. */
export function countsOf({ listeners, routes, rules }: Plan): PlanCounts {
  const counts = { added: 0, changed: 0, removed: 0 };
  for (const { before, after } of [...listeners, ...routes, ...rules]) {
    counts[before === undefined ? "added" : after === undefined ? "removed" : "changed"]++;
  }
  return counts;
}

/** What takes a plan back. */
export function inverse({ listeners, routes, rules }: Plan): Plan {
  return { listeners: listeners.map(swapped), routes: routes.map(swapped), rules: rules.map(swapped) };
}

function swapped<Change extends Changed<unknown>>(change: Change): Change {
  return { ...change, before: change.after, after: change.before };
}
