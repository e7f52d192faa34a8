/**
 * What may be changed and asked while the program runs.
 *
 * @module
 */

import type { EdgeChange } from "../edge/change.ts";
import type { ListenerCounts } from "../edge/counters.ts";
import type { RouteSnapshot } from "../edge/snapshot.ts";
import { messageOf } from "../edge/thrown.ts";
import type { TlsLibrary } from "../edge/tls_library.ts";
import type { FirewallRule } from "../rules/firewall.ts";
import type { Endpoint } from "../wire/socket_address.ts";
import { type CertificateFiles, certificateName, type ServedCertificate } from "./certificate_files.ts";
import type { Certificate } from "./certificates.ts";
import { readListenAddress } from "./config_values.ts";
import type { Config, L7PolicyConfig, RouteConfig, StoredState } from "./config_types.ts";
import type { GeoipFile, GeoipReload, GeoipStatus } from "./geoip_file.ts";
import type { Log } from "./log.ts";
import type { LogFieldsOf } from "./log_events.ts";
import { formatConfig } from "./config_format.ts";
import { conflictsOf } from "./listen_conflicts.ts";
import {
  type Changed,
  countsOf,
  inverse,
  isSame,
  type ListenerChange,
  type ListenerSettings,
  type Plan,
  planOf,
  type RouteChange,
  sizeOf,
  withoutRemovals,
} from "./plan.ts";
import { ROUTE_DEFAULTS } from "./route_document.ts";
import { quote } from "./quote.ts";
import { Refusal } from "./refusal.ts";
import {
  type PolicyInput,
  readHostname,
  readMaxConnections,
  readPolicy,
  readRoute,
  readRule,
  refuse,
  type RouteInput,
} from "./requests.ts";
import type { RouteCounts } from "./route_counts.ts";
import { addressesGiven, leadsToOwn, routeLoops } from "./route_loops.ts";
import { routeSnapshot } from "./route_snapshot.ts";
import { checkPlannedFiles, readState, type StateInput } from "./state_request.ts";
import { type Store, StoreError } from "./store/store.ts";
import { rulesOf } from "./firewall_rules.ts";
import { type TlsStatus, tlsStatus } from "./tls_status.ts";

export type { TlsStatus } from "./tls_status.ts";
export type { ListenerCounts } from "../edge/counters.ts";

/** How many lines of routes are logged in a row. */
const LINES_AT_ONCE = 1_000;

/** What serves, as far as changes concern it: the supervisor. */
export interface Served {
  readonly status: {
    readonly engine: "epoll" | "portable";
    readonly workers: number;
    readonly workerFailures: number;
    readonly listeners: readonly {
      readonly addr: string;
      readonly boundAddr: string;
      readonly problem: string | undefined;
      readonly counts: ListenerCounts;
    }[];
  };
  /** What TLS is spoken with. */
  readonly tls: TlsLibrary;
  listenerIndex(addr: string): number;
  /** Why an address cannot be listened on at this moment; `undefined` where it can. */
  listenProblem(addr: string): string | undefined;
  /** Rejects where a worker does not confirm the changes; they are under way all the same. */
  apply(changes: readonly EdgeChange[]): Promise<void>;
  /** Where routes are counted. */
  readonly routeCounts: Pick<RouteCounts, "add" | "remove" | "rows">;
  /** Adds a user of each backend; resolves once their addresses are known, or could not be found. */
  useBackends(backends: readonly string[]): Promise<ReadonlyMap<string, readonly Endpoint[]>>;
  releaseBackends(backends: readonly string[]): void;
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
  /** What TLS is spoken with; `undefined` where the server is too old to tell. */
  readonly tls: TlsStatus | undefined;
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
  /** `host:port` as it is really bound; empty where it is not. */
  readonly boundAddr: string;
  /** Why it is not bound; it is tried again. */
  readonly problem: string | undefined;
  readonly proxyProtocol: boolean;
  readonly maxConnections: number;
  readonly counts: ListenerCounts;
  readonly routeCount: number;
}

