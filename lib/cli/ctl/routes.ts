/**
 * `ctl routes`: which host name goes to which backend.
 *
 * @module
 */

import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { AdminClient, NewRoute } from "../../admin/client.ts";
import {
  BACKEND_MAX_CONNECTIONS,
  BACKEND_PROTOCOLS,
  BACKEND_TIMEOUT_MS,
  ROUTE_MODES,
  type RouteConfig,
} from "../../control/config_types.ts";
import { parseDuration } from "../../control/config_duration.ts";
import { MAX_BACKEND_CONNECTIONS } from "../../control/config_schema.ts";
import { printable } from "../../control/quote.ts";
import { ROUTE_DEFAULTS } from "../../control/route_document.ts";
import type { Screen } from "../output.ts";
import { addExamples, type Answer, type CtlContext, define } from "./command.ts";
import { typedName } from "./explain.ts";
import { routeJson } from "./json.ts";
import { formatTable } from "./table.ts";

/** Adds `routes` and its subcommands. */
export function addRoutes(parent: Command, context: CtlContext): void {
  const routes = parent.command("routes").description("List, add and remove routes.");
  addExamples(routes, [
    `${context.invocation} routes list`,
    `${context.invocation} routes add :443 git.example.net 127.0.0.1:18443`,
  ]);
  const list = ([listener]: readonly (string | undefined)[]) => ["routes", "list", listener];
  define(
    routes.command("list").description("List the routes of a listener, or of all.")
      .argument("[LISTENER]", 'its addr as configured, such as ":443"'),
    context,
    {
      examples: ["routes list", "routes list :443 --json"],
      run: ({ client, args: [listener], screen }) => listRoutes(client, listener, screen),
    },
  );
  define<RouteFlags>(addRouteFlags(routes.command("add")), context, {
    examples: [
      "routes add :443 git.example.net 127.0.0.1:18443",
      "routes add :443 '*.apps.example.net' 10.0.0.7:443 \\\n    --send-proxy-protocol",
      "routes add :443 www.example.net 127.0.0.1:8080 --mode l7 \\\n" +
      "    --tls-cert /srv/mc-proxy/certs/www.pem \\\n    --tls-key /srv/mc-proxy/certs/www.key",
    ],
    run: ({ client, args: [listener = "", hostname = "", backend = ""], options }) =>
      addRoute(client, listener, newRoute(hostname, backend, options)),
  });
  define(
    routes.command("remove").description("Remove a route and its policies; open connections go on.")
      .argument("<LISTENER>", "its addr as configured")
      .argument("<HOST>", "the host name of the route"),
    context,
    {
      examples: ["routes remove :443 git.example.net"],
      list,
      run: async ({ client, args: [listener = "", hostname = ""] }) => {
        const route = await client.removeRoute(listener, hostname);
        const text = printable(`${route.hostname} on ${listener}: removed (was ${describeRoute(route)})`);
        return { text: `${text}\n`, json: { result: "removed", route: routeJson(listener, route) } };
      },
    },
  );
}

/** The options of `routes add`. */
export interface RouteFlags {
  readonly mode?: RouteConfig["mode"];
  readonly sendProxyProtocol?: true;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly backendTls?: true;
  readonly backendProtocol?: RouteConfig["backendProtocol"];
  readonly backendCa?: string;
  readonly backendServerName?: string;
  readonly backendPin?: readonly string[];
  readonly backendTimeout?: number;
  readonly backendMaxConnections?: number;
  readonly allowTrace?: true;
}

function addRouteFlags(command: Command): Command {
  const protocols = BACKEND_PROTOCOLS.filter((protocol) => protocol !== "");
  return command
    .description("Add a route, or replace the one of its host name; new connections take it at once.")
    .argument("<LISTENER>", 'its addr as configured, such as ":443"')
    .argument("<HOST>", "a host name, *.SUFFIX or *")
    .argument("<BACKEND>", "host:port or [v6]:port")
    .addOption(
      new Option("--mode <mode>", "pass the TLS stream on, or terminate it").choices(ROUTE_MODES).default("l4"),
    )
    .option("--send-proxy-protocol", "tell the backend the client's address in a PROXY v2 header")
    .option("--tls-cert <file>", "L7: the certificate chain, PEM")
    .option("--tls-key <file>", "L7: the private key, PEM")
    .option("--backend-tls", "L7: TLS to the backend, its certificate verified")
    .addOption(
      new Option("--backend-protocol <protocol>", "L7: what the backend speaks (default: h2c, or what ALPN chooses)")
        .choices(protocols),
    )
    .option("--backend-ca <file>", "L7: certificates that sign the backend's, PEM (default: the system's)")
    .option(
      "--backend-server-name <name>",
      "L7: the name in the backend's certificate; {host}: what the client asks for (default: its host)",
    )
    .addOption(
      new Option("--backend-pin <pin>", "L7: a public key the backend may have, by its SHA-256; may be repeated")
        .argParser((pin: string, pins: readonly string[] = []) => [...pins, pin]),
    )
    .addOption(
      new Option("--backend-timeout <duration>", "L7: how long the backend may take to answer (default: 60s)")
        .argParser(parseTimeout),
    )
    .addOption(
      new Option(
        "--backend-max-connections <n>",
        `L7: connections of a worker to the backend (default: ${BACKEND_MAX_CONNECTIONS})`,
      ).argParser(parseConnections),
    )
    .option("--allow-trace", "L7: let TRACE requests reach the backend");
}

