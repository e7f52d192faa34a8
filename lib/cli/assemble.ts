/**
 * Making the parts of the server from its configuration and its database.
 *
 * @module
 */

import { AdminServer } from "../admin/server.ts";
import type { AcceptEvents } from "../control/accept_loop.ts";
import { Administration } from "../control/administration.ts";
import { CertificateFiles } from "../control/certificate_files.ts";
import { ConfigError } from "../control/config.ts";
import type { ConfigPlaces } from "../control/config_places.ts";
import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import type { EngineChoice } from "../control/engine_choice.ts";
import { GeoipFile } from "../control/geoip_file.ts";
import { type HandedListener, Handover } from "../control/handover.ts";
import { Health } from "../control/health.ts";
import type { Log } from "../control/log.ts";
import { MetricsEndpoint } from "../control/metrics/endpoint.ts";
import { Metrics } from "../control/metrics/metrics.ts";
import type { MetricSources } from "../control/metrics/sources.ts";
import { readStats, type StatsSources } from "../control/metrics/stats.ts";
import { printable } from "../control/quote.ts";
import type { ServerLock } from "../control/store/lock.ts";
import type { Store } from "../control/store/store.ts";
import { type StopOptions, Supervisor } from "../control/supervisor.ts";
import { postQuantumWarning, tlsStatus } from "../control/tls_status.ts";
import { NothingBoundError } from "../control/unbound_listeners.ts";
import { checkUsedFiles, type FileFindings } from "../control/used_files.ts";
import { ListenError } from "../edge/engine.ts";
import { messageOf, stackOf } from "../edge/thrown.ts";
import { Failure } from "./failure.ts";
import type { Predecessor } from "./predecessor.ts";
import type { ServiceManager } from "./service_manager.ts";
import { offlineApply, unservable } from "./unservable.ts";
import { commit, version } from "./version.ts";

/** A configuration file, and where in it what stands. */
export interface NamedFile {
  readonly file: string;
  readonly places: ConfigPlaces;
}

/** What the parts are made from. */
export interface Foundation extends NamedFile {
  readonly config: Config;
  readonly log: Log;
  readonly engine: EngineChoice;
  readonly lock: ServerLock;
  readonly store: Store;
  readonly predecessor: Predecessor | undefined;
  readonly manager: ServiceManager | undefined;
}

/** The parts of a program that is ready to serve. */
export interface Parts {
  readonly log: Log;
  readonly supervisor: Supervisor;
  readonly administration: Administration;
  readonly certificates: CertificateFiles;
  readonly admin: AdminServer | undefined;
  readonly metrics: MetricsEndpoint | undefined;
  readonly health: Health;
  /** Resolves when another process has taken this one's place. */
  readonly replaced: Promise<StopOptions>;
}

/**
 * Loads what there is to serve, within the transaction that `prepare` opens, and binds its listeners. What another process
 * has that is to be replaced is left to it.
 *
 * @throws {ConfigError | StoreError | AdminSocketError | Failure} If that cannot be.
 */
export async function assemble(foundation: Foundation): Promise<Parts> {
  const { file, config, log, engine, lock, store, predecessor, manager } = foundation;
  const { state, seeded, differs } = store.prepare(config);
  const files = checkUsedFiles(config, seeded ? undefined : state, engine.tls.certificateProblem);
  refuse(foundation, [...unservable(file, config, state, seeded), ...files.problems]);
  const { geoipDb } = config.firewall;
  const geoip = geoipDb === undefined ? undefined : GeoipFile.open(geoipDb);
  const certificates = new CertificateFiles({
    log,
    trial: engine.tls.certificateProblem,
    events: {
      changed: (name, certificate) => {
        administration.renewCertificate(name, certificate)
          .catch((error) => log.error("certificate_not_served", { error: messageOf(error) }));
      },
    },
  });
  for (const { addr, routes } of state.listeners) {
    for (const route of routes) certificates.add(route, addr, files.readings);
  }
  const served = { geoip: geoip?.bytes, certificates };
  const supervisor = explainListening(
    foundation,
    seeded,
    () => new Supervisor(config, state, served, log, engine, predecessor?.listeners, predecessor?.ticketKeys),
  );
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
  const counted = { version, commit, supervisor, administration, certificates };
  const health: Health = new Health({
    supervisor,
    administration,
    store,
    services: () => serviceProblems(admin, metrics),
  }, log);
  const metrics = config.metrics && makeMetrics(config.metrics, { ...counted, health, log });
  if (!inheritsMetrics(config, predecessor)) openMetrics(foundation, metrics);
  const replaced = Promise.withResolvers<StopOptions>();
  const handover: Handover = new Handover({
    administration,
    supervisor,
    lock,
    database: config.database.path,
    watchdogMs: manager?.watchdogMs ?? 0,
    log,
    metrics: () => handedMetrics(config, metrics),
    restoreSocket: async () => await admin?.restore(),
    leave: replaced.resolve,
  });
  const administered = { administration, version, stats: () => readStats(counted), handover, health };
  const admin: AdminServer | undefined = config.grpc &&
    new AdminServer(config.grpc.addr, administered, {
      internalError,
      ...acceptEvents(log, "admin"),
      openFailed: (error) => log.error("admin_socket_unavailable", { error }),
      openRecovered: () => log.info("admin_listening", { addr: config.grpc?.addr ?? "" }),
    }, { mode: parseInt(config.grpc.mode, 8), group: config.grpc.group });
  if (predecessor === undefined) {
    await admin?.openEventually().catch((error) => {
      metrics?.close();
      throw error;
    });
  }
  log.info("starting", { version, commit, config: file, database: config.database.path });
  logTls(foundation, state);
  if (seeded) log.info("database_seeded", { database: config.database.path });
  if (differs) log.warn("config_differs", {});
  warnOfFiles(foundation, files);
  return { log, supervisor, administration, certificates, admin, metrics, health, replaced: replaced.promise };
}