interface Listener {
  readonly addr: string;
  /** `undefined`: not open; it was added at run time, and opens at the next start. */
  readonly index: number | undefined;
  /** Whether the database has it. One that was removed at run time has no routes, and stays open until the next start. */
  isStored: boolean;
  proxyProtocol: boolean;
  maxConnections: number;
  routeCount: number;
}

/** A listener that is open, and stored. */
type OpenListener = Listener & { readonly index: number };

/** A route of an open listener. */
interface ServedRoute {
  /** The listener's. */
  readonly addr: string;
  readonly route: RouteConfig;
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
  readonly #listeners: Map<string, Listener>;
  #ruleCount: number;
  #draining = false;
  /** Why the database may not be changed at this moment. */
  #suspended: string | undefined;
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
      state.listeners.map(({ routes, ...settings }) => [
        settings.addr,
        { ...settings, index: served.listenerIndex(settings.addr), isStored: true, routeCount: routes.length },
      ]),
    );
    this.#ruleCount = rulesOf(state.firewall).length;
  }

  /** From now on nothing is changed any more; what is under way is finished. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#last;
  }

  /** Refuses changes of the database, for a reason, until {@linkcode resume}; ends when the last one is made. */
  async suspend(reason: string): Promise<void> {
    this.#suspended = reason;
    await this.#last;
  }

  /** Takes changes again. */
  resume(): void {
    this.#suspended = undefined;
  }

  get isSuspended(): boolean {
    return this.#suspended !== undefined;
  }

  get status(): Status {
    const { engine, workers, workerFailures, listeners } = this.#served.status;
    return {
      startedAt: this.#startedAt,
      engine,
      tls: tlsStatus(this.#served.tls, this.#config.proxy.tls),
      workers,
      workerFailures,
      draining: this.#draining,
      listeners: listeners.map(({ addr, boundAddr, problem, counts }) => {
        const { proxyProtocol, maxConnections, routeCount } = this.#known(addr);
        return { addr, boundAddr, problem, proxyProtocol, maxConnections, counts, routeCount };
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
    const listener = this.#known(addr);
    return stored(() => this.#store.routes(listener.addr));
  }

  /**
   * Adds a route, or replaces the one of its host name, whose policies it keeps where it brings none.
   *
   * @returns The route as it is now, the one that it replaced, and what may not be meant.
   */
  async addRoute(addr: string, input: RouteInput): Promise<AddedRoute> {
    this.#listener(addr); // so that a wrong one is told at once
    const { route, readings, warnings } = readRoute(input, this.#served.tls.certificateProblem);
    // Before its turn comes: a name that is slow to be looked up holds up no other change.
    const addresses = (await this.#served.useBackends([route.backend])).get(route.backend) ?? [];
    let isServed = false;
    try {
      return await this.#change(async () => {
        const listener = this.#listener(addr);
        const old = stored(() => this.#store.route(listener.addr, route.hostname));
        const keeps = old?.mode === "l7" && route.mode === "l7" && route.l7Policies.length === 0;
        const now = keeps ? { ...route, l7Policies: old.l7Policies } : route;
        if (old !== undefined && isSame(old, now)) return { route: now, replaced: old, warnings };
        this.#refuseLoop(listener, now, addresses);
        this.#certificates.add(now, listener.addr, readings);
        this.#served.routeCounts.add(now);
        try {
          await this.#putRoute(listener, now, old, addresses);
          isServed = true;
        } catch (error) {
          if (error instanceof Refusal) await this.#forget([{ addr: listener.addr, route: now }]);
          else isServed = true; // by the workers, and the database has it
          throw error;
        }
        if (old !== undefined) await this.#release([{ addr: listener.addr, route: old }]);
        const about = { listener: listener.addr, hostname: now.hostname };
        this.#audit("route_set", about, old && describe(old), describe(now));
        return {
          route: now,
          replaced: old,
          warnings: addresses.length > 0 ? warnings : [...warnings, unresolved(route)],
        };
      });
    } finally {
      if (!isServed) this.#served.releaseBackends([route.backend]);
    }
  }

  /** @throws {Refusal} If the connections of a route would come back to it. */
  #refuseLoop({ addr }: Listener, route: RouteConfig, addresses: readonly Endpoint[]): void {
    const known = this.#listeners.values().toArray();
    const addressesOf = (backend: string) =>
      backend === route.backend ? addresses.map(({ address }) => address) : addressesGiven(backend);
    if (!leadsToOwn(route, known, addressesOf)) return;
    const listeners = stored(() => this.#store.state()).listeners.map((listener) =>
      listener.addr !== addr ? listener : {
        ...listener,
        routes: [...listener.routes.filter(({ hostname }) => hostname !== route.hostname), route],
      }
    );
    const isAsked = (each: RouteConfig, at: string) => at === addr && each.hostname === route.hostname;
    const loops = routeLoops(listeners, { isAsked, addressesOf });
    refuse(loops.map(({ message }) => ({ path: "route.backend", message })));
  }

  async #putRoute(
    listener: OpenListener,
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

  /** Takes what routes used away from them. */
  async #release(routes: readonly ServedRoute[]): Promise<void> {
    this.#served.releaseBackends(routes.map(({ route }) => route.backend));
    await this.#forget(routes);
  }

  /**
   * Takes from routes their places among the counts, and their certificates. That a worker still knows one which nothing
   * uses is no harm.
   */
  async #forget(routes: readonly ServedRoute[]): Promise<void> {
    const unused: EdgeChange[] = [];
    for (const { addr, route } of routes) {
      this.#served.routeCounts.remove(route);
      if (this.#certificates.remove(route, addr)) {
        unused.push({ kind: "remove_certificate", name: certificateName(route) });
      }
    }
    if (unused.length > 0) await this.#served.apply(unused).catch(() => {});
  }

  /** Has new connections get a certificate whose files were renewed. */
  renewCertificate(name: string, { cert, key }: Certificate): Promise<void> {
    return this.#inTurn(() => this.#served.apply([{ kind: "set_certificate", name, certificate: { cert, key } }]));
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
      await this.#release([{ addr: listener.addr, route: old }]);
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
    { addr, index: listener }: OpenListener,
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
      this.#checkRule(rule);
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

  #checkRule({ type }: FirewallRule): void {
    if (type !== "country" || this.#geoip?.status !== undefined) return;
    const message = this.#geoip === undefined
      ? "a country can be blocked only where firewall.geoip_db names a GeoIP file; " +
        "add it to the configuration and restart the server"
      : `a country can be blocked only with a sound GeoIP file, and ${quote(this.#geoip.path)} is none; ` +
        "fetch it, and send the server SIGHUP";
    throw new Refusal("precondition", message);
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

  /**
   * Makes the whole state another in one change, or nothing of it: what `input` has is added, or becomes as it is there;
   * what it lacks is removed where `prune` says so, and stays otherwise.
   *
   * What is to be changed is found out when its turn comes, so nothing that others change meanwhile goes unseen.
   */
  async apply(input: StateInput, { prune, dryRun }: ApplyOptions): Promise<Applied> {
    const { state: wanted, warnings } = readState(input);
    const routes = wanted.listeners.flatMap(({ routes }) => routes);
    // Before its turn comes, as for a single route; those of routes that are there already are given back.
    let unused = dryRun ? [] : routes.map(({ backend }) => backend);
    const addresses = await this.#served.useBackends(unused);
    try {
      return await this.#change(async () => {
        const before = stored(() => this.#store.state());
        const all = planOf(before, wanted);
        const { plan, kept } = prune ? { plan: all, kept: 0 } : withoutRemovals(all);
        for (const { after } of plan.rules) if (after !== undefined) this.#checkRule(after);
        const files = await checkPlannedFiles(wanted, plan, this.#served.tls.certificateProblem);
        const found = [...warnings, ...files.warnings];
        this.#checkNewListeners(wanted, plan, prune ? [] : before.listeners);
        const addressesOf = (backend: string) =>
          addresses.get(backend)?.map(({ address }) => address) ?? addressesGiven(backend);
        refuse(routeLoops(wanted.listeners, { addressesOf }));
        const pending = this.#pendingListeners(prune ? wanted.listeners : [...before.listeners, ...wanted.listeners]);
        if (dryRun || sizeOf(plan) === 0) return { plan, kept, warnings: found, ...pending };
        const added = this.#servedRoutes(plan.routes, ({ after }) => after);
        const removed = this.#servedRoutes(plan.routes, ({ before }) => before);
        const isServed = () => {
          const users = new Set(added.map(({ route }) => route));
          unused = routes.filter((route) => !users.has(route)).map(({ backend }) => backend);
        };
        for (const { addr, route } of added) {
          this.#certificates.add(route, addr, files.readings);
          this.#served.routeCounts.add(route);
        }
        try {
          await this.#carryOut(plan, before, addresses);
          isServed();
        } catch (error) {
          if (error instanceof Refusal) await this.#forget(added);
          else isServed(); // by the workers, and the database has it
          throw error;
        }
        await this.#release(removed);
        await this.#auditPlan(plan);
        const nowhere = added.map(({ route }) => route).filter(({ backend }) => !addresses.get(backend)?.length);
        return { plan, kept, warnings: [...found, ...new Set(nowhere.map(unresolved))], ...pending };
      });
    } finally {
      this.#served.releaseBackends(unused);
    }
  }

  /**
   * Whether the next start could listen where the plan says so: a server that cannot would not start, and without one
   * nothing can be applied. Ports of listeners that are to close are taken by these only.
   *
   * @param stored Those that the database keeps.
   */
  #checkNewListeners(wanted: StoredState, plan: Plan, stored: readonly ListenerSettings[]): void {
    const { listeners } = wanted;
    const { metrics } = this.#config;
    refuse(conflictsOf(wanted, {
      stored,
      metrics: metrics && { addr: metrics.addr, path: "the server's metrics.addr" },
    }));
    const isNew = new Set(plan.listeners.filter(({ before }) => !before).map(({ after }) => after?.addr));
    const closing = new Set(plan.listeners.filter(({ after }) => !after).map(({ before }) => portOf(before?.addr)));
    const violations = listeners.flatMap(({ addr }, i) => {
      const port = portOf(addr);
      if (!isNew.has(addr) || this.#listeners.has(addr) || port === "0" || closing.has(port)) return [];
      const problem = this.#served.listenProblem(addr);
      return problem === undefined ? [] : [{ field: `listeners[${i}].addr`, description: problem }];
    });
    if (violations.length > 0) throw Refusal.invalid(violations);
  }

  /** The routes of a plan that workers know of: those of listeners that are open. */
  #servedRoutes(
    changes: readonly RouteChange[],
    of: (change: RouteChange) => RouteConfig | undefined,
  ): ServedRoute[] {
    return changes.flatMap((change) => {
      const route = of(change);
      const { index } = this.#listeners.get(change.listener) ?? {};
      return route === undefined || index === undefined ? [] : [{ addr: change.listener, route }];
    });
  }

  async #carryOut(plan: Plan, before: StoredState, addresses: ReadonlyMap<string, readonly Endpoint[]>): Promise<void> {
    const served = { ...plan, listeners: plan.listeners.map((change) => this.#servedChange(change)) };
    stored(() => this.#store.applyPlan(plan));
    const unsettle = this.#settle(plan);
    const routes = this.#servedRoutes(plan.routes, ({ after }) => after).map(({ route }) => route);
    const backends = new Set(routes.map(({ backend }) => backend));
    const certified = new Map(routes.map((route) => [certificateName(route), route]));
    const changes: EdgeChange[] = [
      ...backends.values().map((name): EdgeChange => ({
        kind: "set_backend",
        name,
        addresses: addresses.get(name) ?? [],
      })),
      ...certified.values().flatMap((route) => this.#certificateOf(route)),
      ...this.#edgeChanges(served),
    ];
    await this.#serve(changes, {
      store: () => {
        this.#store.putState(before);
        unsettle();
      },
      changes: this.#edgeChanges(inverse(served)),
    });
  }

  /** A change of a listener as workers see it: one that comes back before it was closed is not new to them. */
  #servedChange(change: ListenerChange): ListenerChange {
    const listener = change.before === undefined && this.#listeners.get(change.after?.addr ?? "");
    if (!listener) return change;
    const { addr, proxyProtocol, maxConnections } = listener;
    return { ...change, before: { addr, proxyProtocol, maxConnections } };
  }

  /** What a plan is to the workers, but for backends and certificates. */
  #edgeChanges({ listeners, routes, rules }: Plan): EdgeChange[] {
    const changes: EdgeChange[] = [];
    for (const { before, after } of listeners) {
      const listener = after && this.#listeners.get(after.addr)?.index;
      if (after === undefined || listener === undefined) continue;
      const { maxConnections, proxyProtocol } = after;
      if (before?.maxConnections !== maxConnections) {
        changes.push({ kind: "set_max_connections", listener, maxConnections });
      }
      if (before?.proxyProtocol !== proxyProtocol) {
        changes.push({ kind: "set_proxy_protocol", listener, proxyProtocol });
      }
    }
    for (const { listener: addr, before, after } of routes) {
      const listener = this.#listeners.get(addr)?.index;
      if (listener === undefined) continue;
      if (after !== undefined) changes.push({ kind: "set_route", listener, route: this.#snapshot(after) });
      else if (before !== undefined) changes.push({ kind: "remove_route", listener, hostname: before.hostname });
    }
    for (const { before, after } of rules) {
      if (after !== undefined) changes.push({ kind: "add_rule", rule: after });
      else if (before !== undefined) changes.push({ kind: "remove_rule", rule: before });
    }
    return changes;
  }

  /** Takes note of a plan that was made; returns what forgets it. */
  #settle({ listeners, routes, rules }: Plan): () => void {
    const before = this.#listeners.values().map((listener) => [listener, { ...listener }] as const).toArray();
    const ruleCount = this.#ruleCount;
    for (const { before, after } of listeners) {
      const listener = this.#listeners.get((after ?? before)?.addr ?? "");
      if (after === undefined) {
        if (listener?.index === undefined) this.#listeners.delete(before?.addr ?? "");
        else listener.isStored = false;
      } else if (listener === undefined) {
        this.#listeners.set(after.addr, { ...after, index: undefined, isStored: true, routeCount: 0 });
      } else {
        Object.assign(listener, after, { isStored: true });
      }
    }
    for (const { listener: addr, before, after } of routes) {
      const listener = this.#listeners.get(addr);
      if (listener !== undefined) listener.routeCount += growth({ before, after });
    }
    for (const change of rules) this.#ruleCount += growth(change);
    return () => {
      this.#listeners.clear();
      for (const [listener, was] of before) this.#listeners.set(was.addr, Object.assign(listener, was));
      this.#ruleCount = ruleCount;
    };
  }

  /** Which listeners open and close at the next start, where the database has these then. */
  #pendingListeners(listeners: readonly Pick<Listener, "addr">[]): Pick<Applied, "opening" | "closing"> {
    const addrs = new Set(listeners.map(({ addr }) => addr));
    const open = this.#listeners.values().filter(isOpen).map(({ addr }) => addr).toArray();
    return {
      opening: [...addrs].filter((addr) => !open.includes(addr)),
      closing: open.filter((addr) => !addrs.has(addr)),
    };
  }

  /** Now and then the log has its turn: it holds so many lines. */
  async #auditPlan(plan: Plan): Promise<void> {
    for (const { before, after } of plan.listeners) {
      const about = { listener: (after ?? before)?.addr };
      const what = after === undefined ? "listener_removed" : before === undefined ? "listener_added" : "listener_set";
      this.#audit(what, about, before && describeListener(before), after && describeListener(after));
    }
    for (const [i, { listener, before, after }] of plan.routes.entries()) {
      if (i % LINES_AT_ONCE === LINES_AT_ONCE - 1) await new Promise((resolve) => setTimeout(resolve));
      const about = { listener, hostname: (after ?? before)?.hostname };
      this.#audit(after ? "route_set" : "route_removed", about, before && describe(before), after && describe(after));
    }
    for (const { before, after } of plan.rules) {
      const what = after ? "firewall_rule_added" : "firewall_rule_removed";
      this.#audit(what, {}, before && describePair(before), after && describePair(after));
    }
    this.#log.info("change", { what: "applied", ...countsOf(plan) });
  }

  /** The configuration with which a server on a new database is what this one is, as the text of its file. */
  exportToml(): string {
    return formatConfig(this.#config, stored(() => this.#store.state()));
  }

  /** Reads the GeoIP file anew, where there is one; a file that cannot be used leaves the one before in use. */
  reloadGeoip(): Promise<GeoipReload> {
    return this.#inTurn(async () => {
      if (this.#geoip === undefined) return "none";
      const geoip = this.#geoip.reload(this.#log);
      if (geoip === undefined) return "failed";
      await this.#served.apply([{ kind: "set_geoip", geoip }]);
      return "loaded";
    });
  }

  /** Makes a change of what the database has. */
  #change<T>(change: () => T | Promise<T>): Promise<T> {
    return this.#inTurn(() => {
      if (this.#suspended !== undefined) throw new Refusal("unavailable", this.#suspended);
      return change();
    });
  }

  /** Makes one change after the other: whoever asks for two at once gets them in the order in which they came. */
  #inTurn<T>(change: () => T | Promise<T>): Promise<T> {
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
    if (changes.length === 0) return;
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
  #known(addr: string): Listener {
    const reading = readListenAddress(addr);
    const listener = reading.kind === "ok" ? this.#listeners.get(reading.value) : undefined;
    return listener ?? this.#refuseListener(addr === "" ? "is missing" : `there is no listener ${quote(addr)}`);
  }

  /** One whose routes can be changed. */
  #listener(addr: string): OpenListener {
    const listener = this.#known(addr);
    if (!listener.isStored) {
      this.#refuseListener(`listener ${quote(addr)} was removed, and closes when the server is started again`);
    }
    if (isOpen(listener)) return listener;
    const message = `listener ${quote(addr)} opens when the server is started again; until then "ctl apply" changes it`;
    throw new Refusal("precondition", message);
  }

  #refuseListener(reason: string): never {
    const known = this.#listeners.values().filter((other) => other.isStored);
    const description = `${reason}; known: ${known.map(({ addr }) => quote(addr)).toArray().join(", ")}`;
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