function parseTimeout(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return milliseconds;
  throw new InvalidArgumentError('Expected a duration from 1 ms to 24 h; write for example "90s".');
}

function parseConnections(text: string): number {
  const connections = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : 0;
  if (connections >= 1 && connections <= MAX_BACKEND_CONNECTIONS) return connections;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MAX_BACKEND_CONNECTIONS}.`);
}

/** The route that a command line describes; its files are taken from the working directory. */
export function newRoute(hostname: string, backend: string, flags: RouteFlags): NewRoute {
  const { mode = "l4", sendProxyProtocol = false, backendTls = false } = flags;
  return {
    hostname,
    backend,
    mode,
    sendProxyProtocol,
    tlsCert: absolute(flags.tlsCert),
    tlsKey: absolute(flags.tlsKey),
    backendTls,
    backendProtocol: flags.backendProtocol ?? "",
    backendCa: absolute(flags.backendCa),
    backendServerName: flags.backendServerName ?? "",
    backendPins: flags.backendPin ?? [],
    backendTimeoutMs: flags.backendTimeout ?? BACKEND_TIMEOUT_MS,
    backendMaxConnections: flags.backendMaxConnections ?? BACKEND_MAX_CONNECTIONS,
    allowTrace: flags.allowTrace ?? false,
  };
}

function absolute(path = ""): string {
  return path === "" ? "" : resolve(path);
}

async function listRoutes(client: AdminClient, listener: string | undefined, screen?: Screen): Promise<Answer> {
  const listeners = listener === undefined
    ? (await client.getStatus()).listeners
    : [{ addr: listener, routes: await client.listRoutes(listener) }];
  const routes = listeners.flatMap(({ addr, routes }) => routes.map((route) => ({ addr, route })));
  const json = routes.map(({ addr, route }) => routeJson(addr, route));
  if (routes.length === 0) {
    return { text: `no routes${listener === undefined ? "" : ` on ${printable(listener)}`}\n`, json };
  }
  const rows = routes.map(({ addr, route }) => [addr, route.hostname, route.backend, route.mode, settings(route)]);
  const columns = ["LISTENER", "HOST", "BACKEND", "MODE", "SETTINGS"].map((header) => ({ header }));
  const shown = rows.every((row) => row[4] === "") ? 4 : 5;
  return { text: formatTable(columns.slice(0, shown), rows.map((row) => row.slice(0, shown)), screen), json };
}

async function addRoute(client: AdminClient, listener: string, given: NewRoute): Promise<Answer> {
  const { route, replaced, warnings } = await client.addRoute(listener, given);
  const result = replaced === undefined
    ? "added"
    : describeRoute(replaced) === describeRoute(route)
    ? "unchanged"
    : "replaced";
  const was = result === "replaced" && replaced !== undefined ? ` (was ${describeRoute(replaced)})` : "";
  return {
    text: `${printable(`${route.hostname} on ${listener}: ${result}${was}`)}\n`,
    json: {
      result,
      route: routeJson(listener, route),
      replaced: result === "replaced" && replaced !== undefined ? routeJson(listener, replaced) : null,
      warnings,
    },
    warnings: warnings.map((warning) => warning.replace(/^route\.[a-z_]+(?=: )/, typedName)),
  };
}

/** A route in a few words: its backend, and what differs from the defaults. */
export function describeRoute(route: RouteConfig): string {
  return [route.backend, ...route.mode === "l4" ? [] : [route.mode], settings(route)].filter((part) => part !== "")
    .join(" ");
}

/** What has a column of its own, or is told in its own way. */
const NO_SETTINGS: readonly string[] = ["listener", "hostname", "backend", "mode", "l7_policies"];

const DEFAULTS = routeJson("", { hostname: "", backend: "", ...ROUTE_DEFAULTS });

/** What differs from the defaults, under the names of the configuration file. */
function settings(route: RouteConfig): string {
  const set = Object.entries(routeJson("", route))
    .filter(([key, value]) => !NO_SETTINGS.includes(key) && JSON.stringify(value) !== JSON.stringify(DEFAULTS[key]))
    .map(([key, value]) => value === true ? key : `${key}=${value}`);
  const policies = route.l7Policies.map(({ type, value }) => `${type}=${JSON.stringify(value)}`);
  return printable([...set, ...policies].join(" "));
}
