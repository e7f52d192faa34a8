/**
 * `deno task bench:changes`: how long a change at run time takes, with few routes and with many. See docs/BENCHMARKS.md.
 *
 * @module
 */

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { stringify } from "smol-toml";
import { AdminClient } from "../../lib/admin/client.ts";
import { programCommand } from "../program.ts";
import { readCpuName } from "./proc.ts";
import { type ProcessCommand, Processes } from "./processes.ts";
import { formatNumber, formatTable } from "./report.ts";
import { quantile } from "./statistics.ts";

const HELP = `Usage: deno task bench:changes [options]

Measures changes through the admin socket, one after the other, and prints how long each took.

Options:
  --routes <list>    with how many routes present (default: 10,10000)
  --changes <n>      how many changes of each kind (default: 1000)
  --folder <dir>     where the database is: on the disk to be measured (default: the temporary folder)
  --engine <name>    the engine of mc-proxy (default: what its configuration chooses)
  --help             print this help
`;

const WORKERS = 2;
const LISTENER = "127.0.0.1:0";
const RETRY_MS = 20;
/** How much is written at once to see what the disk takes for a commit: a page of the database's log and its header. */
const COMMIT_OCTETS = 4_120;

/** One kind of change: what is timed, and what takes it back untimed. */
interface Kind {
  readonly name: string;
  readonly change: (admin: AdminClient, i: number) => Promise<unknown>;
  readonly undo: (admin: AdminClient, i: number) => Promise<unknown>;
}

const backend = (i: number) => `10.${i >> 16 & 0xff}.${i >> 8 & 0xff}.${i & 0xff}:443`;
const add = (admin: AdminClient, name: string, i: number) =>
  admin.addRoute(LISTENER, { hostname: `${name}${i}.test`, backend: backend(i) });
const remove = (admin: AdminClient, name: string, i: number) => admin.removeRoute(LISTENER, `${name}${i}.test`);
const rule = (i: number) => ({ type: "ip", value: `192.0.${i >> 8 & 0xff}.${i & 0xff}` } as const);

const KINDS: readonly Kind[] = [
  { name: "AddRoute, new", change: (a, i) => add(a, "new", i), undo: (a, i) => remove(a, "new", i) },
  {
    name: "AddRoute, replaced",
    change: (a, i) => a.addRoute(LISTENER, { hostname: "host0.test", backend: backend(i + 1) }),
    undo: () => Promise.resolve(),
  },
  {
    name: "AddFirewallRule",
    change: (a, i) => a.addFirewallRule(rule(i)),
    undo: (a, i) => a.removeFirewallRule(rule(i)),
  },
];

/** Runs the benchmark: each size on a server of its own, whose routes are in its database from the start. */
async function run(sizes: readonly number[], changes: number, folder: string, engine: string | undefined) {
  console.log(`${new Date().toISOString()}, ${readCpuName()}, ${navigator.hardwareConcurrency} cores`);
  console.log(`write and fsync alone: ${inMs(times(commits(folder, changes)))}`);
  const rows = [["ms per change", "routes present", "median", "p99"]];
  for (const size of sizes) {
    const socket = `${folder}/${size}.sock`;
    await using processes = new Processes();
    const proxy = processes.start("mc-proxy", await prepare(`${folder}/${size}`, socket, size, engine));
    using admin = await Promise.race([serving(socket), proxy.ended()]);
    const { engine: running, version, workers } = await admin.getStatus({ omitRoutes: true });
    if (rows.length === 1) {
      console.log(`mc-proxy ${version}, ${running} engine, ${workers} workers, on Deno ${Deno.version.deno}\n`);
    }
    for (const { name, change, undo } of KINDS) {
      const taken: number[] = [];
      for (let i = 0; i < changes; i++) {
        const before = performance.now();
        await change(admin, i);
        taken.push(performance.now() - before);
        await undo(admin, i);
      }
      rows.push([name, size.toLocaleString("en"), ...times(taken).map(formatNumber)]);
    }
  }
  console.log(formatTable(rows));
}

async function prepare(
  folder: string,
  socket: string,
  routes: number,
  engine: string | undefined,
): Promise<ProcessCommand> {
  await Deno.mkdir(folder);
  const file = `${folder}/mc-proxy.toml`;
  const config = {
    database: { path: "mc-proxy.db" },
    listeners: [{
      addr: LISTENER,
      routes: Array.from({ length: routes }, (_, i) => ({ hostname: `host${i}.test`, backend: backend(i) })),
    }],
    grpc: { addr: socket },
    proxy: { workers: WORKERS },
  };
  await Deno.writeTextFile(file, stringify(config));
  const { executable, args } = programCommand();
  const environment = engine === undefined ? {} : { MCPROXY_PROXY_ENGINE: engine };
  return { executable, args: [...args, "server", "-c", file], environment };
}

/** A client of a server that is about to start. */
async function serving(socket: string): Promise<AdminClient> {
  for (;;) {
    const admin = new AdminClient(socket);
    if (await admin.isServing().catch(() => false)) return admin;
    admin.close();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** What the disk alone takes for each of so many commits, in milliseconds. */
function commits(folder: string, count: number): number[] {
  using file = Deno.openSync(`${folder}/commits`, { create: true, write: true });
  return Array.from({ length: count }, () => {
    const before = performance.now();
    file.writeSync(new Uint8Array(COMMIT_OCTETS));
    file.syncDataSync();
    return performance.now() - before;
  });
}

/** Median and p99. */
function times(samples: readonly number[]): [number, number] {
  return [quantile(samples, 0.5), quantile(samples, 0.99)];
}

function inMs([median, p99]: readonly [number, number]): string {
  return `${formatNumber(median)} ms (p99 ${formatNumber(p99)} ms)`;
}

async function main(args: readonly string[]): Promise<number> {
  const options = {
    routes: { type: "string", default: "10,10000" },
    changes: { type: "string", default: "1000" },
    folder: { type: "string" },
    engine: { type: "string" },
    help: { type: "boolean", short: "h" },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values.help) {
      console.log(HELP.trimEnd());
      return 0;
    }
    const sizes = values.routes.split(",").map(Number).sort((a, b) => a - b);
    const changes = Number(values.changes);
    if (![...sizes, changes].every((n) => Number.isInteger(n) && n > 0 && n <= 100_000)) {
      throw new TypeError("--routes and --changes take whole numbers from 1 to 100000");
    }
    // `deno task` itself goes to the root of the repository.
    const parent = values.folder && resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), values.folder);
    const folder = await Deno.makeTempDir({ prefix: "mc-proxy-bench-", ...parent && { dir: parent } });
    try {
      await run(sizes, changes, folder, values.engine);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    return 0;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return error instanceof TypeError ? 2 : 1; // what parseArgs throws at a wrong command line, too
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
