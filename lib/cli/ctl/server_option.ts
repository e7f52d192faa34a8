/**
 * Which server a command is for.
 *
 * @module
 */

import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { readSocketPath } from "../../control/config_values.ts";
import { Failure } from "../failure.ts";
import { loadAdminAddr } from "./admin_addr.ts";

/** The socket of a server that is set up as the documentation says. */
export const DEFAULT_SOCKET = "/srv/mc-proxy/mc-proxy.sock";

/** The options that every command has that asks a server. */
export interface ServerOptions {
  readonly config?: string;
  readonly addr?: string;
  readonly json?: true;
}

/** Adds them; those of a command hold before its subcommands and behind. */
export function addServerOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", "the server's configuration file, which names its socket")
    .addOption(
      new Option("--addr <socket>", `the server's socket (default without -c: ${DEFAULT_SOCKET})`).conflicts("config"),
    )
    .option("--json", "print JSON, one document on one line");
}

/** The options that named the server, as words of a command line; none where it is the default. */
export function serverWords({ config, addr }: ServerOptions): readonly string[] {
  if (config !== undefined) return ["-c", config];
  return addr === undefined ? [] : ["--addr", addr];
}

/**
 * The path of the server's socket.
 *
 * @throws {ConfigError | Failure} If the file names none, or the option is no path of a socket.
 */
export function socketOf({ config, addr }: ServerOptions): string {
  if (config !== undefined) return loadAdminAddr(config);
  if (addr === undefined) return DEFAULT_SOCKET;
  const reading = readSocketPath(addr === "" ? "" : resolve(addr));
  if (reading.kind === "wrong") throw new Failure([`--addr: ${reading.message}`]);
  return reading.value;
}
