/**
 * Changes of what an engine serves while it runs.
 *
 * @module
 */

import type { Firewall, FirewallRule } from "../rules/firewall.ts";
import { GeoIp } from "../rules/geoip.ts";
import { RouteTable } from "../rules/route_table.ts";
import type { Endpoint } from "../wire/socket_address.ts";
import type { CertificateSnapshot, EdgeSnapshot, ListenerSnapshot, RouteSnapshot } from "./snapshot.ts";
import type { TicketKey } from "./ticket_key.ts";

/** One change, plain and small: it can be posted to another thread. To make it twice is the same as once. */
export type EdgeChange =
  /** The addresses of a backend, for connections to come. */
  | { readonly kind: "set_backend"; readonly name: string; readonly addresses: readonly Endpoint[] }
  /** No route names this backend any more. */
  | { readonly kind: "remove_backend"; readonly name: string }
  /** Adds a route, or replaces the one of its host name. Open connections keep the route they have. */
  | { readonly kind: "set_route"; readonly listener: number; readonly route: RouteSnapshot }
  | { readonly kind: "remove_route"; readonly listener: number; readonly hostname: string }
  | { readonly kind: "set_max_connections"; readonly listener: number; readonly maxConnections: number }
  /** Whether connections to come must begin with a PROXY header. */
  | { readonly kind: "set_proxy_protocol"; readonly listener: number; readonly proxyProtocol: boolean }
  | { readonly kind: "add_rule"; readonly rule: FirewallRule }
  | { readonly kind: "remove_rule"; readonly rule: FirewallRule }
  /** The bytes of a GeoIP file that is known to be sound. */
  | { readonly kind: "set_geoip"; readonly geoip: Uint8Array }
  /** A certificate of L7 routes, for connections to come. */
  | { readonly kind: "set_certificate"; readonly name: string; readonly certificate: CertificateSnapshot }
  /** No route names this certificate any more. */
  | { readonly kind: "remove_certificate"; readonly name: string }
  /** The keys of session tickets: the first makes them, all take them. */
  | { readonly kind: "set_ticket_keys"; readonly keys: readonly TicketKey[] };

/** A listener as far as it can change. */
export interface ChangeableListener {
  readonly routes: RouteTable<RouteSnapshot>;
  /** 0: no limit. */
  maxConnections: number;
  /** Whether every connection must begin with a PROXY header. */
  proxyProtocol: boolean;
}

/** What connections go by in one thread. */
export interface Serving {
  /** In the order of the snapshot. */
  readonly listeners: readonly ChangeableListener[];
  readonly firewall: Firewall;
  setBackend(name: string, addresses: readonly Endpoint[]): void;
  removeBackend(name: string): void;
}

/** The table of these routes. */
export function routeTable(routes: readonly RouteSnapshot[]): RouteTable<RouteSnapshot> {
  const table = new RouteTable<RouteSnapshot>();
  for (const route of routes) table.set(route.hostname, route);
  return table;
}

/**
 * Makes a change.
 *
 * @throws {RangeError} If there is no such listener.
 */
export function applyChange(serving: Serving, change: EdgeChange): void {
  switch (change.kind) {
    case "set_backend":
      return serving.setBackend(change.name, change.addresses);
    case "remove_backend":
      return serving.removeBackend(change.name);
    case "set_route":
      return at(serving.listeners, change.listener).routes.set(change.route.hostname, change.route);
    case "remove_route":
      at(serving.listeners, change.listener).routes.delete(change.hostname);
      return;
    case "set_max_connections":
      at(serving.listeners, change.listener).maxConnections = change.maxConnections;
      return;
    case "set_proxy_protocol":
      at(serving.listeners, change.listener).proxyProtocol = change.proxyProtocol;
      return;
    case "add_rule":
      serving.firewall.addRule(change.rule);
      return;
    case "remove_rule":
      serving.firewall.removeRule(change.rule);
      return;
    case "set_geoip":
      serving.firewall.useGeoip(GeoIp.open(change.geoip));
      return;
    case "set_certificate":
    case "remove_certificate":
    case "set_ticket_keys":
      return; // a matter of who serves HTTP
    default:
      throw new TypeError(`unknown change: ${JSON.stringify(change satisfies never)}`);
  }
}