/** Logs what is not meant about files; that a certificate is of no use was logged as it was read. */
function warnOfFiles({ file, places, config, log }: Foundation, { warnings, stored }: FileFindings): void {
  for (const { path, message } of warnings) {
    log.warn("config", { file, key: path, line: places.line(path), message });
  }
  const authorities = stored.problems.filter(({ path }) => path.endsWith(".backend_ca"));
  for (const { path, message } of [...authorities, ...stored.warnings]) {
    log.warn("config", { file: config.database.path, key: path, message });
  }
}

/** Says what TLS is spoken with, and warns where that matters and it lacks what it should have. */
function logTls({ config: { proxy }, log, engine }: Foundation, { listeners }: StoredState): void {
  const status = tlsStatus(engine.tls, proxy.tls);
  const { library, path, minVersion, groups } = status;
  const about = { library, ...path === "" ? {} : { path } };
  log.info("tls_library", { ...about, min_version: minVersion, groups: groups.join(" ") });
  if (!listeners.some(({ routes }) => routes.some(({ mode }) => mode === "l7"))) return;
  if (postQuantumWarning(status, proxy.tls) !== undefined) log.warn("tls_not_post_quantum", about);
}

/** Makes the endpoint of scrapers. */
function makeMetrics(
  { addr, path, dashboard, hosts }: NonNullable<Config["metrics"]>,
  sources: MetricSources & StatsSources & { readonly health: Health; readonly log: Log },
): MetricsEndpoint {
  return new MetricsEndpoint({
    addr,
    path,
    dashboard,
    hosts,
    metrics: new Metrics(sources),
    stats: () => readStats(sources),
    notReady: () => sources.health.problems(),
    failed: (thrown) => sources.log.error("internal_error", { method: "metrics", stack: stackOf(thrown) }),
    ...acceptEvents(sources.log, "metrics"),
  });
}

/** What of those who look after the program cannot be served. */
function serviceProblems(admin: AdminServer | undefined, metrics: MetricsEndpoint | undefined): string[] {
  const problems: string[] = [];
  if (admin?.problem !== undefined) problems.push(`admin API: ${admin.problem}`);
  if (metrics?.acceptProblem !== undefined) {
    problems.push(`metrics endpoint: accepts no connections: ${metrics.acceptProblem}`);
  }
  return problems;
}

function acceptEvents(log: Log, service: "admin" | "metrics"): AcceptEvents {
  return {
    acceptFailed: (reason) => log.error("service_accept_failed", { service, reason }),
    acceptRecovered: () => log.info("service_accept_recovered", { service }),
  };
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

/** Runs `listen`, and says where addresses come from and how to correct them, if not one can be listened on. */
function explainListening<T>({ file, config }: Foundation, seeded: boolean, listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    if (error instanceof NothingBoundError) {
      const source = seeded
        ? `comes from ${printable(file)}`
        : `is stored in the database ${printable(config.database.path)}, which the server goes by: correct it in ` +
          `${printable(file)}, then run ${offlineApply(file, "--prune")}`;
      throw new Failure(error.errors.map(({ message }) => `${message} (the address ${source})`), { cause: error });
    }
    throw error;
  }
}

/** Opens the endpoint of scrapers, and says where its address comes from if that cannot be. */
function openMetrics({ file, places }: NamedFile, metrics: MetricsEndpoint | undefined): void {
  try {
    metrics?.open();
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    const source = places.variable("metrics.addr") ?? file;
    throw new Failure([`${error.message} (the address comes from ${printable(source)})`], { cause: error });
  }
}

/** Refuses to start where there are problems. @throws {ConfigError} With all of them. */
export function refuse({ file, places }: NamedFile, problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(file, problems, places);
}
