/**
 * The stored state to and from the tables. Rows come back in the order in which they were put in.
 *
 * @module
 */

import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
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

type Row = Readonly<Record<string, SQLOutputValue>>;

/** Puts `state` into empty tables. */
export function insertState(db: DatabaseSync, state: StoredState): void {
  const addListener = db.prepare(
    "INSERT INTO listeners (addr, proxy_protocol, max_connections) VALUES (?, ?, ?)",
  );
  const addRoute = db.prepare(
    `INSERT INTO routes (listener_id, hostname, backend, mode, send_proxy_protocol, tls_cert, tls_key, backend_tls,
       backend_protocol, backend_ca, backend_server_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addPolicy = db.prepare("INSERT INTO l7_policies (route_id, type, value, position) VALUES (?, ?, ?, ?)");
  for (const { addr, proxyProtocol, maxConnections, routes } of state.listeners) {
    const { lastInsertRowid: listener } = addListener.run(addr, Number(proxyProtocol), maxConnections);
    for (const route of routes) {
      const { lastInsertRowid } = addRoute.run(
        listener,
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
      );
      route.l7Policies.forEach(({ type, value }, position) => addPolicy.run(lastInsertRowid, type, value, position));
    }
  }
  insertFirewall(db, state.firewall);
}

function insertFirewall(db: DatabaseSync, { blockedIps, blockedCidrs, blockedCountries }: FirewallRules): void {
  const addRule = db.prepare("INSERT INTO firewall_rules (type, value) VALUES (?, ?)");
  for (const ip of blockedIps) addRule.run("ip", ip);
  for (const cidr of blockedCidrs) addRule.run("cidr", cidr);
  for (const country of blockedCountries) addRule.run("country", country);
}

/** Reads everything, with one query a table. */
export function selectState(db: DatabaseSync): StoredState {
  const rows = (sql: string): Row[] => db.prepare(sql).all();
  const policies = Map.groupBy(
    rows("SELECT * FROM l7_policies ORDER BY route_id, position, id"),
    (row) => row.route_id,
  );
  const routes = Map.groupBy(rows("SELECT * FROM routes ORDER BY id"), (row) => row.listener_id);
  const rules = Map.groupBy(rows("SELECT * FROM firewall_rules ORDER BY id"), (row) => row.type);
  const values = (type: string) => (rules.get(type) ?? []).map((row) => text(row, "value"));
  return {
    listeners: rows("SELECT * FROM listeners ORDER BY id").map((row) =>
      listenerOf(row, (routes.get(row.id) ?? []).map((route) => routeOf(route, policies.get(route.id) ?? [])))
    ),
    firewall: {
      blockedIps: values("ip"),
      blockedCidrs: values("cidr"),
      blockedCountries: values("country"),
    },
  };
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
