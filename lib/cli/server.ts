/**
 * `mc-proxy server`: runs until a signal ends it.
 *
 * @module
 */

import { AdminServer } from "../admin/server.ts";
import { Administration } from "../control/administration.ts";
import { checkFiles, ConfigError, loadConfig } from "../control/config.ts";
import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import { CertificateFiles } from "../control/certificate_files.ts";
import { GeoipFile } from "../control/geoip_file.ts";
import { Log } from "../control/log.ts";
import { MetricsEndpoint } from "../control/metrics/endpoint.ts";
import { Metrics, type MetricSources } from "../control/metrics/metrics.ts";
import { notReady, type ReadinessSources } from "../control/metrics/readiness.ts";
import { readStats, type StatsSources } from "../control/metrics/stats.ts";
import { ServerLock } from "../control/store/lock.ts";
import { Store } from "../control/store/store.ts";
import { Supervisor } from "../control/supervisor.ts";
import { ignored } from "../control/ignored.ts";
import { LibcError } from "../edge/linux/libc.ts";
import { messageOf, stackOf } from "../edge/thrown.ts";
import { version } from "./version.ts";

/** How long the last lines of the log may take: who reads it may have stopped. */
const LAST_LINES_MS = 1_000;

/** The parts of a program that is ready to serve. */
interface Parts {
  readonly log: Log;
  readonly supervisor: Supervisor;
  readonly administration: Administration;
  readonly certificates: CertificateFiles;
  readonly admin: AdminServer | undefined;
  readonly metrics: MetricsEndpoint | undefined;
}

/**
 * Runs the proxy.
 *
 * Nothing is written before every listener is bound: a start that fails leaves the database as it was, or makes none.
 *
 * @param file The configuration file.
 * @returns The exit code, once a signal has ended it.
 * @throws {ConfigError | StoreError | ListenError | AdminSocketError} If it cannot start.
 */
export async function runServer(file: string): Promise<number> {
  const { config, warnings } = loadConfig(file);
  const files = checkFiles(config);
  refuse(file, files.problems);
  const log = new Log(config.log.level, config.log.format);
  const lock = ServerLock.take(config.database.path);
  let store: Store | undefined;
  let parts: Parts | undefined;
  try {
    store = Store.open(config.database.path);
    parts = await assemble(file, config, store, log);
    store.commit();
  } catch (error) {
    await parts?.admin?.close();
    parts?.metrics?.close();
    store?.discard();
    lock.discard();
    if (!(error instanceof LibcError)) throw error;
    const message = `"epoll" cannot run here: ${error.message}; use "auto" or "portable"`;
    throw new ConfigError(file, [{ path: "proxy.engine", message }]);
  }
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
        "the database has other listeners, routes or firewall rules than the file; those of the database are used",
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
  const onReload = () => {
    Promise.all([administration.reloadGeoip(), certificates.check()]).catch((error) =>
      log.error("reload_failed", { error: String(error) })
    );
  };
  const handlers: readonly (readonly [Deno.Signal, () => void])[] = Deno.build.os === "windows"
    ? [["SIGINT", onStop], ["SIGTERM", onStop]]
    : [["SIGINT", onStop], ["SIGTERM", onStop], ["SIGHUP", onReload]];
  for (const [signal, handler] of handlers) Deno.addSignalListener(signal, handler);
  await Promise.race([start(parts), stopping.promise]);
  await stopping.promise;
  certificates.close();
  admin?.drain();
  await administration.drain();
  await supervisor.stop();
  await admin?.close();
  metrics?.close();
  for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
}

async function start({ log, supervisor, administration, certificates, admin, metrics }: Parts): Promise<void> {
  if (!await supervisor.start()) return;
  certificates.start();
  admin?.start();
  if (admin !== undefined) log.info("admin_listening", { addr: admin.path });
  if (metrics !== undefined) log.info("metrics_listening", { addr: metrics.addr });
  const { engine, workers, listeners } = administration.status;
  const routes = listeners.reduce((sum, { routeCount }) => sum + routeCount, 0);
  log.info("ready", { engine, workers, listeners: listeners.length, routes });
}
