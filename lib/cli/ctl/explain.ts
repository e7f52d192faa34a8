/**
 * What a server refused, in the words of the command line.
 *
 * @module
 */

import type { AdminError } from "../../admin/client.ts";
import { Failure } from "../failure.ts";

/** The fields of requests that are arguments; those of a route that are none are options of the same name. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  listener_addr: "LISTENER",
  hostname: "HOST",
  "route.hostname": "HOST",
  "route.backend": "BACKEND",
  "policy.type": "TYPE",
  "policy.value": "VALUE",
  "rule.type": "TYPE",
  "rule.value": "VALUE",
  max_connections: "N",
  interval: "--interval",
};

/** Options that are given once for each item of a list. */
const REPEATED: Readonly<Record<string, string>> = { backend_pins: "backend_pin" };

/** What the user typed that became this field of a request. */
export function typedName(field: string): string {
  const [, name = "", item] = /^route\.([a-z_]+)(\[\d+\])?$/.exec(field) ?? [];
  const option = item === undefined ? name || undefined : REPEATED[name];
  return ARGUMENTS[field] ?? (option === undefined ? field : `--${option.replaceAll("_", "-")}`);
}

/** What may be said beside the error itself. */
export interface Hints {
  /** The path of the socket. */
  readonly path: string;
  /** The command that lists what there is. */
  readonly list?: string | undefined;
  /** Whether the user named a server. */
  readonly isServerNamed: boolean;
}

/** A failed call as the user is told: one line, or where several fields are at fault, one for each. */
export function explain(error: AdminError, { path, list, isServerNamed }: Hints): Failure {
  const options = { cause: error };
  if (error.isBrokenOff) {
    return new Failure([`the server at ${path} broke off before it answered (has it stopped?)`], options);
  }
  switch (error.code) {
    case "INVALID_ARGUMENT":
      if (error.violations.length === 0) break;
      return new Failure(
        error.violations.map(({ field, description }) => `${typedName(field)}: ${description}`),
        options,
      );
    case "NOT_FOUND":
      if (list === undefined) break;
      return new Failure([`${error.message}; "${list}" shows what there is`], options);
    case "UNAVAILABLE":
      if (error.message.endsWith("(permission denied)")) {
        return new Failure([`${error.message}; run this as the user that runs the server, or as root`], options);
      }
      if (isServerNamed || !error.message.startsWith("no admin API")) break;
      return new Failure([`${error.message}; -c or --addr names another`], options);
    case "UNIMPLEMENTED":
      return new Failure(["the server does not know this request; use the mc-proxy of its own version"], options);
  }
  return new Failure([error.message], options);
}
