/**
 * The row of new connections that are logged: each proxy runs twice, with and without a log of connections.
 *
 * @module
 */

import { countLines, emptyLog } from "./connection_log.ts";
import type { Proxy } from "./proxies.ts";
import type { Section } from "./report.ts";
import {
  type Bench,
  type Found,
  foundOf,
  loadOf,
  profile,
  proxiesOf,
  ratiosOf,
  section,
  SMALL,
  type Subject,
  takeRounds,
  warmUp,
} from "./rounds.ts";
import type { RunningProxy, Stand } from "./stand.ts";
import { logValues } from "./values.ts";

/** Runs the row. */
export async function runNewLog(bench: Bench): Promise<Section[]> {
  const { stand } = bench;
  const load = loadOf(bench, "new", 64);
  const measureLogged = async (logging: RunningProxy, file: string) => {
    await emptyLog(file);
    const measurement = await stand.measure(logging, load);
    return { measurement, lines: await countLines(file, measurement.total) };
  };
  let silentFirst = false;
  const take = async (logging: RunningProxy, file: string, silent: RunningProxy): Promise<Found> => {
    silentFirst = !silentFirst; // the one is not always measured before the other
    const before = silentFirst ? await stand.measure(silent, load) : undefined;
    const { measurement, lines } = await measureLogged(logging, file);
    const unlogged = before ?? await stand.measure(silent, load);
    return foundOf(measurement, () => logValues(measurement, lines, unlogged));
  };
  await using started = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const proxy of proxiesOf(bench)) {
    const { file, ...logging } = started.use(await startLogging(stand, proxy));
    const silent = started.use(await stand.startProxy(proxy, { l4: SMALL }));
    subjects.push({ name: proxy.name, take: () => take(logging, file, silent) });
  }
  const title = "new connections with a log line each, 64 at once";
  await warmUp(bench, title, subjects);
  const samples = await takeRounds(bench, title, subjects);
  await profile(bench, "new-log", { l4: SMALL, log: true }, load);
  return [section(title, subjects, ratiosOf(bench), samples)];
}

async function startLogging(stand: Stand, proxy: Proxy): Promise<RunningProxy & { readonly file: string }> {
  const running = await stand.startProxy(proxy, { l4: SMALL, log: true });
  if (running.log === undefined) throw new Error(`${proxy.name} was to log and has no file`);
  return { ...running, file: running.log };
}
