/**
 * The rows of the benchmark: what is put on whom, and what is made of the measurements.
 *
 * @module
 */

import type { HttpShape } from "./http_proxies.ts";
import type { HttpLoadKind, Measurement } from "./measurement.ts";
import type { Row } from "./options.ts";
import type { Proxy } from "./proxies.ts";
import type { Sample, Section } from "./report.ts";
import type { LoadShape, ProxySize, RunningProxy, Stand } from "./stand.ts";

/** What every row is run with. */
export interface Bench {
  readonly stand: Stand;
  /** mc-proxy first. */
  readonly proxies: readonly [Proxy, ...Proxy[]];
  readonly rounds: number;
  readonly quick: boolean;
  /** Called with a line at the beginning of each round. */
  progress(line: string): void;
}

/** Something that is measured once a round. */
interface Subject {
  readonly name: string;
  take(): Promise<Omit<Sample, "subject" | "round">>;
}

const SMALL: ProxySize = { hosts: 10, prefixes: 10 };
/** The size to which mc-proxy's buffers grow; with 16 KiB, theirs by default, the peers take more than twice the CPU. */
const BULK_SIZE: ProxySize = { ...SMALL, buffer: 256 * 1024 };
const MANY = 100_000;
const MANY_TEXT = MANY.toLocaleString("en");
const ROUTES_AT_START = 10_000;
const GB = 1e9;
const KIB = 1024;

/** Runs a row. */
export function runRow(bench: Bench, row: Row): Promise<Section[]> {
  switch (row) {
    case "bulk":
      return runCompared(bench, "bulk, 8 downloads", BULK_SIZE, loadOf(bench, "bulk", 8), bulkValues);
    case "new":
      return runCompared(bench, "new connections, 64 at once", SMALL, loadOf(bench, "new", 64), newValues);
    case "exchange":
      return runCompared(bench, "exchanges, 64 connections", SMALL, loadOf(bench, "exchange", 64), exchangeValues);
    case "idle":
      return runIdle(bench);
    case "scale":
      return runScale(bench);
    case "h2":
      return runHttp(bench, "h2 over TLS to h2c, 8 connections of 16 requests", "small", {
        kind: "h2",
        ...MANY_STREAMS,
      });
    case "h1":
      return runHttp(bench, "HTTP/1.1 over TLS, 64 connections", "small", { kind: "h1", connections: 64 });
    case "grpc":
      return runHttp(bench, "gRPC, 8 connections of 16 calls", "grpc", { kind: "grpc", ...MANY_STREAMS });
    case "tls":
      return runHttp(bench, "TLS handshakes with a request each, 32 at once", "small", {
        kind: "tls",
        connections: 32,
      });
    case "body":
      return runHttp(bench, "downloads of 100 MB, 4 at once", "body", { kind: "body", connections: 4 });
  }
}

const MANY_STREAMS = { connections: 8, streams: 16 };

function runHttp(
  bench: Bench,
  title: string,
  behaviour: HttpShape["behaviour"],
  shape: Pick<LoadShape, "connections" | "streams"> & { readonly kind: HttpLoadKind },
): Promise<Section[]> {
  const load = { ...loadOf(bench, shape.kind, shape.connections), ...shape };
  const valuesOf = shape.kind === "body" ? bulkValues : requestValues;
  return runCompared(bench, title, { ...SMALL, http: { behaviour } }, load, valuesOf);
}

function loadOf({ quick }: Bench, kind: LoadShape["kind"], connections: number): LoadShape {
  return { kind, connections, warmUpMs: quick ? 200 : 500, measureMs: quick ? 500 : 3_000 };
}

function bulkValues({ count, seconds, cpuSeconds }: Measurement): Record<string, number> {
  return {
    "CPU s per GB": cpuSeconds / count * GB,
    "GB/s": count / GB / seconds,
    "CPU busy, %": 100 * cpuSeconds / seconds,
  };
}

function newValues({ count, seconds, cpuSeconds }: Measurement): Record<string, number> {
  return {
    "CPU µs per connection": cpuSeconds / count * 1e6,
    "connections/s": count / seconds,
    "CPU busy, %": 100 * cpuSeconds / seconds,
  };
}

function exchangeValues(measurement: Measurement): Record<string, number> {
  return countedValues("exchange", measurement);
}

function requestValues(measurement: Measurement): Record<string, number> {
  return countedValues("request", measurement);
}

function countedValues(unit: string, { count, seconds, cpuSeconds, latency }: Measurement): Record<string, number> {
  return {
    [`CPU µs per ${unit}`]: cpuSeconds / count * 1e6,
    [`${unit}s/s`]: count / seconds,
    "p50, µs": latency?.p50 ?? NaN,
    "p99, µs": latency?.p99 ?? NaN,
    "CPU busy, %": 100 * cpuSeconds / seconds,
  };
}

