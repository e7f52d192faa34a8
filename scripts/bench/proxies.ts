/**
 * The proxies that are compared: what each of them can do, and how one is found on this machine.
 *
 * @module
 */

import type { ProcessCommand } from "./processes.ts";
import type { ProxySetup } from "./setup.ts";

/** A proxy that takes part. */
export interface Proxy {
  readonly name: string;
  readonly version: string;
  /** Writes the files of a setup, and gives the command that runs it. */
  prepare(setup: ProxySetup): Promise<ProcessCommand>;
  /** The same proxy, which tells perf(1) the names of what it compiles in {@linkcode perfMap}, where it compiles. */
  profiled?(): Proxy;
}

/** Why a proxy does not take part, in one line. */
export interface Missing {
  readonly missing: string;
}

/** Connections that a proxy has room for beside those that a row wants: those of the warm-up of idle rows, and more. */
const SPARE_CONNECTIONS = 250;
/** Descriptors of a process beside those of connections. */
const SPARE_DESCRIPTORS = 500;

/** How many connections a proxy is set to take where a row wants so many: those that end may linger a while. */
export function roomFor(connections: number): number {
  return connections + SPARE_CONNECTIONS;
}

/** How many descriptors a proxy needs for so many connections: both ends of each are in one process. */
export function descriptorsFor(connections: number): number {
  return 2 * roomFor(connections) + SPARE_DESCRIPTORS;
}

/** Where perf(1) looks for the names of functions that a process has compiled itself. */
export function perfMap(pid: number): string {
  return `/tmp/perf-${pid}.map`;
}

/** The first line that a command prints. */
export async function firstLine(executable: string, args: readonly string[]): Promise<string> {
  const { stdout } = await new Deno.Command(executable, { args: [...args], stdin: "null" }).output();
  return new TextDecoder().decode(stdout).split("\n", 1)[0] ?? "";
}

/** Where a program is, if it is; on Debian those of servers are in /usr/sbin, which is not on everyone's PATH. */
export async function findExecutable(name: string): Promise<string | undefined> {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) if (await isFile(`${folder}/${name}`)) return `${folder}/${name}`;
  return undefined;
}

/** Whether there is a file of this name. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}
