/**
 * `mc-proxy server`: runs until a signal ends it.
 *
 * @module
 */

import { ConfigError, loadConfig } from "../control/config.ts";
import { databaseProblems, groupProblems } from "../control/config_files.ts";
import { examineEngine } from "../control/examination.ts";
import { isJournal } from "../control/journal.ts";
import { prepareStacks, reportUnhandled } from "../control/last_resort.ts";
import { Log } from "../control/log.ts";
import { ServerLock } from "../control/store/lock.ts";
import { Store } from "../control/store/store.ts";
import type { StopOptions } from "../control/supervisor.ts";
import { stackOf } from "../edge/thrown.ts";
import { assemble, type Foundation, type Parts } from "./assemble.ts";
import { readVariable } from "./environment.ts";
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
 * Nothing is written before the listeners are bound: a start that fails leaves the database as it was, or makes none; and
 * a server that runs, and was to be replaced, carries on.
 *
 * @param file The configuration file.
 * @returns The exit code, once a signal or another process has ended it.
 * @throws {ConfigError | StoreError | AdminSocketError | Failure} If it cannot start.
 */
export async function runServer(file: string, { takeover = false, drainMs = 0 }: ServerOptions = {}): Promise<number> {
  prepareStacks();
  const { config, warnings, places } = loadConfig(file);
  const { engine, findings } = examineEngine(config);
  const problems = [...findings.problems, ...databaseProblems(config), ...groupProblems(config)];
  if (engine === undefined || problems.length > 0) throw new ConfigError(file, problems, places);
  const log = new Log(config.log.level, config.log.format, Deno.stderr, isJournal(readVariable("JOURNAL_STREAM")));
  if (engine.obstacle !== undefined) log.info("engine_portable", { reason: engine.obstacle.message });
  const predecessor = takeover ? await meet(file, config, engine.name) : undefined;
  const manager = ServiceManager.open((reason) => log.warn("service_manager", { reason }), predecessor?.watchdogMs);
  const foundation = { file, places, config, log, engine, predecessor, manager };
  const { lock, store, parts } = await begin(foundation, drainMs);
  for (const { path, message } of [...warnings, ...findings.warnings]) {
    log.warn("config", { file, key: path, line: places.line(path), message });
  }
  await serve(parts, foundation);
  log.info("stopped", { worker_failures: parts.supervisor.status.workerFailures });
  store.close();
  lock[Symbol.dispose]();
  await Promise.race([log.flush(), after(LAST_LINES_MS)]);
  return 0;
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
    const taken = lock = ServerLock.take(config.database.path);
    store = Store.open(config.database.path, { claim: () => taken.claim() });
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

/**
 * Serves until the first signal, or until another process has taken its place, and then until all is drained; a signal
 * after that ends what is still open.
 */
async function serve(
  parts: Parts,
  { config, manager, predecessor }: Omit<Foundation, "lock" | "store">,
): Promise<void> {
  const { log, supervisor, administration, certificates, admin, metrics, health, replaced } = parts;
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
  const onReload = () => {
    manager?.reloading();
    reload(parts)
      .catch((error) => log.error("reload_failed", { error: String(error) }))
      .finally(() => manager?.reloaded());
  };
  const handlers: readonly (readonly [Deno.Signal, () => void])[] = Deno.build.os === "windows"
    ? [["SIGINT", onStop], ["SIGTERM", onStop]]
    : [["SIGINT", onStop], ["SIGTERM", onStop], ["SIGHUP", onReload]];
  for (const [signal, handler] of handlers) Deno.addSignalListener(signal, handler);
  using _net = reportUnhandled((thrown) => {
    log.error("internal_error", { method: "unhandled", stack: stackOf(thrown) });
  });
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
  health.close();
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

/** Reads the files again that are read while the server runs, and tells what became of that. */
async function reload({ log, administration, certificates }: Parts): Promise<void> {
  const { reloads } = certificates.counts;
  const [geoip] = await Promise.all([administration.reloadGeoip(), certificates.check()]);
  const all = certificates.status();
  log.info("reloaded", {
    geoip,
    certificates: all.length,
    renewed: certificates.counts.reloads - reloads,
    broken: all.filter(({ problem }) => problem !== undefined).length,
  });
}

async function start(parts: Parts, manager: ServiceManager | undefined, isNewMain: boolean): Promise<void> {
  const { log, supervisor, administration, certificates, admin, metrics, health } = parts;
  if (!await supervisor.start()) return;
  certificates.start();
  health.start();
  admin?.start();
  if (admin?.isOpen) log.info("admin_listening", { addr: admin.path });
  if (metrics?.boundAddr !== undefined) log.info("metrics_listening", { addr: metrics.boundAddr });
  const { engine, workers, listeners } = administration.status;
  const routes = listeners.reduce((sum, { routeCount }) => sum + routeCount, 0);
  const closed = listeners.filter(({ problem }) => problem !== undefined).length;
  log.info("ready", {
    engine,
    workers,
    listeners: listeners.length,
    routes,
    not_open: closed === 0 ? undefined : closed,
  });
  manager?.ready(statusLine(parts), { isNewMain });
  manager?.watch(() => supervisor.answers(), () => statusLine(parts));
}

/** What `systemctl status` shows. */
function statusLine({ administration }: Parts): string {
  const { listeners } = administration.status;
  const sum = (of: (listener: typeof listeners[number]) => number) => listeners.reduce((n, each) => n + of(each), 0);
  const [routes, connections] = [sum(({ routeCount }) => routeCount), sum(({ counts }) => counts.active)];
  const closed = sum(({ problem }) => Number(problem !== undefined));
  const notOpen = closed === 0 ? "" : ` (${closed} of them not open)`;
  return `Serving: listeners ${listeners.length}${notOpen}, routes ${routes}, open connections ${connections}`;
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
