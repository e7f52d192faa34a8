/**
 * What may be changed and asked while the program runs.
 *
 * @module
 */

import type { EdgeChange } from "../edge/change.ts";
import type { ListenerCounts } from "../edge/counters.ts";
import type { RouteSnapshot } from "../edge/snapshot.ts";
import { messageOf } from "../edge/thrown.ts";
import type { FirewallRule } from "../rules/firewall.ts";
import type { Endpoint } from "../wire/socket_address.ts";
import { type CertificateFiles, certificateName, type ServedCertificate } from "./certificate_files.ts";
import type { Certificate } from "./certificates.ts";
import { readListenAddress } from "./config_values.ts";
import type { Config, L7PolicyConfig, RouteConfig, StoredState } from "./config_types.ts";
import type { GeoipFile, GeoipStatus } from "./geoip_file.ts";
import type { Log } from "./log.ts";
import type { LogFieldsOf } from "./log_events.ts";
import { quote } from "./quote.ts";
import { Refusal } from "./refusal.ts";
import {
  type PolicyInput,
  readHostname,
  readMaxConnections,
  readPolicy,
  readRoute,
  readRule,
  type RouteInput,
} from "./requests.ts";
import type { RouteCounts } from "./route_counts.ts";
import { routeSnapshot } from "./route_snapshot.ts";
import { type Store, StoreError } from "./store/store.ts";
import { rulesOf } from "./store/stored_state.ts";

export type { ListenerCounts } from "../edge/counters.ts";

/** What serves, as far as changes concern it: the supervisor. */
export interface Served {
  readonly status: {
    readonly engine: "epoll" | "portable";
    readonly workers: number;
    readonly workerFailures: number;
    readonly listeners: readonly {
      readonly addr: string;
      readonly boundAddr: string;
      readonly counts: ListenerCounts;
    }[];
  };
  listenerIndex(addr: string): number;
  /** Rejects where a worker does not confirm the changes; they are under way all the same. */
  apply(changes: readonly EdgeChange[]): Promise<void>;
  /** Where routes are counted. */
  readonly routeCounts: Pick<RouteCounts, "add" | "remove" | "rows">;
  useBackend(backend: string): Promise<readonly Endpoint[]>;
  releaseBackend(backend: string): void;
}

/** What an {@linkcode Administration} works on. */
export interface AdministrationOptions {
  readonly config: Config;
  /** What the database held when the program started. */
  readonly state: StoredState;
  readonly store: Store;
  readonly served: Served;
  /** Where the configuration names a GeoIP file. */
  readonly geoip: GeoipFile | undefined;
  /** Those of the state's routes, already added. */
  readonly certificates: CertificateFiles;
  readonly log: Log;
}

/** A running program at one moment. */
export interface Status {
  readonly startedAt: Date;
  readonly engine: "epoll" | "portable";
  readonly workers: number;
  readonly workerFailures: number;
  /** Whether it is shutting down. */
  readonly draining: boolean;
  readonly listeners: readonly ListenerStatus[];
  readonly firewall: {
    readonly ruleCount: number;
    readonly rateLimit: number;
    readonly rateWindowMs: number;
    readonly geoip: GeoipStatus | undefined;
  };
  /** Those of L7 routes. */
  readonly certificates: readonly ServedCertificate[];
}

/** One listener at one moment. */
export interface ListenerStatus {
  readonly addr: string;
  readonly boundAddr: string;
  readonly proxyProtocol: boolean;
  readonly maxConnections: number;
  readonly counts: ListenerCounts;
  readonly routeCount: number;
}

interface Listener {
  readonly addr: string;
  readonly index: number;
  readonly proxyProtocol: boolean;
  maxConnections: number;
  routeCount: number;
}

/** How to take a change back. */
interface Undo {
  /** In the database, and in what is counted of it. */
  store(): void;
  /** In the workers. */
  readonly changes: readonly EdgeChange[];
}

