/**
 * The one place that assembles the program: store, resolver, engine and log.
 *
 * @module
 */

import { Counters } from "../edge/counters.ts";
import type { ConnectionEnd, Engine, EngineEvents } from "../edge/engine.ts";
import { EpollEngine } from "../edge/linux/engine.ts";
import { Libc, LibcError } from "../edge/linux/libc.ts";
import { PortableEngine } from "../edge/portable/engine.ts";
import type { EdgeSnapshot, ListenerSnapshot } from "../edge/snapshot.ts";
import { type Endpoint, parseListenAddress } from "../wire/socket_address.ts";
import type { Config, ListenerConfig, StoredState } from "./config_types.ts";
import type { Log, LogFields } from "./log.ts";
import { Resolver } from "./resolve.ts";

/** A proxy in front sends its header with the connection, whatever the client does. */
const PROXY_HEADER_TIMEOUT_MS = 5_000;

/** How long the start waits for backend names; those still unknown by then are served once they resolve. */
const RESOLVE_AT_START_MS = 5_000;

/** Everything that is served, and by what it is known. */
export class Supervisor {
  readonly #config: Config;
  readonly #state: StoredState;
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #resolver: Resolver;
  readonly #engineName: "epoll" | "portable";
  readonly #engine: Engine;
  #stopping = false;

  /**
   * Binds every listener; nothing is accepted before {@linkcode Supervisor.start}.
   *
   * @param geoip The bytes of the GeoIP file, where there is one.
   * @throws {ListenError} If an address cannot be bound; none stays bound.
   * @throws {LibcError} If the configuration asks for the epoll engine, and this platform has none.
   */
  constructor(config: Config, state: StoredState, geoip: Uint8Array | undefined, log: Log) {
    this.#config = config;
    this.#state = state;
    this.#log = log;
    this.#engineName = chooseEngine(config.proxy.engine, log);
    const workers = this.#engineName === "portable" ? 1 : config.proxy.workers || navigator.hardwareConcurrency;
    this.#counters = new Counters(state.listeners.length, workers);
    const backends = state.listeners.flatMap(({ routes }) => routes.map(({ backend }) => backend));
    this.#resolver = new Resolver(backends, {
      resolved: (backend, addresses) => void this.#engine.setBackend(backend, addresses),
      failed: (backend, error) => log.warn("resolve_failed", { backend, error: messageOf(error) }),
    });
    const snapshot = makeSnapshot(config, state, geoip, this.#resolver.addresses);
    this.#engine = this.#engineName === "portable"
      ? new PortableEngine(snapshot, this.#counters.writer(0), this.#events())
      : new EpollEngine(snapshot, this.#counters, this.#events());
  }

  /** Resolves the backends' names, then accepts. */
  async start(): Promise<void> {
    await within(RESOLVE_AT_START_MS, this.#resolver.start());
    if (this.#stopping) return;
    await this.#engine.start();
    for (const [index, { addr }] of this.#state.listeners.entries()) {
      this.#log.info("listening", { addr: this.#engine.addresses[index], listener: addr });
    }
    const routes = this.#state.listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
    const { length: listeners } = this.#state.listeners;
    this.#log.info("ready", { engine: this.#engineName, workers: this.#counters.workers, listeners, routes });
  }

  /** Stops accepting, lets open connections finish for `shutdown_timeout`, then ends them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#resolver.close();
    await this.#engine.stop();
    const drained = this.#engine.drained();
    const timeoutMs = this.#config.proxy.shutdownTimeoutMs;
    this.#log.info("draining", { connections: this.#active(), timeout_ms: timeoutMs });
    if (!await within(timeoutMs, drained)) {
      this.#log.warn("drain_timeout", { connections: this.#active() });
      this.#engine.abort();
      await drained;
    }
    for (const [index, { addr }] of this.#state.listeners.entries()) {
      const { accepted, active, bytesIn, bytesOut, rejected } = this.#counters.read(index);
      const counts = { accepted, active, bytes_in: bytesIn, bytes_out: bytesOut };
      this.#log.info("listener_closed", { listener: addr, ...counts, ...prefixed("rejected_", rejected) });
    }
  }

  /** How many workers have died and were replaced. */
  get workerFailures(): number {
    return this.#counters.workerFailures;
  }

  /** Ends every open connection at once, so that a `stop` under way is soon over. */
  abort(): void {
    this.#engine.abort();
  }

  #active(): number {
    return this.#state.listeners.reduce((sum, _, index) => sum + this.#counters.read(index).active, 0);
  }

  #events(): EngineEvents {
    const log = this.#log;
    return {
      connectionEnded: (end) => log.info("connection", connectionFields(end)),
      dialFailed: (backend) => this.#resolver.dialFailed(backend),
      acceptFailed: (listener, reason) => log.error("accept_failed", { listener, reason }),
      acceptRecovered: (listener) => log.info("accept_recovered", { listener }),
      internalError: (stack) => log.error("internal_error", { stack }),
      workerFailed: (worker, stack) => log.error("worker_failed", { worker, stack }),
    };
  }
}

/** @throws {LibcError} If the epoll engine is asked for, and cannot run. */
function chooseEngine(wanted: Config["proxy"]["engine"], log: Log): "epoll" | "portable" {
  if (wanted === "portable") return "portable";
  try {
    new Libc();
    return "epoll";
  } catch (error) {
    if (wanted === "epoll" || !(error instanceof LibcError)) throw error;
    log.info("engine_portable", { reason: error.message });
    return "portable";
  }
}

/** The state of the database and the settings of the file, as the data plane wants them. */
export function makeSnapshot(
  config: Config,
  state: StoredState,
  geoip: Uint8Array | undefined,
  backends: ReadonlyMap<string, readonly Endpoint[]>,
): EdgeSnapshot {
  const { proxy, firewall } = config;
  return {
    listeners: state.listeners.map(listenerSnapshot),
    firewall: {
      rules: state.firewall,
      geoip,
      rateLimit: firewall.rateLimit,
      rateWindowMs: firewall.rateWindowMs,
    },
    backends,
    timeouts: {
      proxyHeaderMs: PROXY_HEADER_TIMEOUT_MS,
      helloMs: proxy.helloTimeoutMs,
      connectMs: proxy.connectTimeoutMs,
      idleMs: proxy.idleTimeoutMs,
    },
    reportsConnections: config.log.level === "debug" || config.log.level === "info",
  };
}

function listenerSnapshot({ addr, proxyProtocol, maxConnections, routes }: ListenerConfig): ListenerSnapshot {
  const parsed = parseListenAddress(addr);
  if (parsed === undefined) throw new TypeError(`not a listen address: ${addr}`);
  return { addr, hostname: parsed.host || "::", port: parsed.port, proxyProtocol, maxConnections, routes };
}

function connectionFields(end: ConnectionEnd): LogFields {
  return {
    listener: end.listener,
    client: end.client,
    sni: end.serverName,
    route: end.route,
    backend: end.backend,
    bytes_in: end.bytesIn,
    bytes_out: end.bytesOut,
    duration_ms: Math.round(end.durationMs),
    end: end.end,
    detail: end.detail,
  };
}

/** Whether `work` is done within `ms`; it goes on if not. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

function prefixed(prefix: string, fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [prefix + key, value]));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
