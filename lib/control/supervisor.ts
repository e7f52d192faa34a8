/**
 * The one place that assembles the program: store, resolver, engine and log.
 *
 * @module
 */

import type { EdgeChange } from "../edge/change.ts";
import { Counters, type ListenerCounts } from "../edge/counters.ts";
import type { Engine, EngineEvents, SuppressedLines, ThreadCounts } from "../edge/engine.ts";
import { type Inheritance, NOTHING_INHERITED } from "../edge/inherited.ts";
import { EpollEngine } from "../edge/linux/engine.ts";
import { listenProblem } from "../edge/listen.ts";
import { PortableEngine } from "../edge/portable/engine.ts";
import type { RouteRows } from "../edge/route_counters.ts";
import type { CertificateSnapshot, EdgeSnapshot, ListenerSnapshot } from "../edge/snapshot.ts";
import { messageOf, stackOf } from "../edge/thrown.ts";
import type { TlsLibrary } from "../edge/tls_library.ts";
import type { Endpoint } from "../wire/socket_address.ts";
import { type CertificateFiles, certificateName } from "./certificate_files.ts";
import type { Config, ListenerConfig, RouteConfig, StoredState } from "./config_types.ts";
import type { EngineChoice, EngineName } from "./engine_choice.ts";
import { bindingOf } from "./listen_conflicts.ts";
import type { Log } from "./log.ts";
import type { LogFieldsOf } from "./log_events.ts";
import { Outage } from "./outage.ts";
import { Resolver } from "./resolve.ts";
import { trustSystemAuthorities } from "./system_authorities.ts";
import { RouteCounts } from "./route_counts.ts";
import { routeSnapshot } from "./route_snapshot.ts";
import { type HandedTicketKeys, TicketKeyring } from "./ticket_keyring.ts";
import { UnboundListeners } from "./unbound_listeners.ts";
import { within } from "./within.ts";

/** A proxy in front sends its header with the connection, whatever the client does. */
const PROXY_HEADER_TIMEOUT_MS = 5_000;

/** How long the start, or a new route, waits for backend names; one still unknown then is served once it resolves. */
const RESOLVE_MS = 5_000;

/** How long the workers may take to confirm a change: they do it between two turns of their loops. */
const APPLY_MS = 5_000;
/** The same for each of many that are made at once; measured with two workers: 0.01 to 0.02 ms. */
const APPLY_EACH_MS = 0.1;

/** What is read from files that may change while the program runs. */
export interface ServedFiles {
  /** The bytes of the GeoIP file, where there is one. */
  readonly geoip: Uint8Array | undefined;
  /** Where there are L7 routes: theirs, already added. */
  readonly certificates: CertificateFiles | undefined;
}

/** What serves, and what it did so far. */
export interface ServingStatus {
  readonly engine: EngineName;
  readonly workers: number;
  /** How many workers have died and were replaced. */
  readonly workerFailures: number;
  readonly listeners: readonly {
    readonly addr: string;
    /** `host:port` as it is really bound; empty where it is not. */
    readonly boundAddr: string;
    /** Why it is not bound; it is tried again. */
    readonly problem: string | undefined;
    readonly counts: ListenerCounts;
  }[];
}

/** How to stop. */
export interface StopOptions {
  /** How long open connections may go on; by default `shutdown_timeout`. */
  readonly timeoutMs?: number;
  /** See {@linkcode Engine.stop}. */
  readonly takesQueued?: boolean;
}

/** What went wrong so far, beside what is counted of connections. */
export interface Faults {
  /** How often the system began to refuse to accept, by the listener's `addr`. */
  readonly accept: ReadonlyMap<string, number>;
  /** Faults of ours that ended one connection. */
  readonly internal: number;
}

/** Everything that is served, and by what it is known. */
export class Supervisor {
  readonly #config: Config;
  readonly #listeners: readonly string[];
  readonly #log: Log;
  readonly #workers: number;
  readonly #counters: Counters;
  /** What is counted of the routes: who adds or removes one says so. */
  readonly routeCounts: RouteCounts;
  readonly #resolver: Resolver;
  readonly engine: EngineName;
  /** What TLS is spoken with. */
  readonly tls: TlsLibrary;
  readonly #engine: Engine;
  readonly #ticketKeys: TicketKeyring;
  readonly #unbound: UnboundListeners;
  readonly #acceptFailures = new Map<string, number>();
  /** By the listener's `addr`. */
  readonly #acceptOutages = new Map<string, Outage>();
  #internalErrors = 0;
  #prepared: Promise<void> | undefined;
  #started: Promise<boolean> | undefined;
  #isStarted = false;
  #stopping = false;