/**
 * Every change is checked, committed to the database, made in the workers, and written to the log, one after the other
 * and in this order; its promise resolves when every worker goes by it. One that is refused has changed nothing.
 *
 * Methods that change something throw a {@linkcode Refusal} where they cannot.
 */
export class Administration {
  readonly #config: Config;
  readonly #store: Store;
  readonly #served: Served;
  readonly #geoip: GeoipFile | undefined;
  readonly #certificates: CertificateFiles;
  readonly #log: Log;
  readonly #startedAt = new Date();
  readonly #listeners: ReadonlyMap<string, Listener>;
  #ruleCount: number;
  #draining = false;
  /** The end of the last change that was asked for. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ config, state, store, served, geoip, certificates, log }: AdministrationOptions) {
    this.#config = config;
    this.#store = store;
    this.#served = served;
    this.#geoip = geoip;
    this.#certificates = certificates;
    this.#log = log;
    this.#listeners = new Map(
      state.listeners.map(({ addr, proxyProtocol, maxConnections, routes }) => [
        addr,
        { addr, index: served.listenerIndex(addr), proxyProtocol, maxConnections, routeCount: routes.length },
      ]),
    );
    this.#ruleCount = rulesOf(state.firewall).length;
  }

  /** From now on nothing is changed any more; what is under way is finished. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#last;
  }

  get status(): Status {
    const { engine, workers, workerFailures, listeners } = this.#served.status;
    return {
      startedAt: this.#startedAt,
      engine,
      workers,
      workerFailures,
      draining: this.#draining,
      listeners: listeners.map(({ addr, boundAddr, counts }) => {
        const { proxyProtocol, maxConnections, routeCount } = this.#listener(addr);
        return { addr, boundAddr, proxyProtocol, maxConnections, counts, routeCount };
      }),
      firewall: {
        ruleCount: this.#ruleCount,
        rateLimit: this.#config.firewall.rateLimit,
        rateWindowMs: this.#config.firewall.rateWindowMs,
        geoip: this.#geoip?.status,
      },
      certificates: this.#certificates.status(),
    };
  }

  /** The routes of a listener, in the order in which they were added. */
  routes(addr: string): RouteConfig[] {
    const listener = this.#listener(addr);
    return stored(() => this.#store.routes(listener.addr));
  }

  /**
   * Adds a route, or replaces the one of its host name, whose policies it keeps where it brings none.
   *
   * @returns The route as it is now, the one that it replaced, and what may not be meant.
   */
  async addRoute(addr: string, input: RouteInput): Promise<AddedRoute> {
    const listener = this.#listener(addr);
    const { route, warnings } = readRoute(input);
    // Before its turn comes: a name that is slow to be looked up holds up no other change.
    const addresses = await this.#served.useBackend(route.backend);
    const unresolved = `${quote(route.backend)} has no address at this moment; the route works once its name resolves`;
    let isServed = false;
    try {
      return await this.#change(async () => {
        const old = stored(() => this.#store.route(listener.addr, route.hostname));
        const keeps = old?.mode === "l7" && route.mode === "l7" && route.l7Policies.length === 0;
        const now = keeps ? { ...route, l7Policies: old.l7Policies } : route;
        if (old !== undefined && isSame(old, now)) return { route: now, replaced: old, warnings };
        this.#certificates.add(now, listener.addr);
        this.#served.routeCounts.add(now);
        try {
          await this.#putRoute(listener, now, old, addresses);
          isServed = true;
        } catch (error) {
          if (error instanceof Refusal) await this.#forget(listener.addr, now);
          else isServed = true; // by the workers, and the database has it
          throw error;
        }
        if (old !== undefined) await this.#release(listener.addr, old);
        const about = { listener: listener.addr, hostname: now.hostname };
        this.#audit("route_set", about, old && describe(old), describe(now));
        return { route: now, replaced: old, warnings: addresses.length > 0 ? warnings : [...warnings, unresolved] };
      });
    } finally {
      if (!isServed) this.#served.releaseBackend(route.backend);
    }
  }