/** See {@linkcode Administration.apply}. */
export interface ApplyOptions {
  /** Whether what is not asked for is removed. */
  readonly prune: boolean;
  /** Whether it is only said what would be changed. */
  readonly dryRun: boolean;
}

/** See {@linkcode Administration.apply}. */
export interface Applied {
  /** What was changed, or would be. */
  readonly plan: Plan;
  /** How many listeners, routes and rules were not asked for, and stay. */
  readonly kept: number;
  readonly warnings: readonly string[];
  /** Listeners that are stored, and open when the server is started again: their `addr`. */
  readonly opening: readonly string[];
  /** Listeners that are no longer stored, and close when the server is started again. */
  readonly closing: readonly string[];
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

function portOf(addr = ""): string {
  return addr.slice(addr.lastIndexOf(":") + 1);
}

function isOpen(listener: Listener): listener is OpenListener {
  return listener.index !== undefined;
}

function unresolved({ backend }: RouteConfig): string {
  return `${quote(backend)} has no address at this moment; the route works once its name resolves`;
}

/** A route in one line: what differs from the defaults. */
function describe({ hostname: _, backend, mode, l7Policies, ...rest }: RouteConfig): string {
  const defaults: Readonly<Record<string, unknown>> = ROUTE_DEFAULTS;
  const set = Object.entries(rest).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(defaults[key]))
    .map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value] as const)
    .map(([key, value]) => value === true ? key : `${key}=${value}`);
  return [backend, mode, ...set, ...l7Policies.map(describePair)].join(" ");
}

function describeListener({ proxyProtocol, maxConnections }: ListenerSettings): string {
  return `proxy_protocol=${proxyProtocol} max_connections=${maxConnections}`;
}

/** How many more things there are after a change. */
function growth({ before, after }: Changed<unknown>): number {
  return Number(after !== undefined) - Number(before !== undefined);
}

function describePair({ type, value }: L7PolicyConfig | FirewallRule): string {
  return `${type} ${value}`;
}