function at<T>(listeners: readonly T[], index: number): T {
  const listener = listeners[index];
  if (listener === undefined) throw new RangeError(`no listener number ${index}`);
  return listener;
}

/**
 * A snapshot that changes are made to, each at a cost that does not grow with its size: what a thread that takes
 * another's place begins with.
 */
export class LivingSnapshot {
  readonly #snapshot: EdgeSnapshot;
  readonly #listeners: { snapshot: ListenerSnapshot; routes: Map<string, RouteSnapshot> }[];
  readonly #rules: Readonly<Record<FirewallRule["type"], Set<string>>>;
  readonly #backends: Map<string, readonly Endpoint[]>;
  readonly #certificates: Map<string, CertificateSnapshot>;
  #geoip: Uint8Array | undefined;
  #ticketKeys: readonly TicketKey[];

  constructor(snapshot: EdgeSnapshot) {
    const { rules, geoip } = snapshot.firewall;
    // What changes is kept below, and only there: a GeoIP file may have a hundred megabytes.
    this.#snapshot = { ...snapshot, listeners: [], firewall: { ...snapshot.firewall, geoip: undefined } };
    this.#listeners = snapshot.listeners.map((listener) => ({
      snapshot: { ...listener, routes: [] },
      routes: new Map(listener.routes.map((route) => [route.hostname, route])),
    }));
    this.#rules = {
      ip: new Set(rules.blockedIps),
      cidr: new Set(rules.blockedCidrs),
      country: new Set(rules.blockedCountries),
    };
    this.#backends = new Map(snapshot.backends);
    this.#certificates = new Map(snapshot.certificates);
    this.#geoip = geoip;
    this.#ticketKeys = snapshot.ticketKeys;
  }

  /** @throws {RangeError} If there is no such listener. */
  apply(change: EdgeChange): void {
    switch (change.kind) {
      case "set_backend":
        this.#backends.set(change.name, change.addresses);
        return;
      case "remove_backend":
        this.#backends.delete(change.name);
        return;
      case "set_route":
        at(this.#listeners, change.listener).routes.set(change.route.hostname, change.route);
        return;
      case "remove_route":
        at(this.#listeners, change.listener).routes.delete(change.hostname);
        return;
      case "set_max_connections": {
        const listener = at(this.#listeners, change.listener);
        listener.snapshot = { ...listener.snapshot, maxConnections: change.maxConnections };
        return;
      }
      case "set_proxy_protocol": {
        const listener = at(this.#listeners, change.listener);
        listener.snapshot = { ...listener.snapshot, proxyProtocol: change.proxyProtocol };
        return;
      }
      case "add_rule":
        this.#rules[change.rule.type].add(change.rule.value);
        return;
      case "remove_rule":
        this.#rules[change.rule.type].delete(change.rule.value);
        return;
      case "set_geoip":
        this.#geoip = change.geoip;
        return;
      case "set_certificate":
        this.#certificates.set(change.name, change.certificate);
        return;
      case "remove_certificate":
        this.#certificates.delete(change.name);
        return;
      case "set_ticket_keys":
        this.#ticketKeys = change.keys;
        return;
      default:
        throw new TypeError(`unknown change: ${JSON.stringify(change satisfies never)}`);
    }
  }

  /** All as it is now. */
  take(): EdgeSnapshot {
    const { ip, cidr, country } = this.#rules;
    return {
      ...this.#snapshot,
      listeners: this.#listeners.map(({ snapshot, routes }) => ({ ...snapshot, routes: [...routes.values()] })),
      firewall: {
        ...this.#snapshot.firewall,
        rules: { blockedIps: [...ip], blockedCidrs: [...cidr], blockedCountries: [...country] },
        geoip: this.#geoip,
      },
      backends: new Map(this.#backends),
      certificates: new Map(this.#certificates),
      ticketKeys: this.#ticketKeys,
    };
  }
}
