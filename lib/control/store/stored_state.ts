/**
 * The stored state to and from the tables. Rows come back in the order in which they were put in.
 *
 * @module
 */

import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import type { FirewallRule } from "../../rules/firewall.ts";
import {
  BACKEND_PROTOCOLS,
  type FirewallRules,
  L7_POLICY_TYPES,
  type L7PolicyConfig,
  type ListenerConfig,
  ROUTE_MODES,
  type RouteConfig,
  type StoredState,
} from "../config_types.ts";
import { rulesOf } from "../firewall_rules.ts";
import type { Plan } from "../plan.ts";

type Row = Readonly<Record<string, SQLOutputValue>>;

const INSERT_RULE = "INSERT INTO firewall_rules (type, value) VALUES (?, ?) ON CONFLICT DO NOTHING";
const INSERT_POLICY = "INSERT INTO l7_policies (route_id, type, value, position) VALUES (?, ?, ?, ?)";
const DELETE_RULE = "DELETE FROM firewall_rules WHERE type = ? AND value = ?";
const DELETE_ROUTE =
  "DELETE FROM routes WHERE hostname = ? AND listener_id = (SELECT id FROM listeners WHERE addr = ?)";
/** In the place of a route of the same host name, which keeps its id and so its turn in lists. */
const PUT_ROUTE = `
  INSERT INTO routes (listener_id, hostname, backend, mode, send_proxy_protocol, tls_cert, tls_key, backend_tls,
    backend_protocol, backend_ca, backend_server_name, backend_pins, backend_timeout_ms, backend_max_connections,
    allow_trace)
  VALUES ((SELECT id FROM listeners WHERE addr = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (listener_id, hostname) DO UPDATE SET backend = excluded.backend, mode = excluded.mode,
    send_proxy_protocol = excluded.send_proxy_protocol, tls_cert = excluded.tls_cert, tls_key = excluded.tls_key,
    backend_tls = excluded.backend_tls, backend_protocol = excluded.backend_protocol,
    backend_ca = excluded.backend_ca, backend_server_name = excluded.backend_server_name,
    backend_pins = excluded.backend_pins, backend_timeout_ms = excluded.backend_timeout_ms,
    backend_max_connections = excluded.backend_max_connections, allow_trace = excluded.allow_trace
  RETURNING id`;

/** Puts `state` into empty tables. */
export function insertState(db: DatabaseSync, state: StoredState): void {
  const addListener = db.prepare(
    "INSERT INTO listeners (addr, proxy_protocol, max_connections) VALUES (?, ?, ?)",
  );
  const put = routeWriter(db);
  for (const { addr, proxyProtocol, maxConnections, routes } of state.listeners) {
    addListener.run(addr, Number(proxyProtocol), maxConnections);
    for (const route of routes) put(addr, route);
  }
  const addRule = db.prepare(INSERT_RULE);
  for (const { type, value } of rulesOf(state.firewall)) addRule.run(type, value);
}

/** Puts `state` in the place of all there is. */
export function replaceState(db: DatabaseSync, state: StoredState): void {
  db.exec("DELETE FROM listeners; DELETE FROM firewall_rules"); // routes and policies go with their listeners
  insertState(db, state);
}

/** Makes the changes of a plan. */
export function applyPlan(db: DatabaseSync, { listeners, routes, rules }: Plan): void {
  const put = routeWriter(db);
  const remove = db.prepare(DELETE_ROUTE);
  for (const { after } of listeners) if (after !== undefined) putListener(db, after);
  for (const { listener, before, after } of routes) {
    if (after !== undefined) put(listener, after);
    else if (before !== undefined) remove.run(before.hostname, listener);
  }
  for (const { before, after } of listeners) if (after === undefined && before) deleteListener(db, before.addr);
  const addRule = db.prepare(INSERT_RULE);
  const removeRule = db.prepare(DELETE_RULE);
  for (const { before, after } of rules) {
    if (after !== undefined) addRule.run(after.type, after.value);
    else if (before !== undefined) removeRule.run(before.type, before.value);
  }
}

