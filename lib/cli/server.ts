/**
 * `mc-proxy server`: runs until a signal ends it.
 *
 * @module
 */

import { resolve } from "node:path";
import { Predecessor, TakeoverError } from "../admin/predecessor.ts";
import { AdminServer } from "../admin/server.ts";
import { Administration } from "../control/administration.ts";
import { checkFiles, ConfigError, loadConfig } from "../control/config.ts";
import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import { CertificateFiles } from "../control/certificate_files.ts";
import { GeoipFile } from "../control/geoip_file.ts";
import { type HandedListener, Handover } from "../control/handover.ts";
import { Log } from "../control/log.ts";
import { MetricsEndpoint } from "../control/metrics/endpoint.ts";
import { Metrics, type MetricSources } from "../control/metrics/metrics.ts";
import { notReady, type ReadinessSources } from "../control/metrics/readiness.ts";
import { readStats, type StatsSources } from "../control/metrics/stats.ts";
import { ServerLock } from "../control/store/lock.ts";
import { Store } from "../control/store/store.ts";
import { chooseEngine, type EngineName, type StopOptions, Supervisor } from "../control/supervisor.ts";
import { ignored } from "../control/ignored.ts";
import { LibcError } from "../edge/linux/libc.ts";
import { messageOf, stackOf } from "../edge/thrown.ts";
import { Failure } from "./failure.ts";
import { version } from "./version.ts";

/** How long the last lines of the log may take: who reads it may have stopped. */
const LAST_LINES_MS = 1_000;

/** How the program is to be started. */
export interface ServerOptions {
  /** Whether to take the place of a server that runs, where one does. */
  readonly takeover?: boolean;
  /** How long that server's connections may go on, in milliseconds; 0: its `shutdown_timeout`. */
  readonly drainMs?: number;
}

/** What the parts are made from. */
interface Foundation {
  readonly file: string;
  readonly config: Config;
  readonly log: Log;
  readonly engine: EngineName;
  readonly lock: ServerLock;
  readonly store: Store;
  readonly predecessor: Predecessor | undefined;
}

