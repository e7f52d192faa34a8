/**
 * `mc-proxy server`: runs until a signal ends it.
 *
 * @module
 */

import { checkFiles, ConfigError, loadConfig } from "../control/config.ts";
import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import { Log } from "../control/log.ts";
import { Store } from "../control/store/store.ts";
import { Supervisor } from "../control/supervisor.ts";
import { LibcError } from "../edge/linux/libc.ts";
import { ignored, unsupported, unsupportedState } from "./unsupported.ts";
import { version } from "./version.ts";

/** How long the last lines of the log may take: who reads it may have stopped. */
const LAST_LINES_MS = 1_000;

/**
 * Runs the proxy.
 *
 * Nothing is written before every listener is bound: a start that fails leaves the database as it was, or makes none.
 *
 * @param file The configuration file.
 * @returns The exit code, once a signal has ended it.
 * @throws {ConfigError | StoreError | ListenError} If it cannot start.
 */
export async function runServer(file: string): Promise<number> {
  const { config, warnings } = loadConfig(file);
  refuse(file, [...unsupported(config), ...checkFiles(config)]);
  const log = new Log(config.log.level, config.log.format);
  const store = Store.open(config.database.path);
  let supervisor: Supervisor;
  try {
    supervisor = bind(file, config, store, log);
    store.commit();
  } catch (error) {
    store.discard();
    if (!(error instanceof LibcError)) throw error;
    const message = `"epoll" cannot run here: ${error.message}; use "auto" or "portable"`;
    throw new ConfigError(file, [{ path: "proxy.engine", message }]);
  }
  for (const { path, message } of [...warnings, ...ignored(config)]) log.warn("config", { file, key: path, message });
  await serve(supervisor);
  log.info("stopped", { worker_failures: supervisor.workerFailures });
  store.close();
  await Promise.race([log.flush(), new Promise((resolve) => setTimeout(resolve, LAST_LINES_MS))]);
  return 0;
}

/** Loads what there is to serve, within the transaction that `prepare` opens, and binds its listeners. */
function bind(file: string, config: Config, store: Store, log: Log): Supervisor {
  const { state, seeded, differs } = store.prepare(config);
  refuse(config.database.path, unsupportedState(state));
  refuse(file, unservable(config, state));
  const { geoipDb } = config.firewall;
  const supervisor = new Supervisor(config, state, geoipDb === undefined ? undefined : Deno.readFileSync(geoipDb), log);
  log.info("starting", { version, config: file, database: config.database.path });
  if (seeded) log.info("database_seeded", { database: config.database.path });
  if (differs) {
    log.warn("config_differs", {
      message:
        "the database has other listeners, routes or firewall rules than the file; those of the database are used",
    });
  }
  return supervisor;
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
async function serve(supervisor: Supervisor): Promise<void> {
  const stopping = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = () => ++signals === 1 ? stopping.resolve() : supervisor.abort();
  const handled: readonly Deno.Signal[] = ["SIGINT", "SIGTERM"];
  for (const signal of handled) Deno.addSignalListener(signal, onSignal);
  await Promise.race([supervisor.start(), stopping.promise]);
  await stopping.promise;
  await supervisor.stop();
  for (const signal of handled) Deno.removeSignalListener(signal, onSignal);
}
