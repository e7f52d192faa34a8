/**
 * `mc-proxy server`: runs until a signal ends it.
 *
 * @module
 */

import { checkFiles, ConfigError, loadConfig } from "../control/config.ts";
import type { Config } from "../control/config_types.ts";
import { ignored } from "../control/ignored.ts";
import { Log } from "../control/log.ts";
import { ServerLock } from "../control/store/lock.ts";
import { Store } from "../control/store/store.ts";
import { chooseEngine, type EngineName, type StopOptions } from "../control/supervisor.ts";
import { LibcError } from "../edge/linux/libc.ts";
import { assemble, type Foundation, type Parts, refuse } from "./assemble.ts";
import { ServiceManager } from "./service_manager.ts";
import { failureOf, meet, takeOver } from "./takeover.ts";

/** How long the last lines of the log may take: who reads it may have stopped. */
const LAST_LINES_MS = 1_000;

/** How long a process that was replaced stays at least, so that the service manager hears of the other one before its end. */
const MANAGER_MS = 5_000;

/** How the program is to be started. */
export interface ServerOptions {
  /** Whether to take the place of a server that runs, where one does. */
  readonly takeover?: boolean;
  /** How long that server's connections may go on, in milliseconds; 0: its `shutdown_timeout`. */
  readonly drainMs?: number;
}

/**
 * Runs the proxy.
 *
 * Nothing is written before every listener is bound: a start that fails leaves the database as it was, or makes none; and
 * a server that runs, and was to be replaced, carries on.
 *
 * @param file The configuration file.
 * @returns The exit code, once a signal or another process has ended it.
 * @throws {ConfigError | StoreError | ListenError | AdminSocketError | Failure} If it cannot start.
 */
export async function runServer(file: string, { takeover = false, drainMs = 0 }: ServerOptions = {}): Promise<number> {
  const { config, warnings } = loadConfig(file);
  const files = checkFiles(config);
  refuse(file, files.problems);
  const log = new Log(config.log.level, config.log.format);
  const engine = engineOf(file, config, log);
  const predecessor = takeover ? await meet(file, config, engine) : undefined;
  const manager = ServiceManager.open((reason) => log.warn("service_manager", { reason }), predecessor?.watchdogMs);
  const foundation = { file, config, log, engine, predecessor, manager };
  const { lock, store, parts } = await begin(foundation, drainMs);
  for (const { path, message } of [...warnings, ...ignored(config), ...files.warnings]) {
    log.warn("config", { file, key: path, message });
  }
  await serve(parts, foundation);
  log.info("stopped", { worker_failures: parts.supervisor.status.workerFailures });
  store.close();
  lock[Symbol.dispose]();
  await Promise.race([log.flush(), after(LAST_LINES_MS)]);
  return 0;
}

/** @throws {ConfigError} If the engine that is asked for cannot run here. */
function engineOf(file: string, { proxy }: Config, log: Log): EngineName {
  try {
    return chooseEngine(proxy.engine, log);
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    const message = `"epoll" cannot run here: ${error.message}; use "auto" or "portable"`;
    throw new ConfigError(file, [{ path: "proxy.engine", message }]);
  }
}

/** Makes the program ready to serve, and where it takes the place of another one, has it serve. */
async function begin(
  foundation: Omit<Foundation, "lock" | "store">,
  drainMs: number,
): Promise<Pick<Foundation, "lock" | "store"> & { readonly parts: Parts }> {
  const { config, predecessor } = foundation;
  let lock: ServerLock | undefined;
  let store: Store | undefined;
  let parts: Parts | undefined;
  try {
    lock = ServerLock.take(config.database.path);
    store = Store.open(config.database.path);
    parts = await assemble({ ...foundation, lock, store });
    if (predecessor === undefined) store.commit();
    else await takeOver(parts, store, predecessor, drainMs);
    return { lock, store, parts };
  } catch (error) {
    await parts?.admin?.close();
    parts?.metrics?.close();
    store?.discard();
    lock?.discard();
    predecessor?.abandon();
    throw failureOf(error, config.grpc?.addr ?? "");
  }
}

<<<<<<< HEAD
/**
 * Serves until the first signal, or until another process has taken its place, and then until all is drained; a signal
 * after that ends what is still open.
 */