  /**
   * Binds the listeners; nothing is accepted before {@linkcode Supervisor.start}. One that cannot be bound does not keep
   * the others from serving: it is tried again.
   *
   * @param engine See {@linkcode chooseEngine}.
   * @param inherited The listeners of the process that this one replaces.
   * @param handed Its keys of session tickets.
   * @throws {NothingBoundError} If not one of them can be bound.
   * @throws {ListenError} If one that is inherited cannot be bound.
   */
  constructor(
    config: Config,
    state: StoredState,
    files: ServedFiles,
    log: Log,
    { name: engine, tls }: EngineChoice,
    inherited: Inheritance = NOTHING_INHERITED,
    handed?: HandedTicketKeys,
  ) {
    trustSystemAuthorities();
    this.#config = config;
    this.#listeners = state.listeners.map(({ addr }) => addr);
    this.#log = log;
    this.engine = engine;
    this.tls = tls;
    const portable = this.engine === "portable";
    this.#workers = portable ? 1 : config.proxy.workers || navigator.hardwareConcurrency;
    this.#counters = new Counters(state.listeners.length, portable ? 1 : this.#workers);
    const routes = state.listeners.flatMap(({ routes }) => routes);
    this.routeCounts = new RouteCounts(this.#counters.routes, config.proxy.connectTimeoutMs);
    for (const route of routes) this.routeCounts.add(route);
    const backends = routes.map(({ backend }) => backend);
    this.#resolver = new Resolver(backends, {
      resolved: (backend, addresses) => this.#applyUnawaited([{ kind: "set_backend", name: backend, addresses }]),
      failed: (backend, error) => log.warn("resolve_failed", { backend, error: messageOf(error) }),
    });
    this.#ticketKeys = new TicketKeyring({
      handed,
      changed: (keys) => this.#applyUnawaited([{ kind: "set_ticket_keys", keys }]),
    });
    const snapshot = {
      ...makeSnapshot(config, state, files, this.#resolver.addresses, (r) => this.routeCounts.rows(r)),
      logPriorities: log.hasPriorities,
      ticketKeys: this.#ticketKeys.keys,
    };
    try {
      this.#engine = this.engine === "portable"
        ? new PortableEngine(snapshot, this.#counters.writer(0), this.#events(), inherited)
        : new EpollEngine(snapshot, this.#workers, this.#counters, this.#events(), inherited);
      this.#unbound = new UnboundListeners(this.#engine, snapshot.listeners, log);
    } catch (error) {
      this.#ticketKeys[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves the backends' names and starts the threads, so that {@linkcode Supervisor.start} takes no time. */
  async prepare(): Promise<void> {
    await this.#resolve();
    await this.#engine.prepare();
  }

  #resolve(): Promise<void> {
    return this.#prepared ??= within(RESOLVE_MS, this.#resolver.start()).then(() => {});
  }

  /** Accepts, once the backends' names are resolved; `false` where it was stopped meanwhile. To repeat it is harmless. */
  start(): Promise<boolean> {
    return this.#started ??= this.#start();
  }

  async #start(): Promise<boolean> {
    await this.#resolve();
    if (this.#stopping) return false;
    await this.#engine.start();
    this.#isStarted = true;
    const { addresses } = this.#engine;
    for (const [index, addr] of this.#listeners.entries()) {
      const bound = addresses[index];
      if (bound !== undefined) this.#log.info("listening", { addr: bound, listener: addr });
    }
    if (!this.#isStopping()) this.#unbound.start();
    return true;
  }

  /**
   * Passes the listening sockets to another process, see {@linkcode Engine.passListeners}.
   *
   * @returns How many sockets each listener has, by its `addr`.
   * @throws {DescriptorError} If they cannot be passed.
   */
  passListeners(path: string): ReadonlyMap<string, number> {
    const counts = this.#engine.passListeners(path);
    return new Map(this.#listeners.map((addr, index) => [addr, counts[index] ?? 0]));
  }

  /** The keys of session tickets, for the process that takes this one's place. */
  handTicketKeys(): HandedTicketKeys {
    return this.#ticketKeys.hand();
  }

  /** Stops accepting, lets open connections finish for some time, then ends them. */
  async stop(
    { timeoutMs = this.#config.proxy.shutdownTimeoutMs, takesQueued = true }: StopOptions = {},
  ): Promise<void> {
    this.#stopping = true;
    this.#ticketKeys[Symbol.dispose]();
    this.#unbound.close();
    this.#resolver.close();
    await this.#engine.stop(takesQueued);
    const drained = this.#engine.drained();
    this.#log.info("draining", { connections: this.#active(), timeout_ms: timeoutMs });
    if (!await within(timeoutMs, drained)) {
      this.#log.warn("drain_timeout", { connections: this.#active() });
      this.#engine.abort();
      await drained;
    }
    for (const [index, addr] of this.#listeners.entries()) {
      const { accepted, active, bytesIn, bytesOut, rejected } = this.#counters.read(index);
      const counts = { accepted, active, bytes_in: bytesIn, bytes_out: bytesOut };
      this.#log.info("listener_closed", { listener: addr, ...counts, ...rejectedFields(rejected) });
    }
  }

  #isStopping(): boolean {
    return this.#stopping;
  }

  /** Whether connections are accepted. */
  get isAccepting(): boolean {
    return this.#isStarted && !this.#stopping;
  }

  /** Whether every thread is there and answers within a few seconds; while the program stops, they end one by one. */
  async answers(): Promise<boolean> {
    if (this.#stopping) return true;
    const { wanted, up } = this.threads;
    return up >= wanted && await within(APPLY_MS, this.#engine.apply([]));
  }

  get threads(): ThreadCounts {
    return this.#engine.threads;
  }

  /** Why the system refuses to accept connections, by the listener's `addr`; of those alone that it refuses now. */
  get acceptProblems(): ReadonlyMap<string, string> {
    const problems = this.#acceptOutages.entries().map(([listener, { reason }]) => [listener, reason ?? ""] as const);
    return new Map(problems.filter(([, reason]) => reason !== ""));
  }

  get faults(): Faults {
    return { accept: this.#acceptFailures, internal: this.#internalErrors };
  }

  /** What serves, at this moment. */
  get status(): ServingStatus {
    const { addresses } = this.#engine;
    return {
      engine: this.engine,
      workers: this.#workers,
      workerFailures: this.#counters.workerFailures,
      listeners: this.#listeners.map((addr, index) => ({
        addr,
        boundAddr: addresses[index] ?? "",
        problem: this.#unbound.problem(index),
        counts: this.#counters.read(index),
      })),
    };
  }

  /** The number of a listener in {@linkcode EdgeChange}s, by its `addr`; -1 where there is none. */
  listenerIndex(addr: string): number {
    return this.#listeners.indexOf(addr);
  }

  /**
   * Makes changes; resolves once every worker goes by them.
   *
   * @throws {Error} If one does not say so in time: the changes are under way all the same.
   */
  async apply(changes: readonly EdgeChange[]): Promise<void> {
    const ms = APPLY_MS + Math.floor(APPLY_EACH_MS * changes.length);
    if (!await within(ms, this.#engine.apply(changes))) {
      throw new Error(`a worker has not confirmed a change within ${ms} ms`);
    }
  }

  /**
   * Adds a user of each of these backends, and finds their addresses, for which names get a few seconds.
   *
   * @returns The addresses of every backend as far as they are known, at any time; none of a name that has none.
   */
  async useBackends(backends: readonly string[]): Promise<ReadonlyMap<string, readonly Endpoint[]>> {
    const tried = Promise.all(backends.map((backend) => this.#resolver.add(backend)));
    await within(RESOLVE_MS, tried.then(() => {}));
    return this.#resolver.addresses;
  }

  /**
   * Takes a user of each of these backends away: one that has no other is forgotten. Nobody waits for that: a worker
   * makes changes in the order in which it is told of them, so the backend's next user comes later.
   */
  releaseBackends(backends: readonly string[]): void {
    const gone = backends.filter((backend) => this.#resolver.remove(backend));
    if (gone.length > 0) this.#applyUnawaited(gone.map((name) => ({ kind: "remove_backend", name })));
  }

  /** Makes changes that nobody waits for. */
  #applyUnawaited(changes: readonly EdgeChange[]): void {
    this.#engine.apply(changes).catch((error) => this.#internalError(stackOf(error)));
  }

  /** Why an address cannot be listened on at this moment; `undefined` where it can. */
  listenProblem(addr: string): string | undefined {
    const { hostname, port } = bindingOf(addr);
    return listenProblem(addr, hostname, port);
  }

  /** Ends every open connection at once, so that a `stop` under way is soon over. */
  abort(): void {
    this.#engine.abort();
  }

  #active(): number {
    return this.#listeners.reduce((sum, _, index) => sum + this.#counters.read(index).active, 0);
  }

  #events(): EngineEvents {
    const log = this.#log;
    return {
      linesWritten: (lines) => log.append(lines),
      linesSuppressed: (lines) => log.info("lines_suppressed", suppressedFields(lines)),
      dialFailed: (backend) => this.#resolver.dialFailed(backend),
      acceptFailed: (listener, reason) => this.#acceptOutage(listener).failed(reason),
      acceptRecovered: (listener) => this.#acceptOutage(listener).recovered(),
      internalError: (stack) => this.#internalError(stack),
      workerFailed: (worker, stack) => {
        log.error("worker_failed", { worker, stack });
        for (const outage of this.#acceptOutages.values()) outage.reset();
      },
    };
  }

  #internalError(stack: string): void {
    this.#internalErrors++;
    this.#log.error("internal_error", { stack });
  }

  #acceptOutage(listener: string): Outage {
    const known = this.#acceptOutages.get(listener);
    if (known !== undefined) return known;
    const outage = new Outage({
      failed: (reason) => {
        this.#acceptFailures.set(listener, (this.#acceptFailures.get(listener) ?? 0) + 1);
        this.#log.error("accept_failed", { listener, reason });
      },
      recovered: () => this.#log.info("accept_recovered", { listener }),
    });
    this.#acceptOutages.set(listener, outage);
    return outage;
  }
}

/** The state of the database and the settings of the file, as the data plane wants them. */
export function makeSnapshot(
  config: Config,
  state: StoredState,
  { geoip, certificates }: ServedFiles,
  backends: ReadonlyMap<string, readonly Endpoint[]>,
  rowsOf: (route: RouteConfig) => RouteRows,
): EdgeSnapshot {
  const { proxy, firewall } = config;
  const reports = config.log.level === "debug" || config.log.level === "info";
  return {
    listeners: state.listeners.map((listener) => listenerSnapshot(listener, rowsOf)),
    firewall: {
      rules: state.firewall,
      geoip,
      rateLimit: firewall.rateLimit,
      rateWindowMs: firewall.rateWindowMs,
    },
    backends,
    certificates: certificates === undefined ? new Map() : certificatesOf(state, certificates),
    tls: proxy.tls,
    ticketKeys: [],
    timeouts: {
      proxyHeaderMs: PROXY_HEADER_TIMEOUT_MS,
      helloMs: proxy.helloTimeoutMs,
      connectMs: proxy.connectTimeoutMs,
      idleMs: proxy.idleTimeoutMs,
    },
    logFormat: config.log.format,
    logPriorities: false,
    reportsConnections: reports,
    reportsRequests: reports && config.log.access,
  };
}

function certificatesOf({ listeners }: StoredState, files: CertificateFiles): Map<string, CertificateSnapshot> {
  const certificates = new Map<string, CertificateSnapshot>();
  for (const route of listeners.flatMap(({ routes }) => routes)) {
    const certificate = files.current(route);
    if (certificate === undefined) continue;
    certificates.set(certificateName(route), { cert: certificate.cert, key: certificate.key });
  }
  return certificates;
}

function listenerSnapshot(
  { addr, proxyProtocol, maxConnections, routes }: ListenerConfig,
  rowsOf: (route: RouteConfig) => RouteRows,
): ListenerSnapshot {
  return {
    addr,
    ...bindingOf(addr),
    proxyProtocol,
    maxConnections,
    routes: routes.map((route) => routeSnapshot(route, rowsOf(route))),
  };
}

function suppressedFields({ clients, firstAt, lastAt, ...rest }: SuppressedLines): LogFieldsOf<"lines_suppressed"> {
  return {
    ...rest,
    clients: clients.join(" "),
    first: new Date(firstAt).toISOString(),
    last: new Date(lastAt).toISOString(),
  };
}

function rejectedFields(rejected: ListenerCounts["rejected"]): Partial<LogFieldsOf<"listener_closed">> {
  return Object.fromEntries(Object.entries(rejected).map(([reason, count]) => [`rejected_${reason}`, count]));
}
