/**
 * `deno task bench`: mc-proxy, HAProxy and nginx under the same loads, one worker each. See docs/BENCHMARKS.md.
 *
 * @module
 */

import { resolve } from "node:path";
import { HELP, type Options, readOptions, UsageError } from "./options.ts";
import { readCongestionControl, readCpuName, readDescriptorLimit } from "./proc.ts";
import { findHaproxy, findMcProxy, findNginx, type Proxy } from "./proxies.ts";
import { formatSection, type Section } from "./report.ts";
import { runRow } from "./rows.ts";
import { Stand } from "./stand.ts";

/** Both ends of 5,000 connections in one process, and a reserve: see MAX_CONNECTIONS in proxies.ts. */
const DESCRIPTORS = 13_000;

/** What a shell gives to a program that Ctrl-C has ended: 128 and the number of SIGINT. */
const EXIT_INTERRUPTED = 130;

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
    const options = readOptions(args);
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
  if (readDescriptorLimit() < DESCRIPTORS) {
    throw new Error(`a process may have ${readDescriptorLimit()} descriptors, it needs ${DESCRIPTORS}: ulimit -Hn`);
  }
  const date = new Date().toISOString();
  const proxies = await findProxies(options);
  const machine = describeMachine();
  const versions = Object.fromEntries(proxies.map(({ name, version }) => [name, version]));
  console.log(`${date}, ${Object.values(machine).join(", ")}`);
  for (const [name, version] of Object.entries(versions)) console.log(`${name}: ${version.replace(/^mc-proxy /, "")}`);

  await using stand = new Stand();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => interrupt.abort());
  interrupt.signal.addEventListener("abort", () => stand[Symbol.asyncDispose]());
  const progress = (line: string) => console.error(`bench: ${line}`); // aside from the tables, which may go to a file
  const sections: Section[] = [];
  for (const row of options.rows) {
    for (const section of await runRow({ stand, proxies, ...options, progress }, row)) {
      sections.push(section);
      console.log(`\n${formatSection(section)}`);
    }
  }
  const report: Report = { date, machine, versions, options, sections };
  if (options.json !== undefined) {
    // `deno task` itself goes to the root of the repository.
    const file = resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), options.json);
    await Deno.writeTextFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
  }
}

async function findProxies({ engine, peers }: Options): Promise<[Proxy, ...Proxy[]]> {
  const found: [Proxy, ...Proxy[]] = [await findMcProxy(engine)];
  for (const peer of peers ? [await findHaproxy(), await findNginx()] : []) {
    if ("missing" in peer) console.error(`bench: ${peer.missing}: its columns are left out`);
    else found.push(peer);
  }
  return found;
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