async function serve(
  parts: Parts,
  { config, manager, predecessor }: Omit<Foundation, "lock" | "store">,
): Promise<void> {
  const { log, supervisor, administration, certificates, admin, metrics, replaced } = parts;
  const stopping = Promise.withResolvers<StopOptions>();
  let isStopping = false;
  const stop = (options: StopOptions) => {
    isStopping = true;
    stopping.resolve(options);
  };
  const aborted = Promise.withResolvers<void>();
  const onStop = () => {
    if (!isStopping) return stop({});
    supervisor.abort();
    aborted.resolve();
  };
=======
/** Loads what there is to serve, within the transaction that `prepare` opens, and binds its listeners and socket. */
async function assemble(file: string, config: Config, store: Store, log: Log): Promise<Parts> {
  const { state, seeded, differs } = store.prepare(config);
  refuse(file, unservable(config, state));
  const { geoipDb } = config.firewall;
  const geoip = geoipDb === undefined ? undefined : GeoipFile.load(geoipDb);
  const certificates = new CertificateFiles({
    log,
    events: {
      changed: (name, certificate) => {
        administration.renewCertificate(name, certificate)
          .catch((error) => log.error("certificate_not_served", { error: messageOf(error) }));
      },
    },
  });
  for (const { addr, routes } of state.listeners) for (const route of routes) certificates.add(route, addr);
  const supervisor = new Supervisor(config, state, { geoip: geoip?.bytes, certificates }, log);
  const administration = new Administration({
    config,
    state,
    store,
    served: supervisor,
    geoip: geoip?.file,
    certificates,
    log,
  });
  const internalError = (method: string, thrown: unknown) =>
    log.error("internal_error", { method, stack: stackOf(thrown) });
  const counted = { version, supervisor, administration, certificates };
  const metrics = config.metrics && openMetrics(config.metrics, { ...counted, store, log });
  const administered = { administration, version, stats: () => readStats(counted) };
  const admin = config.grpc && await AdminServer.open(config.grpc.addr, administered, { internalError })
    .catch((error) => {
      metrics?.close();
      throw error;
    });
  log.info("starting", { version, config: file, database: config.database.path });
  if (seeded) log.info("database_seeded", { database: config.database.path });
  if (differs) {
    log.warn("config_differs", {
      message:
        "the database has other listeners, routes or firewall rules than the file; those of the database are used: " +
        '"ctl diff" shows where',
    });
  }
  return { log, supervisor, administration, certificates, admin, metrics };
}

/** Opens the endpoint of scrapers. @throws {ListenError} If its address cannot be bound. */
function openMetrics(
  { addr, path, dashboard }: NonNullable<Config["metrics"]>,
  sources: MetricSources & StatsSources & ReadinessSources & { readonly log: Log },
): MetricsEndpoint {
  return new MetricsEndpoint({
    addr,
    path,
    dashboard,
    metrics: new Metrics(sources),
    stats: () => readStats(sources),
    notReady: () => notReady(sources),
    failed: (thrown) => sources.log.error("internal_error", { method: "metrics", stack: stackOf(thrown) }),
  });
}

/** What a database that has its own truth may lack of its configuration. */
function unservable({ firewall }: Config, state: StoredState): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (state.listeners.length === 0) {
    problems.push({ path: "listeners", message: "there is none, in the file or the database; add at least one" });
  }
  if (state.firewall.blockedCountries.length > 0 && firewall.geoipDb === undefined) {
    problems.push({ path: "firewall.geoip_db", message: "is missing: the database blocks countries" });
  }
  return problems;
}

function refuse(file: string, problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(file, problems);
}

/** Serves until the first signal, and then until all is drained; a second signal ends what is still open. */
async function serve(parts: Parts): Promise<void> {
  const { log, supervisor, administration, certificates, admin, metrics } = parts;
  const stopping = Promise.withResolvers<void>();
  let signals = 0;
  const onStop = () => ++signals === 1 ? stopping.resolve() : supervisor.abort();
>>>>>>> state
  const onReload = () => {
    manager?.reloading();
    Promise.all([administration.reloadGeoip(), certificates.check()])
      .catch((error) => log.error("reload_failed", { error: String(error) }))
      .finally(() => manager?.reloaded());
  };
  const handlers: readonly (readonly [Deno.Signal, () => void])[] = Deno.build.os === "windows"
    ? [["SIGINT", onStop], ["SIGTERM", onStop]]
    : [["SIGINT", onStop], ["SIGTERM", onStop], ["SIGHUP", onReload]];
  for (const [signal, handler] of handlers) Deno.addSignalListener(signal, handler);
  let isReplaced = false;
  void replaced.then((options) => {
    isReplaced = true;
    stop(options);
  });
  await Promise.race([start(parts, manager, predecessor !== undefined), stopping.promise]);
  const options = await stopping.promise;
  // Of the service, which goes on, the other process tells.
  if (isReplaced) manager?.close();
  else manager?.stopping("Stopping: open connections may finish", config.proxy.shutdownTimeoutMs);
  const mayLeave = isReplaced && manager !== undefined ? after(MANAGER_MS) : undefined;
  certificates.close();
  admin?.drain();
  await administration.drain();
  if (isReplaced) {
    // Whoever asks again is to reach the other process.
    metrics?.close();
    await admin?.close();
  }
  await supervisor.stop(options);
  if (!isReplaced) await admin?.close();
  metrics?.close();
  await Promise.race([mayLeave, aborted.promise]);
  for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
  manager?.close();
}

async function start(parts: Parts, manager: ServiceManager | undefined, isNewMain: boolean): Promise<void> {
  const { log, supervisor, administration, certificates, admin, metrics } = parts;
  if (!await supervisor.start()) return;
  certificates.start();
  admin?.start();
  if (admin !== undefined) log.info("admin_listening", { addr: admin.path });
  if (metrics?.boundAddr !== undefined) log.info("metrics_listening", { addr: metrics.boundAddr });
  const { engine, workers, listeners } = administration.status;
  const routes = listeners.reduce((sum, { routeCount }) => sum + routeCount, 0);
  log.info("ready", { engine, workers, listeners: listeners.length, routes });
  manager?.ready(statusLine(parts), { isNewMain });
  manager?.watch(() => supervisor.answers(), () => statusLine(parts));
}

/** What `systemctl status` shows. */
function statusLine({ administration }: Parts): string {
  const { listeners } = administration.status;
  const sum = (of: (listener: typeof listeners[number]) => number) => listeners.reduce((n, each) => n + of(each), 0);
  const [routes, connections] = [sum(({ routeCount }) => routeCount), sum(({ counts }) => counts.active)];
  return `Serving: listeners ${listeners.length}, routes ${routes}, open connections ${connections}`;
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
