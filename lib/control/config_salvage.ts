/**
 * What of a configuration with mistakes is sound: so that whoever looks for all that is wrong can look at its files too.
 *
 * @module
 */

import { isTable } from "./config_schema.ts";
import type { ConfigProblem } from "./config_types.ts";

type Table = Record<string, unknown>;

const ROUTE = /^listeners\[(\d+)\]\.routes\[(\d+)\](?:\.(\w+))?/;
const LISTENER = /^listeners\[(\d+)\](?:\.(\w+))?/;
const SECTION = /^(\w+)(?:\.(\w+))?/;

/** What stands for a key of a route that must be there. Nothing reads it: problems of the same path have been told. */
const ROUTE_STANDINS: Readonly<Table> = { backend: "127.0.0.1:1", tls_cert: "missing.pem", tls_key: "missing.key" };

/** The same of a section. */
const SECTION_STANDINS: Readonly<Record<string, Readonly<Table>>> = {
  database: { path: "missing.db" },
  grpc: { addr: "/missing.sock" },
  metrics: { addr: "127.0.0.1:1" },
};

/**
 * A copy of a configuration's document without what the problems are about: such a key has its default, or a stand-in.
 * Listeners and routes keep their numbers.
 *
 * @param document As it was read from TOML.
 * @param problems Their paths are those of the document.
 */
export function withoutMistakes(document: Readonly<Table>, problems: readonly ConfigProblem[]): Table {
  const copy: Table = structuredClone(document);
  for (const { path } of problems) cut(copy, path);
  return copy;
}

function cut(document: Table, path: string): void {
  const listeners = document["listeners"];
  const route = ROUTE.exec(path);
  const listener = LISTENER.exec(path);
  if (Array.isArray(listeners) && route !== null) {
    const routes = listeners[Number(route[1])]?.routes;
    if (Array.isArray(routes)) cutRoute(routes, Number(route[2]), route[3]);
  } else if (Array.isArray(listeners) && listener !== null) {
    cutListener(listeners, Number(listener[1]), listener[2]);
  } else {
    const [, section = "", key] = SECTION.exec(path) ?? [];
    cutSection(document, section, key);
  }
}

function cutRoute(routes: unknown[], j: number, key: string | undefined): void {
  const route = routes[j];
  const hostname = `missing-${j}.invalid`;
  if (!isTable(route) || key === undefined) routes[j] = { hostname, ...ROUTE_STANDINS };
  else replaceKey(route, key, { hostname, ...ROUTE_STANDINS });
}

function cutListener(listeners: unknown[], i: number, key: string | undefined): void {
  const listener = listeners[i];
  const standins = { addr: `[::1]:${i + 1}`, routes: [] };
  if (!isTable(listener) || key === undefined) listeners[i] = standins;
  else replaceKey(listener, key, standins);
}

function cutSection(document: Table, section: string, key: string | undefined): void {
  const table = document[section];
  const standins = SECTION_STANDINS[section] ?? {};
  if (isTable(table) && key !== undefined) replaceKey(table, key, standins);
  else if (section === "database") document[section] = { ...standins };
  else delete document[section];
}

function replaceKey(table: Table, key: string, standins: Readonly<Table>): void {
  if (Object.hasOwn(standins, key)) table[key] = standins[key];
  else delete table[key];
}