function putListener(db: DatabaseSync, { addr, proxyProtocol, maxConnections }: Omit<ListenerConfig, "routes">): void {
  db.prepare(`INSERT INTO listeners (addr, proxy_protocol, max_connections) VALUES (?, ?, ?) ON CONFLICT (addr)
    DO UPDATE SET proxy_protocol = excluded.proxy_protocol, max_connections = excluded.max_connections`)
    .run(addr, Number(proxyProtocol), maxConnections);
}

function deleteListener(db: DatabaseSync, addr: string): void {
  db.prepare("DELETE FROM listeners WHERE addr = ?").run(addr);
}

function routeColumns(route: RouteConfig): SQLInputValue[] {
  return [
    route.hostname,
    route.backend,
    route.mode,
    Number(route.sendProxyProtocol),
    route.tlsCert,
    route.tlsKey,
    Number(route.backendTls),
    route.backendProtocol,
    route.backendCa,
    route.backendServerName,
    route.backendPins.join(" "),
    route.backendTimeoutMs,
    route.backendMaxConnections,
    Number(route.allowTrace),
  ];
}

/** Reads everything, with one query a table. */
export function selectState(db: DatabaseSync): StoredState {
  const rows = (sql: string): Row[] => db.prepare(sql).all();
  const policies = Map.groupBy(
    rows("SELECT * FROM l7_policies ORDER BY route_id, position, id"),
    (row) => row.route_id,
  );
  const routes = Map.groupBy(rows("SELECT * FROM routes ORDER BY id"), (row) => row.listener_id);
  return {
    listeners: rows("SELECT * FROM listeners ORDER BY id").map((row) =>
      listenerOf(row, (routes.get(row.id) ?? []).map((route) => routeOf(route, policies.get(route.id) ?? [])))
    ),
    firewall: selectRules(db),
  };
}

/** Reads the firewall's rules. */
export function selectRules(db: DatabaseSync): FirewallRules {
  const rules = Map.groupBy(db.prepare("SELECT * FROM firewall_rules ORDER BY id").all(), (row) => row.type);
  const values = (type: string) => (rules.get(type) ?? []).map((row) => text(row, "value"));
  return { blockedIps: values("ip"), blockedCidrs: values("cidr"), blockedCountries: values("country") };
}

/** Reads the routes of a listener. */
export function selectRoutes(db: DatabaseSync, addr: string): RouteConfig[] {
  const policies = Map.groupBy(
    db.prepare(`SELECT l7_policies.* FROM l7_policies JOIN routes ON routes.id = route_id JOIN listeners
      ON listeners.id = listener_id WHERE addr = ? ORDER BY route_id, position, l7_policies.id`).all(addr),
    (row) => row.route_id,
  );
  const routes = db.prepare(`SELECT routes.* FROM routes JOIN listeners ON listeners.id = listener_id WHERE addr = ?
    ORDER BY routes.id`).all(addr);
  return routes.map((row) => routeOf(row, policies.get(row.id) ?? []));
}

/** Reads one route. */
export function selectRoute(db: DatabaseSync, addr: string, hostname: string): RouteConfig | undefined {
  const row = db.prepare(`SELECT routes.* FROM routes JOIN listeners ON listeners.id = listener_id WHERE addr = ?
    AND hostname = ?`).get(addr, hostname);
  if (row === undefined) return undefined;
  const policies = db.prepare("SELECT * FROM l7_policies WHERE route_id = ? ORDER BY position, id").all(row.id ?? null);
  return routeOf(row, policies);
}

/** Adds a route, or puts it in the place of the one of its host name. */
export function putRoute(db: DatabaseSync, addr: string, route: RouteConfig): void {
  routeWriter(db)(addr, route);
}

