/**
 * How states differ, for people and for programs.
 *
 * @module
 */

import type { Applied, Changed, ListenerSettings, Plan, PlanCounts } from "../../admin/client.ts";
import { countsOf, sizeOf } from "../../control/plan.ts";
import { printable } from "../../control/quote.ts";
import { routeJson } from "./json.ts";
import { describeRoute } from "./routes.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * A line for each change: `+` for what is added, `-` for what is removed, `~` for what becomes another.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const settings = { addr: ":443", proxyProtocol: false };
 * const before = { ...settings, maxConnections: 0 };
 * const rule = { before: undefined, after: { type: "ip", value: "192.0.2.66" } } as const;
 * const listener = { before, after: { ...before, maxConnections: 5000 } };
 * assert.equal(
 *   formatPlan({ listeners: [listener], routes: [], rules: [rule] }),
 *   "~ listener :443: max_connections 0 -> 5000\n+ firewall ip 192.0.2.66\n",
 * );
 * ```
 */
export function formatPlan({ listeners, routes, rules }: Plan): string {
  const lines = [
    ...listeners.map((change) =>
      lineOf(change, ({ addr }) => `listener ${addr}`, describeListener, (settings) => listenerJson(settings))
    ),
    ...routes.map(({ listener, ...change }) =>
      lineOf(
        change,
        ({ hostname }) => `route ${hostname} on ${listener}`,
        describeRoute,
        (route) => routeJson("", route),
      )
    ),
    ...rules.map((change) => lineOf(change, ({ type, value }) => `firewall ${type} ${value}`, () => "", () => ({}))),
  ];
  return lines.map((line) => `${printable(line)}\n`).join("");
}

function lineOf<T>(
  { before, after }: Changed<T>,
  nameOf: (each: T) => string,
  describe: (each: T) => string,
  jsonOf: (each: T) => Json,
): string {
  if (before !== undefined && after !== undefined) {
    return `~ ${nameOf(after)}: ${differences(jsonOf(before), jsonOf(after))}`;
  }
  const [sign, each] = before === undefined ? ["+", after] : ["-", before];
  if (each === undefined) throw new TypeError("a change is of something");
  const description = describe(each);
  return `${sign} ${nameOf(each)}${description === "" ? "" : `: ${description}`}`;
}

function describeListener({ proxyProtocol, maxConnections }: ListenerSettings): string {
  return [
    ...proxyProtocol ? ["proxy_protocol"] : [],
    ...maxConnections > 0 ? [`max_connections=${maxConnections}`] : [],
  ].join(" ");
}

/** The keys that differ, from what to what. */
function differences(before: Json, after: Json): string {
  return Object.keys(after).filter((key) => valueText(before[key]) !== valueText(after[key]))
    .map((key) => `${key} ${valueText(before[key])} -> ${valueText(after[key])}`).join(", ");
}

function valueText(value: unknown): string {
  return typeof value === "string" && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
}

/** What becomes of a plan, in one line. */
export function summary({ plan, kept }: Pick<Applied, "plan" | "kept">, isMade: boolean): string {
  const { added, changed, removed } = countsOf(plan);
  const verbs = isMade ? ["added", "changed", "removed"] : ["to add", "to change", "to remove"];
  const counted = [added, changed, removed].map((n, i) => `${n} ${verbs[i]}`).join(", ");
  const parts = isEmpty(plan) ? "nothing to change" : counted;
  return kept === 0 ? parts : `${parts}; ${kept} that the file lacks ${kept === 1 ? "stays" : "stay"} without --prune`;
}

/** What applies only when the server is started again. */
export function pendingLines({ opening, closing }: Pick<Applied, "opening" | "closing">): string[] {
  return [
    ...opening.map((addr) => `listener ${addr} opens when the server is started again`),
    ...closing.map((addr) => `listener ${addr} closes when the server is started again, and has no routes until then`),
  ];
}

/** What `--json` prints of it. */
export function planJson({ plan, kept, warnings, opening, closing }: Applied): Json & PlanCounts {
  return {
    ...countsOf(plan),
    kept,
    listeners: plan.listeners.map((change) => changeJson(change, listenerJson)),
    routes: plan.routes.map(({ listener, ...change }) => changeJson(change, (route) => routeJson(listener, route))),
    rules: plan.rules.map((change) => changeJson(change, ({ type, value }) => ({ type, value }))),
    opening,
    closing,
    warnings,
  };
}

function changeJson<T>({ before, after }: Changed<T>, jsonOf: (each: T) => Json): Json {
  return { before: before === undefined ? null : jsonOf(before), after: after === undefined ? null : jsonOf(after) };
}

function listenerJson({ addr, proxyProtocol, maxConnections }: ListenerSettings): Json {
  return { addr, proxy_protocol: proxyProtocol, max_connections: maxConnections };
}

/** Whether a plan changes nothing. */
export function isEmpty(plan: Plan): boolean {
  return sizeOf(plan) === 0;
}
