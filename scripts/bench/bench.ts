/**
 * `deno task bench`: mc-proxy, HAProxy and nginx under the same loads, one worker each. See docs/BENCHMARKS.md.
 *
 * @module
 */

import { findHaproxy } from "./haproxy.ts";
import { raiseDescriptorLimit } from "./limits.ts";
import { findMcProxy, findVariant } from "./mc_proxy.ts";
import { findNginx } from "./nginx.ts";
import { HELP, type Options, readOptions, UsageError } from "./options.ts";
import { readCongestionControl, readCpuName } from "./proc.ts";
import { findExecutable, type Proxy } from "./proxies.ts";
import { formatSection, type Section } from "./report.ts";
import type { Bench } from "./rounds.ts";
import { descriptorsOf, runRow } from "./rows.ts";
import { Stand } from "./stand.ts";

/** What a shell gives to a program that Ctrl-C has ended: 128 and the number of SIGINT. */
const EXIT_INTERRUPTED = 130;

/** Where the command line was given; `deno task` itself goes to the root of the repository. */
const FOLDER = Deno.env.get("INIT_CWD") ?? Deno.cwd();

/** All that a run found, as `--json` writes it. */
interface Report {
  /** When it began, ISO 8601. */
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly options: Options;
  readonly sections: readonly Section[];
}

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  const interrupt = new AbortController();
  try {
    const options = readOptions(args, FOLDER);
    if (options === "help") console.log(HELP.trimEnd());
    else await run(options, interrupt);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED; // the error is that everything was stopped
    if (error instanceof UsageError) {
      console.error(`bench: ${error.message}; see deno task bench --help`);
      return 2;
    }
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

async function run(options: Options, interrupt: AbortController): Promise<void> {
  if (Deno.build.os !== "linux") throw new Error("it needs Linux: epoll and /proc");
  raiseDescriptorLimit(descriptorsOf(options.rows, options.connections));
  const date = new Date().toISOString();
  const { ours, peers } = await findProxies(options);
  const perf = await findPerf(options, [...ours, ...peers]);
  const machine = describeMachine();
  const versions = Object.fromEntries([...ours, ...peers].map(({ name, version }) => [name, version]));
  console.log(`${date}, ${Object.values(machine).join(", ")}`);
  for (const [name, version] of Object.entries(versions)) console.log(`${name}: ${version.replace(/^mc-proxy /, "")}`);

  await using stand = new Stand();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => interrupt.abort());
  interrupt.signal.addEventListener("abort", () => stand[Symbol.asyncDispose]());
  const progress = (line: string) => console.error(`bench: ${line}`); // aside from the tables, which may go to a file
  const sections: Section[] = [];
  for (const row of options.rows) {
    for (const section of await runRow({ ...options, stand, ours, peers, perf, progress }, row)) {
      sections.push(section);
      console.log(`\n${formatSection(section)}`);
    }
  }
  const report: Report = { date, machine, versions, options, sections };
  if (options.json !== undefined) {
    await Deno.writeTextFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  }
}

async function findProxies({ engine, variants, ...options }: Options): Promise<Pick<Bench, "ours" | "peers">> {
  const [first, ...others] = variants;
  const ours: [Proxy, ...Proxy[]] = [await (first === undefined ? findMcProxy(engine) : findVariant(first, engine))];
  for (const variant of others) ours.push(await findVariant(variant, engine));
  const peers: Proxy[] = [];
  for (const peer of options.peers ? [await findHaproxy(), await findNginx()] : []) {
    if ("missing" in peer) console.error(`bench: ${peer.missing}: its columns are left out`);
    else peers.push(peer);
  }
  const taken = peers.find(({ name }) => ours.some((proxy) => proxy.name === name));
  if (taken !== undefined) throw new UsageError(`--variant cannot have the name of a peer: ${taken.name}`);
  return { ours, peers };
}

async function findPerf({ perf }: Options, proxies: readonly Proxy[]): Promise<Bench["perf"]> {
  if (perf === undefined) return undefined;
  const names = proxies.map(({ name }) => name);
  if (!names.includes(perf)) throw new UsageError(`--perf knows ${names.join(", ")}, not: ${perf}`);
  if (await findExecutable("perf") === undefined) {
    throw new Error("perf is not installed (Debian: apt install linux-perf)");
  }
  return { subject: perf, folder: FOLDER };
}

function describeMachine(): Report["machine"] {
  return {
    cpu: readCpuName(),
    cores: `${navigator.hardwareConcurrency} cores`,
    memory: `${Math.round(Deno.systemMemoryInfo().total / 2 ** 30)} GiB`,
    kernel: `Linux ${Deno.osRelease()}`,
    congestionControl: `TCP ${readCongestionControl()}`,
  };
}
