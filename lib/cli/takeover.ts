/**
 * Taking the place of a server that runs: the order of what this process does. docs/UPGRADE.md tells it to operators.
 *
 * @module
 */

import { resolve } from "node:path";
import { ConfigError } from "../control/config.ts";
import type { Config } from "../control/config_types.ts";
import type { EngineName } from "../control/engine_choice.ts";
import type { Store } from "../control/store/store.ts";
import type { Parts } from "./assemble.ts";
import { Failure } from "./failure.ts";
import { Predecessor, TakeoverError } from "./predecessor.ts";
import { version } from "./version.ts";

/**
 * Has the server that runs begin to hand over; `undefined` where none runs.
 *
 * @throws {ConfigError | AdminSocketError | Failure} If there is no way to it, or it refuses.
 */
export async function meet(file: string, config: Config, engine: EngineName): Promise<Predecessor | undefined> {
  if (Deno.build.os !== "linux") throw new Failure(["--takeover: two servers can share a port on Linux only"]);
  if (config.grpc === undefined) {
    const message = "is missing: --takeover finds the server that runs by its admin socket";
    throw new ConfigError(file, [{ path: "grpc", message }]);
  }
  const database = resolve(config.database.path);
  try {
    return await Predecessor.meet(config.grpc.addr, { version, database, wantsDescriptors: engine === "epoll" });
  } catch (error) {
    throw failureOf(error, config.grpc.addr);
  }
}

/** A takeover that failed, as the user is told; any other error as it is. */
export function failureOf(error: unknown, addr: string): unknown {
  if (!(error instanceof TakeoverError)) return error;
  return new Failure([`cannot take over from the server at ${addr}, which carries on: ${error.message}`], {
    cause: error,
  });
}

/**
 * Has the program serve in the place of another one, which goes on to serve until it is told that this one does.
 *
 * What can fail comes first; the last thing that the other one does not see undone is that its socket's path is ours.
 *
 * @throws {TakeoverError} If the other process does not wait any more.
 */
export async function takeOver(parts: Parts, store: Store, predecessor: Predecessor, drainMs: number): Promise<void> {
  const { log, supervisor, admin, metrics } = parts;
  await supervisor.prepare();
  const { pid, version, isThere } = predecessor;
  if (!isThere) log.warn("predecessor_gone", { pid });
  store.commit();
  await admin?.open({ replaces: isThere });
  try {
    await supervisor.start();
    if (metrics?.boundAddr === undefined) metrics?.open(predecessor.metrics?.boundAddr);
    await predecessor.finish(drainMs);
  } catch (error) {
    await supervisor.stop({ takesQueued: false }); // what it accepted meanwhile is served
    throw error;
  }
  log.info("took_over", { from_pid: pid, from_version: version });
}