/** The same for many: each statement is read by SQLite once. */
function routeWriter(db: DatabaseSync): (addr: string, route: RouteConfig) => void {
  const put = db.prepare(PUT_ROUTE);
  const clear = db.prepare("DELETE FROM l7_policies WHERE route_id = ?");
  const addPolicy = db.prepare(INSERT_POLICY);
  return (addr, route) => {
    const id = put.get(addr, ...routeColumns(route))?.id ?? null;
    clear.run(id);
    route.l7Policies.forEach(({ type, value }, position) => addPolicy.run(id, type, value, position));
  };
}

/** Removes a route and its policies. */
export function deleteRoute(db: DatabaseSync, addr: string, hostname: string): void {
  db.prepare(DELETE_ROUTE).run(hostname, addr);
}

/** Adds a rule; `false` where it was there. */
export function insertRule(db: DatabaseSync, { type, value }: FirewallRule): boolean {
  return db.prepare(INSERT_RULE).run(type, value).changes > 0;
}

/** Removes a rule; `false` where it was not there. */
export function deleteRule(db: DatabaseSync, { type, value }: FirewallRule): boolean {
  return db.prepare(DELETE_RULE).run(type, value).changes > 0;
}

/** Sets the limit of a listener. */
export function updateMaxConnections(db: DatabaseSync, addr: string, maxConnections: number): void {
  db.prepare("UPDATE listeners SET max_connections = ? WHERE addr = ?").run(maxConnections, addr);
}

function listenerOf(row: Row, routes: readonly RouteConfig[]): ListenerConfig {
  return {
    addr: text(row, "addr"),
    proxyProtocol: boolean(row, "proxy_protocol"),
    maxConnections: Number(row.max_connections),
    routes,
  };
}

function routeOf(row: Row, policies: readonly Row[]): RouteConfig {
  return {
    hostname: text(row, "hostname"),
    backend: text(row, "backend"),
    mode: oneOf(ROUTE_MODES, row, "mode"),
    sendProxyProtocol: boolean(row, "send_proxy_protocol"),
    tlsCert: text(row, "tls_cert"),
    tlsKey: text(row, "tls_key"),
    backendTls: boolean(row, "backend_tls"),
    backendProtocol: oneOf(BACKEND_PROTOCOLS, row, "backend_protocol"),
    backendCa: text(row, "backend_ca"),
    backendServerName: text(row, "backend_server_name"),
    backendPins: text(row, "backend_pins").split(" ").filter((pin) => pin !== ""),
    backendTimeoutMs: Number(row.backend_timeout_ms),
    backendMaxConnections: Number(row.backend_max_connections),
    allowTrace: boolean(row, "allow_trace"),
    l7Policies: policies.map(policyOf),
  };
}

function policyOf(row: Row): L7PolicyConfig {
  return { type: oneOf(L7_POLICY_TYPES, row, "type"), value: text(row, "value") };
}

function text(row: Row, column: string): string {
  return String(row[column]); // the tables are STRICT: a TEXT column holds nothing else
}

function boolean(row: Row, column: string): boolean {
  return row[column] === 1;
}

function oneOf<const T extends string>(options: readonly T[], row: Row, column: string): T {
  const found = options.find((option) => option === row[column]);
  if (found === undefined) throw new RangeError(`column ${column} holds what its CHECK constraint forbids`);
  return found;
}

/**
 * Whether two states serve alike: in the same listeners, routes, policies and rules, whatever their order, except that
 * of a route's policies, which are tried in turn.
 */
export function isSameState(a: StoredState, b: StoredState): boolean {
  return JSON.stringify(ordered(a)) === JSON.stringify(ordered(b));
}

function ordered({ listeners, firewall }: StoredState): unknown {
  return [
    listeners.map((listener) => ({
      addr: listener.addr,
      proxyProtocol: listener.proxyProtocol,
      maxConnections: listener.maxConnections,
      routes: listener.routes.toSorted((a, b) => compare(a.hostname, b.hostname)),
    })).sort((a, b) => compare(a.addr, b.addr)),
    firewall.blockedIps.toSorted(),
    firewall.blockedCidrs.toSorted(),
    firewall.blockedCountries.toSorted(),
  ];
}

/** Orders texts by their UTF-16 code units, for `sort`. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
