/**
 * The command line of the benchmark.
 *
 * @module
 */

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { parseVariant, type Variant } from "./variants.ts";

/** The loads that can be asked for, in the order in which they are run. */
export const ROWS = [
  ...["bulk", "new", "new-log", "exchange", "latency", "idle", "scale"] as const,
  ...["h2", "h1", "grpc", "tls", "body", "backend-tls", "idle-tls"] as const,
] as const;

/** One of {@linkcode ROWS}. */
export type Row = typeof ROWS[number];

/** How many connections are idle in the rows that have some. */
export type ConnectionCounts = Readonly<Record<"idle" | "idle-tls", number>>;

/** What is to be run. */
export interface Options {
  readonly rows: readonly Row[];
  /** 1 or more. */
  readonly rounds: number;
  readonly quick: boolean;
  /** Whether HAProxy and nginx take part. */
  readonly peers: boolean;
  /** What mc-proxy finds in MCPROXY_PROXY_ENGINE. */
  readonly engine: string | undefined;
  /** What is compared in the place of this repository's mc-proxy, if anything. */
  readonly variants: readonly Variant[];
  /** The name of the proxy that perf(1) is to look at. */
  readonly perf: string | undefined;
  readonly connections: ConnectionCounts;
  /** How many are begun in a second, 1 or more. */
  readonly handshakes: number;
  /** Where everything is written as JSON. */
  readonly json: string | undefined;
}

/** A command line that is wrong. */
export class UsageError extends Error {}

/** What `--help` prints. */
export const HELP = `Usage: deno task bench [options]

Measures mc-proxy, HAProxy and nginx under the same loads, and prints medians and ratios. See docs/BENCHMARKS.md.

Options:
  --only <rows>            some of ${ROWS.slice(0, 7).join(",")},
                           ${ROWS.slice(7).join(",")} (default: all)
  --rounds <n>             how often each is measured (default: 5)
  --quick                  one short round, for a first look
  --no-peers               mc-proxy alone
  --engine <name>          the engine of mc-proxy (default: what its configuration chooses)
  --variant <name=dir,...> a checkout of mc-proxy to measure in place of this one, with flags of V8 (--flag) and
                           variables (NAME=VALUE) behind it; once for each that is to be compared
  --perf <name>            after each row but idle ones, record mc-proxy, a variant or a peer with perf(1)
  --connections <row=n,..> how many are idle (default: idle=5000,idle-tls=2000)
  --handshakes <n>         how many a second latency begins (default: 2000)
  --json <file>            write every sample to a file
  --help                   print this help
`;

/** How many connections are idle unless it is said, and in a quick run. */
const CONNECTIONS: ConnectionCounts = { "idle": 5_000, "idle-tls": 2_000 };
const QUICK_CONNECTIONS: ConnectionCounts = { "idle": 1_000, "idle-tls": 200 };
const HANDSHAKES = 2_000;

/**
 * Reads a command line.
 *
 * @param folder Where it was given: what the names of files and folders on it are below.
 * @throws {UsageError} If it is wrong.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const options = readOptions(["--only", "exchange,bulk", "--rounds=3"], "/src");
 * assert.ok(options !== "help");
 * assert.deepEqual(options.rows, ["bulk", "exchange"]);
 * assert.equal(options.rounds, 3);
 * ```
 */
export function readOptions(args: readonly string[], folder: string): Options | "help" {
  const values = parse(args);
  if (values.help) return "help";
  const quick = values.quick ?? false;
  return {
    rows: readRows(values.only),
    rounds: values.rounds === undefined ? (quick ? 1 : 5) : readNumber("--rounds", values.rounds, 999),
    quick,
    peers: !values["no-peers"],
    engine: values.engine,
    variants: readVariants(values.variant ?? [], folder),
    perf: values.perf,
    connections: readConnections(values.connections, quick ? QUICK_CONNECTIONS : CONNECTIONS),
    handshakes: values.handshakes === undefined ? HANDSHAKES : readNumber("--handshakes", values.handshakes, 100_000),
    json: values.json === undefined ? undefined : resolve(folder, values.json),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        "only": { type: "string" },
        "rounds": { type: "string" },
        "quick": { type: "boolean" },
        "no-peers": { type: "boolean" },
        "engine": { type: "string" },
        "variant": { type: "string", multiple: true },
        "perf": { type: "string" },
        "connections": { type: "string" },
        "handshakes": { type: "string" },
        "json": { type: "string" },
        "help": { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // what parseArgs throws at a wrong command line
    throw new UsageError(error.message);
  }
}

function readRows(only: string | undefined): readonly Row[] {
  if (only === undefined) return ROWS;
  const wanted = only.split(",");
  const unknown = wanted.find((name) => !ROWS.some((row) => row === name));
  if (unknown !== undefined) throw new UsageError(`--only knows ${ROWS.join(", ")}, not: ${unknown}`);
  return ROWS.filter((row) => wanted.includes(row));
}

function readVariants(texts: readonly string[], folder: string): Variant[] {
  const variants = texts.map((text) => {
    try {
      return parseVariant(text, folder);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new UsageError(`--variant: ${error.message}`);
    }
  });
  const twice = variants.find(({ name }, i) => variants.findIndex((other) => other.name === name) !== i);
  if (twice !== undefined) throw new UsageError(`--variant has the name ${twice.name} twice`);
  return variants;
}

function readConnections(text: string | undefined, counts: ConnectionCounts): ConnectionCounts {
  const wanted = text?.split(",").map((part) => {
    const [row, count] = part.split("=", 2);
    if ((row !== "idle" && row !== "idle-tls") || count === undefined) {
      throw new UsageError(`--connections is like idle=5000,idle-tls=2000, not: ${text}`);
    }
    return [row, readNumber(`--connections ${row}`, count, 1_000_000)] as const;
  });
  return { ...counts, ...Object.fromEntries(wanted ?? []) };
}

function readNumber(option: string, text: string, greatest: number): number {
  const number = Number(text);
  if (!/^[1-9]\d{0,8}$/.test(text) || number > greatest) {
    throw new UsageError(`${option} is not a number from 1 to ${greatest}: ${text}`);
  }
  return number;
}
