/**
 * How the subjects of a row are measured by turns, and what is made of it.
 *
 * @module
 */

import type { Measurement } from "./measurement.ts";
import type { ConnectionCounts } from "./options.ts";
import { perfMap, type Proxy } from "./proxies.ts";
import type { Sample, Section } from "./report.ts";
import type { LoadShape, ProxyShape, RunningProxy, Stand } from "./stand.ts";

/** What every row is run with. */
export interface Bench {
  readonly stand: Stand;
  /** mc-proxy, or the variants of it that are compared. */
  readonly ours: readonly [Proxy, ...Proxy[]];
  readonly peers: readonly Proxy[];
  readonly rounds: number;
  readonly quick: boolean;
  /** How many connections are idle, and how many handshakes a second are begun. */
  readonly connections: ConnectionCounts;
  readonly handshakes: number;
  /** The proxy that perf(1) looks at once more, after the rounds, and where what it finds goes. */
  readonly perf: { readonly subject: string; readonly folder: string } | undefined;
  /** Called with a line at the beginning of each round. */
  progress(line: string): void;
}

/** Something that is measured once a round. */
export interface Subject {
  readonly name: string;
  take(): Promise<Found>;
}

/** What was found of a subject in a round. */
export type Found = Omit<Sample, "subject" | "round">;

/** What is made of a measurement: values by their names, units included. */
export type ValuesOf = (measurement: Measurement) => Record<string, number>;

/** Few hosts, few prefixes. */
export const SMALL: NonNullable<ProxyShape["l4"]> = { hosts: 10, prefixes: 10 };

/** All proxies, ours first. */
export function proxiesOf({ ours, peers }: Bench): Proxy[] {
  return [...ours, ...peers];
}

/** A load that lasts as long as this run's do. */
export function loadOf({ quick }: Bench, kind: LoadShape["kind"], connections: number): LoadShape {
  return { kind, connections, warmUpMs: quick ? 200 : 500, measureMs: quick ? 500 : 3_000 };
}

/** A proxy that runs, under a load. */
export function loaded(
  name: string,
  stand: Stand,
  running: RunningProxy,
  load: LoadShape,
  valuesOf: ValuesOf,
): Subject {
  return { name, take: async () => foundOf(await stand.measure(running, load), valuesOf) };
}

/** A measurement as what was found. */
export function foundOf(measurement: Measurement, valuesOf: ValuesOf): Found {
  const { steal, others, tls } = measurement;
  return { values: valuesOf(measurement), steal, others, ...(tls === undefined ? {} : { tls }) };
}

/** All proxies under the same load, each started once. @param row The name of perf's file. */
export async function runCompared(
  bench: Bench,
  row: string,
  title: string,
  shape: ProxyShape,
  load: LoadShape,
  valuesOf: ValuesOf,
): Promise<Section[]> {
  const { stand } = bench;
  const proxies = proxiesOf(bench);
  await using started = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const proxy of proxies) {
    const running = started.use(await stand.startProxy(proxy, shape));
    subjects.push(loaded(proxy.name, stand, running, load, valuesOf));
  }
  await warmUp(bench, title, subjects);
  const samples = await takeRounds(bench, title, subjects);
  await profile(bench, row, shape, load);
  return [section(title, subjects, ratiosOf(bench), samples)];
}

/** One round that does not count: the first use of everything is not what is to be measured. */
export async function warmUp({ progress }: Bench, title: string, subjects: readonly Subject[]): Promise<void> {
  progress(`${title}: warm-up`);
  for (const { take } of subjects) await take();
}

/** A B C, C B A, A B C …: what changes on the machine in the meantime changes for all. */
export async function takeRounds(
  { rounds, progress }: Bench,
  title: string,
  subjects: readonly Subject[],
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`${title}: round ${round} of ${rounds}`);
    for (const { name, take } of round % 2 === 1 ? subjects : subjects.toReversed()) {
      samples.push({ subject: name, round, ...await take() });
    }
  }
  return samples;
}

/** Has perf(1) look at the one that was asked for, once more and started anew: with names it is a little slower. */
export async function profile(bench: Bench, row: string, shape: ProxyShape, load: LoadShape): Promise<void> {
  const { stand, perf, progress } = bench;
  const proxy = proxiesOf(bench).find(({ name }) => name === perf?.subject);
  if (perf === undefined || proxy === undefined) return;
  const file = `${perf.folder}/perf-${row}-${proxy.name}.data`;
  await using running = await stand.startProxy(proxy.profiled?.() ?? proxy, shape);
  const names = proxy.profiled === undefined ? "" : ` and ${perfMap(running.child.pid)}`;
  progress(`${row}: perf record of ${proxy.name}, in ${file}${names}`);
  await stand.measure(running, load); // warm, as after the rounds
  await stand.profile(running, load, file);
}

/** Ours against each peer, and each variant against the first. */
export function ratiosOf({ ours, peers }: Bench): Section["ratios"] {
  const [first, ...variants] = ours;
  return [
    ...ours.flatMap(({ name }) => peers.map((peer) => [name, peer.name] as const)),
    ...variants.map(({ name }) => [name, first.name] as const),
  ];
}

/** What a row found. */
export function section(
  title: string,
  subjects: readonly Subject[],
  ratios: Section["ratios"],
  samples: readonly Sample[],
): Section {
  return { title, subjects: subjects.map(({ name }) => name), ratios, samples };
}