  async #putRoute(
    listener: Listener,
    route: RouteConfig,
    old: RouteConfig | undefined,
    addresses: readonly Endpoint[],
  ): Promise<void> {
    const { addr, index } = listener;
    stored(() => this.#store.putRoute(addr, route));
    if (old === undefined) listener.routeCount++;
    const changes: EdgeChange[] = [
      { kind: "set_backend", name: route.backend, addresses },
      ...this.#certificateOf(route),
      { kind: "set_route", listener: index, route: this.#snapshot(route) },
    ];
    await this.#serve(
      changes,
      old === undefined
        ? {
          store: () => {
            this.#store.removeRoute(addr, route.hostname);
            listener.routeCount--;
          },
          changes: [{ kind: "remove_route", listener: index, hostname: route.hostname }],
        }
        : {
          store: () => this.#store.putRoute(addr, old),
          changes: [{ kind: "set_route", listener: index, route: this.#snapshot(old) }],
        },
    );
  }

  /** What has the workers know the certificate of a route, where it has one. */
  #certificateOf(route: RouteConfig): EdgeChange[] {
    const certificate = this.#certificates.current(route);
    if (certificate === undefined) return [];
    const { cert, key } = certificate;
    return [{ kind: "set_certificate", name: certificateName(route), certificate: { cert, key } }];
  }

  #snapshot(route: RouteConfig): RouteSnapshot {
    return routeSnapshot(route, this.#served.routeCounts.rows(route));
  }

  /** Takes what a route used away from it. */
  async #release(addr: string, route: RouteConfig): Promise<void> {
    this.#served.releaseBackend(route.backend);
    await this.#forget(addr, route);
  }

  /**
   * Takes from a route its place among the counts, and its certificate. That a worker still knows one which nothing uses
   * is no harm.
   */
  async #forget(addr: string, route: RouteConfig): Promise<void> {
    this.#served.routeCounts.remove(route);
    if (!this.#certificates.remove(route, addr)) return;
    await this.#served.apply([{ kind: "remove_certificate", name: certificateName(route) }]).catch(() => {});
  }

  /** Has new connections get a certificate whose files were renewed. */
  renewCertificate(name: string, { cert, key }: Certificate): Promise<void> {
    return this.#change(() => this.#served.apply([{ kind: "set_certificate", name, certificate: { cert, key } }]));
  }

  /** Removes a route and its policies; returns what it was. */
  removeRoute(addr: string, hostname: string): Promise<RouteConfig> {
    return this.#change(async () => {
      const listener = this.#listener(addr);
      const old = this.#route(listener, hostname);
      stored(() => this.#store.removeRoute(listener.addr, old.hostname));
      listener.routeCount--;
      await this.#serve([{ kind: "remove_route", listener: listener.index, hostname: old.hostname }], {
        store: () => {
          this.#store.putRoute(listener.addr, old);
          listener.routeCount++;
        },
        changes: [{ kind: "set_route", listener: listener.index, route: this.#snapshot(old) }],
      });
      await this.#release(listener.addr, old);
      this.#audit("route_removed", { listener: listener.addr, hostname: old.hostname }, describe(old), undefined);
      return old;
    });
  }

  /** The policies of an L7 route, in the order in which they are tried. */
  policies(addr: string, hostname: string): readonly L7PolicyConfig[] {
    return this.#l7Route(this.#listener(addr), hostname).l7Policies;
  }

  /** Adds a policy behind those of an L7 route; `false` where it was there. */
  addPolicy(addr: string, hostname: string, input: PolicyInput): Promise<boolean> {
    return this.#change(async () => {
      const listener = this.#listener(addr);
      const policy = readPolicy(input);
      const route = this.#l7Route(listener, hostname);
      if (route.l7Policies.some((other) => isSame(other, policy))) return false;
      await this.#putPolicies(listener, route, [...route.l7Policies, policy]);
      const about = { listener: listener.addr, hostname: route.hostname };
      this.#audit("policy_added", about, undefined, describePair(policy));
      return true;
    });
  }

  /** Removes a policy of an L7 route. */
  removePolicy(addr: string, hostname: string, input: PolicyInput): Promise<void> {
    return this.#change(async () => {
      const listener = this.#listener(addr);
      const policy = readPolicy(input);
      const route = this.#l7Route(listener, hostname);
      const rest = route.l7Policies.filter((other) => !isSame(other, policy));
      if (rest.length === route.l7Policies.length) {
        throw new Refusal("not_found", `route ${quote(route.hostname)} on ${quote(listener.addr)} has no such policy`);
      }
      await this.#putPolicies(listener, route, rest);
      const about = { listener: listener.addr, hostname: route.hostname };
      this.#audit("policy_removed", about, describePair(policy), undefined);
    });
  }

  /** For the next request, on open connections too. */
  async #putPolicies(
    { addr, index: listener }: Listener,
    old: RouteConfig,
    l7Policies: readonly L7PolicyConfig[],
  ): Promise<void> {
    const route = { ...old, l7Policies };
    stored(() => this.#store.putRoute(addr, route));
    await this.#serve([{ kind: "set_route", listener, route: this.#snapshot(route) }], {
      store: () => this.#store.putRoute(addr, old),
      changes: [{ kind: "set_route", listener, route: this.#snapshot(old) }],
    });
  }

  /** The rules of the firewall: addresses, prefixes, countries, each in the order in which they were added. */
  firewallRules(): FirewallRule[] {
    return rulesOf(stored(() => this.#store.firewallRules()));
  }

  /** Adds a rule; returns it in canonical form, and whether it was not there. */
  addRule(input: PolicyInput): Promise<{ readonly rule: FirewallRule; readonly added: boolean }> {
    return this.#change(async () => {
      const rule = readRule(input);
      if (rule.type === "country" && this.#geoip === undefined) {
        const message = "a country can be blocked only where firewall.geoip_db names a GeoIP file; " +
          "add it to the configuration and restart the server";
        throw new Refusal("precondition", message);
      }
      if (!stored(() => this.#store.addRule(rule))) return { rule, added: false };
      this.#ruleCount++;
      await this.#serve([{ kind: "add_rule", rule }], {
        store: () => {
          this.#store.removeRule(rule);
          this.#ruleCount--;
        },
        changes: [{ kind: "remove_rule", rule }],
      });
      this.#audit("firewall_rule_added", {}, undefined, describePair(rule));
      return { rule, added: true };
    });
  }

  /** Removes a rule. */
  removeRule(input: PolicyInput): Promise<void> {
    return this.#change(async () => {
      const rule = readRule(input);
      if (!stored(() => this.#store.removeRule(rule))) {
        throw new Refusal("not_found", `there is no firewall rule ${rule.type} ${quote(rule.value)}`);
      }
      this.#ruleCount--;
      await this.#serve([{ kind: "remove_rule", rule }], {
        store: () => {
          this.#store.addRule(rule);
          this.#ruleCount++;
        },
        changes: [{ kind: "add_rule", rule }],
      });
      this.#audit("firewall_rule_removed", {}, describePair(rule), undefined);
    });
  }

  /** Limits the open connections of a listener, 0 for no limit; returns the limit before. */
  setMaxConnections(addr: string, max: number): Promise<number> {
    return this.#change(async () => {
      const listener = this.#listener(addr);
      const maxConnections = readMaxConnections(max);
      const previous = listener.maxConnections;
      if (previous === maxConnections) return previous;
      stored(() => this.#store.setMaxConnections(listener.addr, maxConnections));
      listener.maxConnections = maxConnections;
      await this.#serve([{ kind: "set_max_connections", listener: listener.index, maxConnections }], {
        store: () => {
          this.#store.setMaxConnections(listener.addr, previous);
          listener.maxConnections = previous;
        },
        changes: [{ kind: "set_max_connections", listener: listener.index, maxConnections: previous }],
      });
      this.#audit("max_connections_set", { listener: listener.addr }, String(previous), String(maxConnections));
      return previous;
    });
  }

  /** Reads the GeoIP file anew, where there is one; a file that cannot be used leaves the one before in use. */
  reloadGeoip(): Promise<void> {
    return this.#change(async () => {
      const geoip = this.#geoip?.reload(this.#log);
      if (geoip !== undefined) await this.#served.apply([{ kind: "set_geoip", geoip }]);
    });
  }

  /** Makes one change after the other: whoever asks for two at once gets them in the order in which they came. */
  #change<T>(change: () => T | Promise<T>): Promise<T> {
    const made = this.#last.then(() => {
      if (this.#draining) throw new Refusal("unavailable", "the server is shutting down");
      return change();
    });
    this.#last = made.catch(() => {}); // whoever asked for it is told
    return made;
  }

  /**
   * Makes in the workers what the database has.
   *
   * Where one does not confirm it in time, it is taken back in both. Workers make changes in the order in which they were
   * told of them, so that one which is late makes this one and its undoing, or neither.
   */
  async #serve(changes: readonly EdgeChange[], undo: Undo): Promise<void> {
    try {
      await this.#served.apply(changes);
    } catch (error) {
      const reason = messageOf(error);
      try {
        undo.store();
      } catch (second) {
        throw new Error(`${reason}, and the change cannot be taken back: ${messageOf(second)}`, { cause: second });
      }
      this.#log.error("change_undone", { what: changes.map(({ kind }) => kind).join(), error: reason });
      this.#served.apply(undo.changes).catch(() => {}); // the same worker is late again
      throw new Refusal("unavailable", `${reason}; nothing was changed`, [], { cause: error });
    }
  }

  /** By its address in any spelling: that of the configuration need not be the canonical one. */
  #listener(addr: string): Listener {
    const reading = readListenAddress(addr);
    const listener = reading.kind === "ok" ? this.#listeners.get(reading.value) : undefined;
    if (listener !== undefined) return listener;
    const known = [...this.#listeners.keys()].map((other) => quote(other)).join(", ");
    const description = `${addr === "" ? "is missing" : `there is no listener ${quote(addr)}`}; known: ${known}`;
    throw Refusal.invalid([{ field: "listener_addr", description }]);
  }

  #route({ addr }: Listener, hostname: string): RouteConfig {
    const pattern = readHostname(hostname);
    const route = stored(() => this.#store.route(addr, pattern));
    if (route === undefined) throw new Refusal("not_found", `there is no route ${quote(pattern)} on ${quote(addr)}`);
    return route;
  }

  #l7Route(listener: Listener, hostname: string): RouteConfig {
    const route = this.#route(listener, hostname);
    if (route.mode === "l7") return route;
    const message = `route ${quote(route.hostname)} on ${quote(listener.addr)} is one of L4, which has no policies`;
    throw new Refusal("precondition", message);
  }

  #audit(
    what: string,
    about: Pick<LogFieldsOf<"change">, "listener" | "hostname">,
    old: string | undefined,
    now: string | undefined,
  ): void {
    this.#log.info("change", { what, ...about, old, new: now });
  }
}

/** See {@linkcode Administration.addRoute}. */
export interface AddedRoute {
  readonly route: RouteConfig;
  readonly replaced: RouteConfig | undefined;
  readonly warnings: readonly string[];
}

/** @throws {Refusal} If the database fails. */
function stored<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new Refusal("unavailable", error.message, [], { cause: error });
  }
}

function isSame(a: RouteConfig | L7PolicyConfig, b: RouteConfig | L7PolicyConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A route in one line: what differs from the defaults. */
function describe({ hostname: _, backend, mode, l7Policies, ...rest }: RouteConfig): string {
  const set = Object.entries(rest).filter(([, value]) => value !== "" && value !== false)
    .map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value] as const)
    .map(([key, value]) => value === true ? key : `${key}=${value}`);
  return [backend, mode, ...set, ...l7Policies.map(describePair)].join(" ");
}

function describePair({ type, value }: L7PolicyConfig | FirewallRule): string {
  return `${type} ${value}`;
}