/** The parts of a program that is ready to serve. */
interface Parts {
  readonly log: Log;
  readonly supervisor: Supervisor;
  readonly administration: Administration;
  readonly certificates: CertificateFiles;
  readonly admin: AdminServer | undefined;
  readonly metrics: MetricsEndpoint | undefined;
  /** Resolves when another process has taken this one's place. */
  readonly replaced: Promise<StopOptions>;
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
  const { lock, store, parts } = await begin({ file, config, log, engine, predecessor }, drainMs);
  for (const { path, message } of [...warnings, ...ignored(config), ...files.warnings]) {
    log.warn("config", { file, key: path, message });
  }
  await serve(parts);
  log.info("stopped", { worker_failures: parts.supervisor.status.workerFailures });
  store.close();
  lock[Symbol.dispose]();
  await Promise.race([log.flush(), new Promise((resolve) => setTimeout(resolve, LAST_LINES_MS))]);
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

/**
 * Has the server that runs begin to hand over; `undefined` where none runs.
 *
 * @throws {ConfigError | AdminSocketError | Failure} If there is no way to it, or it refuses.
 */
async function meet(file: string, config: Config, engine: EngineName): Promise<Predecessor | undefined> {
  if (Deno.build.os !== "linux") throw new Failure(["--takeover: two servers can share a port on Linux only"]);
  if (config.grpc === undefined) {
    const message = "is missing: --takeover finds the server that runs by its admin socket";
    throw new ConfigError(file, [{ path: "grpc", message }]);
  }
  const database = resolve(config.database.path);
  try {
    return await Predecessor.meet(config.grpc.addr, { version, database, wantsDescriptors: engine === "epoll" });
  } catch (error) {
    throw failureOf(error, config.grpc.addr);
  }
}

/** A takeover that failed, as the user is told; any other error as it is. */
function failureOf(error: unknown, addr: string): unknown {
  if (!(error instanceof TakeoverError)) return error;
  return new Failure([`cannot take over from the server at ${addr}, which carries on: ${error.message}`], {
    cause: error,
  });
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
    parts = assemble({ ...foundation, lock, store });
    if (predecessor === undefined) {
      await parts.admin?.open();
      store.commit();
    } else {
      await takeOver(parts, store, predecessor, drainMs);
    }
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

/**
 * Has the program serve in the place of another one, which goes on to serve until it is told that this one does.
 *
 * What can fail comes first; the last thing that the other one does not see undone is that its socket's path is ours.
 *
 * @throws {TakeoverError} If the other process does not wait any more.
 */
async function takeOver(parts: Parts, store: Store, predecessor: Predecessor, drainMs: number): Promise<void> {
  const { log, supervisor, admin, metrics } = parts;
  await supervisor.prepare();
  const { pid, version, isThere } = predecessor;
  if (!isThere) log.warn("predecessor_gone", { pid });
  store.commit();
  await admin?.open({ replaces: isThere });
  try {
    await supervisor.start();
    if (metrics?.boundAddr === undefined) metrics?.open(predecessor.metrics?.boundAddr);
    await predecessor.finish(drainMs);
  } catch (error) {
    await supervisor.stop({ takesQueued: false }); // what it accepted meanwhile is served
    throw error;
  }
  log.info("took_over", { from_pid: pid, from_version: version });
}

/** Loads what there is to serve, within the transaction that `prepare` opens, and binds its listeners. */
function assemble({ file, config, log, engine, lock, store, predecessor }: Foundation): Parts {
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
  const served = { geoip: geoip?.bytes, certificates };
  const supervisor = new Supervisor(config, state, served, log, engine, predecessor?.listeners);
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
  const metrics = config.metrics && makeMetrics(config.metrics, { ...counted, store, log });
  if (!inheritsMetrics(config, predecessor)) metrics?.open();
  const replaced = Promise.withResolvers<StopOptions>();
  const handover: Handover = new Handover({
    administration,
    supervisor,
    lock,
    database: config.database.path,
    log,
    metrics: () => handedMetrics(config, metrics),
    restoreSocket: async () => await admin?.restore(),
    leave: replaced.resolve,
  });
  const administered = { administration, version, stats: () => readStats(counted), handover };
  const admin: AdminServer | undefined = config.grpc &&
    new AdminServer(config.grpc.addr, administered, { internalError });
  log.info("starting", { version, config: file, database: config.database.path });
  if (seeded) log.info("database_seeded", { database: config.database.path });
  if (differs) {
    log.warn("config_differs", {
      message:
        "the database has other listeners, routes or firewall rules than the file; those of the database are used",
    });
  }
  return { log, supervisor, administration, certificates, admin, metrics, replaced: replaced.promise };
}

/** Makes the endpoint of scrapers. */
function makeMetrics(
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

/** Whether the process that is replaced has the endpoint's address: then it is opened once this one serves. */
function inheritsMetrics({ metrics }: Config, predecessor: Predecessor | undefined): boolean {
  return metrics !== undefined && predecessor?.metrics?.addr === metrics.addr;
}

/** What a successor is told of the endpoint. */
function handedMetrics(config: Config, endpoint: MetricsEndpoint | undefined): HandedListener | undefined {
  if (config.metrics === undefined || endpoint?.boundAddr === undefined) return undefined;
  return { addr: config.metrics.addr, boundAddr: endpoint.boundAddr, sockets: 0 };
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

/**
 * Serves until the first signal, or until another process has taken its place, and then until all is drained; a signal
 * after that ends what is still open.
 */
async function serve(parts: Parts): Promise<void> {
  const { log, supervisor, administration, certificates, admin, metrics, replaced } = parts;
  const stopping = Promise.withResolvers<StopOptions>();
  let isStopping = false;
  const stop = (options: StopOptions) => {
    isStopping = true;
    stopping.resolve(options);
  };
  const onStop = () => isStopping ? supervisor.abort() : stop({});
  const onReload = () => {
    Promise.all([administration.reloadGeoip(), certificates.check()]).catch((error) =>
      log.error("reload_failed", { error: String(error) })
    );
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
  await Promise.race([start(parts), stopping.promise]);
  const options = await stopping.promise;
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
  for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
}

async function start({ log, supervisor, administration, certificates, admin, metrics }: Parts): Promise<void> {
  if (!await supervisor.start()) return;
  certificates.start();
  admin?.start();
  if (admin !== undefined) log.info("admin_listening", { addr: admin.path });
  if (metrics !== undefined) log.info("metrics_listening", { addr: metrics.boundAddr });
  const { engine, workers, listeners } = administration.status;
  const routes = listeners.reduce((sum, { routeCount }) => sum + routeCount, 0);
  log.info("ready", { engine, workers, listeners: listeners.length, routes });
}
