/**
 * The command line of the benchmark.
 *
 * @module
 */

import { parseArgs } from "node:util";

/** The loads that can be asked for, in the order in which they are run. */
export const ROWS = ["bulk", "new", "exchange", "idle", "scale", "h2", "h1", "grpc", "tls", "body"] as const;

/** One of {@linkcode ROWS}. */
export type Row = typeof ROWS[number];

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
  /** Where everything is written as JSON. */
  readonly json: string | undefined;
}

/** A command line that is wrong. */
export class UsageError extends Error {}

/** What `--help` prints. */
export const HELP = `Usage: deno task bench [options]

Measures mc-proxy, HAProxy and nginx under the same loads, and prints medians and ratios. See docs/BENCHMARKS.md.

Options:
  --only <rows>     some of ${ROWS.join(",")} (default: all)
  --rounds <n>      how often each is measured (default: 5)
  --quick           one short round, for a first look
  --no-peers        mc-proxy alone
  --engine <name>   the engine of mc-proxy (default: what its configuration chooses)
  --json <file>     write every sample to a file
  --help            print this help
`;

/**
 * Reads a command line.
 *
 * @throws {UsageError} If it is wrong.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const options = readOptions(["--only", "exchange,bulk", "--rounds=3"]);
 * assert.ok(options !== "help");
 * assert.deepEqual(options.rows, ["bulk", "exchange"]);
 * assert.equal(options.rounds, 3);
 * ```
 */
export function readOptions(args: readonly string[]): Options | "help" {
  const values = parse(args);
  if (values.help) return "help";
  const quick = values.quick ?? false;
  return {
    rows: readRows(values.only),
    rounds: values.rounds === undefined ? (quick ? 1 : 5) : readRounds(values.rounds),
    quick,
    peers: !values["no-peers"],
    engine: values.engine,
    json: values.json,
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

function readRounds(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new UsageError(`--rounds is not a number from 1 to 999: ${text}`);
  return Number(text);
}