/** All proxies under the same load, each started once. */
async function runCompared(
  bench: Bench,
  title: string,
  size: ProxySize,
  load: LoadShape,
  valuesOf: (measurement: Measurement) => Record<string, number>,
): Promise<Section[]> {
  const { stand, proxies } = bench;
  await using started = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const proxy of proxies) {
    const running = started.use(await stand.startProxy(proxy, size));
    subjects.push(loaded(proxy.name, stand, running, load, valuesOf));
  }
  await warmUp(bench, title, subjects);
  return [section(title, subjects, againstPeers(proxies), await takeRounds(bench, title, subjects))];
}

/** Memory, of a proxy that is new each time: what was let go of before might be used again and not be seen to grow. */
async function runIdle(bench: Bench): Promise<Section[]> {
  const { stand, proxies, quick } = bench;
  const connections = quick ? 1_000 : 5_000;
  const load: LoadShape = { kind: "idle", connections, warmUpMs: quick ? 200 : 1_000, measureMs: 0 };
  const subjects = proxies.map((proxy): Subject => ({
    name: proxy.name,
    take: async () => {
      await using running = await stand.startProxy(proxy, SMALL);
      return await loaded(proxy.name, stand, running, load, ({ memory }) => ({
        "KiB per connection": memory / KIB / connections,
      })).take();
    },
  }));
  const title = `memory of ${connections.toLocaleString("en")} idle connections`;
  return [section(title, subjects, againstPeers(proxies), await takeRounds(bench, title, subjects))];
}

/** mc-proxy alone: few and many routes and firewall rules, and how long it takes to start. */
async function runScale(bench: Bench): Promise<Section[]> {
  const { stand, proxies: [proxy] } = bench;
  await using started = new AsyncDisposableStack();
  const few = "10 of each";
  const routes = `${MANY_TEXT} routes`;
  const rules = `${MANY_TEXT} rules`;
  const sizes = { [few]: SMALL, [routes]: { ...SMALL, hosts: MANY }, [rules]: { ...SMALL, prefixes: MANY } };
  const subjects: Subject[] = [];
  for (const [name, size] of Object.entries(sizes)) {
    const running = started.use(await stand.startProxy(proxy, size));
    subjects.push(loaded(name, stand, running, loadOf(bench, "new", 64), newValues));
  }
  const title = `new connections, ${proxy.name}`;
  await warmUp(bench, title, subjects);
  const samples = await takeRounds(bench, title, subjects);
  return [section(title, subjects, [[routes, few], [rules, few]], samples), await runStart(bench)];
}

async function runStart(bench: Bench): Promise<Section> {
  const { stand, proxies: [proxy] } = bench;
  const time = async (start: () => Promise<RunningProxy>) => {
    const before = performance.now();
    await using _running = await start();
    return performance.now() - before;
  };
  const subject: Subject = {
    name: proxy.name,
    take: async () => {
      const { start } = await stand.prepareProxy(proxy, { ...SMALL, hosts: ROUTES_AT_START });
      const values = {
        "first start, database filled, ms": await time(start),
        "later start, ms": await time(start),
      };
      return { values };
    },
  };
  const title = `start to first byte, ${ROUTES_AT_START.toLocaleString("en")} routes`;
  return section(title, [subject], [], await takeRounds(bench, title, [subject]));
}

function loaded(
  name: string,
  stand: Stand,
  running: RunningProxy,
  load: LoadShape,
  valuesOf: (measurement: Measurement) => Record<string, number>,
): Subject {
  return {
    name,
    take: async () => {
      const measurement = await stand.measure(running, load);
      return { values: valuesOf(measurement), steal: measurement.steal, others: measurement.others };
    },
  };
}

/** One round that does not count: the first use of everything is not what is to be measured. */
async function warmUp({ progress }: Bench, title: string, subjects: readonly Subject[]): Promise<void> {
  progress(`${title}: warm-up`);
  for (const { take } of subjects) await take();
}

/** A B C, C B A, A B C …: what changes on the machine in the meantime changes for all. */
async function takeRounds({ rounds, progress }: Bench, title: string, subjects: readonly Subject[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`${title}: round ${round} of ${rounds}`);
    for (const { name, take } of round % 2 === 1 ? subjects : subjects.toReversed()) {
      samples.push({ subject: name, round, ...await take() });
    }
  }
  return samples;
}

function againstPeers([ours, ...peers]: Bench["proxies"]): Section["ratios"] {
  return peers.map((peer) => [ours.name, peer.name] as const);
}

function section(
  title: string,
  subjects: readonly Subject[],
  ratios: Section["ratios"],
  samples: readonly Sample[],
): Section {
  return { title, subjects: subjects.map(({ name }) => name), ratios, samples };
}
