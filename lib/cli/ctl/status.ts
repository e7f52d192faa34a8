/**
 * `status` and `health`: what a running server is and does.
 *
 * @module
 */

import type { Command } from "commander";
import type { ServedListener, ServerStatus } from "../../admin/client.ts";
import { expiryOf, listOf } from "../../control/certificate_warnings.ts";
import { hasPostQuantum, type TlsStatus } from "../../control/tls_status.ts";
import { printable } from "../../control/quote.ts";
import type { Screen } from "../output.ts";
import { type CtlContext, define } from "./command.ts";
import { statusJson } from "./json.ts";
import { formatTable } from "./table.ts";
import { count, formatBytes, formatDuration, formatTime } from "./units.ts";
import { watch } from "./watch.ts";

/** Defines what `command`, a new one, does: `status`. */
export function defineStatus(command: Command, context: CtlContext): void {
  define<{ readonly watch?: true }>(
    command
      .description("Print the state of a running server.")
      .option("-w, --watch", "print it again each second, until Ctrl-C"),
    context,
    {
      examples: [`${command.name()} -c /srv/mc-proxy/config.toml`, `${command.name()} --watch`],
      run: async ({ connect, options, screen }) => {
        const print = async () => {
          // A client of its own each time: where a server that ends says so (GOAWAY) on an idle connection, Deno 2.9.6
          // may crash (https://github.com/denoland/deno/issues/36788).
          using client = connect();
          const status = await client.getStatus({ omitRoutes: true });
          const now = new Date();
          return { text: formatStatus(status, now, screen), json: statusJson(status, now) };
        };
        if (!options.watch) return await print();
        await watch(print, options.json === true, context.output);
        return undefined;
      },
    },
  );
}

/** Adds `health`. */
export function addHealth(parent: Command, context: CtlContext): void {
  define(
    parent.command("health").description(
      "Print SERVING, or NOT_SERVING and exit 1; why not is on standard error.",
    ),
    context,
    {
      examples: ["health -c /srv/mc-proxy/config.toml"],
      run: async ({ client }) => {
        const { isServing, problems } = await client.health();
        const status = isServing ? "SERVING" : "NOT_SERVING";
        return { text: `${status}\n`, json: { status, problems }, problems, exitCode: isServing ? 0 : 1 };
      },
    },
  );
}

/** The state of a server for people. */
export function formatStatus(status: ServerStatus, now: Date, screen?: Screen): string {
  return [
    formatTable([{ header: "" }, { header: "" }], summary(status, now), screen),
    formatTable(LISTENER_COLUMNS, status.listeners.map(listenerRow), screen),
    formatUnbound(status.listeners, screen),
    formatRejections(status.listeners, screen),
    formatCertificates(status.certificates, now, screen),
  ].filter((part) => part !== "").join("\n");
}

function summary(status: ServerStatus, now: Date): string[][] {
  const { engine, workers, workerFailures, startedAt } = status;
  const replaced = workerFailures === 0 ? "" : `, ${workerFailures} replaced after a failure`;
  const uptime = formatDuration(now.getTime() - startedAt.getTime());
  return [
    ["version", printable(status.version)],
    ["uptime", `${uptime}, since ${formatTime(startedAt)}${status.draining ? "; shutting down" : ""}`],
    ["engine", `${engine}, ${count(workers, "worker")}${replaced}`],
    ...status.tls === undefined ? [] : [["tls", tlsLine(status.tls)]],
    ["firewall", firewallLine(status)],
    ["geoip", geoipLine(status)],
    ...status.problems.map((problem, i) => [i === 0 ? "problems" : "", printable(problem)]),
  ];
}

function tlsLine(tls: TlsStatus): string {
  const { library, path, minVersion, groups } = tls;
  const file = path === "" ? "" : ` (${printable(path)})`;
  const postQuantum = hasPostQuantum(tls) ? "" : "; none is post-quantum";
  return `${minVersion} or newer by ${printable(library)}${file}, groups ${
    groups.map(printable).join(", ")
  }${postQuantum}`;
}

function firewallLine({ firewall: { ruleCount, rateLimit, rateWindowMs } }: ServerStatus): string {
  const window = rateWindowMs < 1000 ? `${rateWindowMs}ms` : formatDuration(rateWindowMs);
  const rate = rateLimit === 0 ? "no rate limit" : `at most ${count(rateLimit, "connection")} per address in ${window}`;
  return `${count(ruleCount, "rule")}, ${rate}`;
}

function geoipLine({ firewall: { geoip } }: ServerStatus): string {
  if (geoip === undefined) return "none";
  const { path, builtAt, loadedAt, reloadFailures } = geoip;
  const failed = reloadFailures === 0 ? "" : `, ${count(reloadFailures, "failed reload")}`;
  return `${printable(path)}, built ${formatTime(builtAt)}, loaded ${formatTime(loadedAt)}${failed}`;
}

const LISTENER_COLUMNS = [
  { header: "LISTENER" },
  { header: "ACTIVE", align: "right" },
  { header: "TOTAL", align: "right" },
  { header: "REJECTED", align: "right" },
  { header: "IN", align: "right" },
  { header: "OUT", align: "right" },
  { header: "ROUTES", align: "right" },
] as const;

function listenerRow({ addr, counts, maxConnections, routeCount }: ServedListener): string[] {
  return [
    addr,
    maxConnections === 0 ? String(counts.active) : `${counts.active}/${maxConnections}`,
    String(counts.accepted),
    String(rejections(counts.rejected).reduce((sum, [, n]) => sum + n, 0)),
    formatBytes(counts.bytesIn),
    formatBytes(counts.bytesOut),
    String(routeCount),
  ];
}

/** Why listeners are not open; empty where all are. */
function formatUnbound(listeners: readonly ServedListener[], screen?: Screen): string {
  const rows = listeners.flatMap(({ addr, problem }) => problem === undefined ? [] : [[addr, printable(problem)]]);
  return rows.length === 0 ? "" : formatTable([{ header: "LISTENER" }, { header: "NOT OPEN" }], rows, screen);
}

/** Why connections were refused, most frequent first; empty where none was. */
function formatRejections(listeners: readonly ServedListener[], screen?: Screen): string {
  const rows = listeners.flatMap(({ addr, counts }) =>
    rejections(counts.rejected).map(([reason, n]) => [addr, String(n), reason])
  );
  const columns = [{ header: "LISTENER" }, { header: "REJECTED", align: "right" }, { header: "REASON" }] as const;
  return rows.length === 0 ? "" : formatTable(columns, rows, screen);
}

function rejections(rejected: ServedListener["counts"]["rejected"]): [reason: string, count: number][] {
  return Object.entries(rejected).filter(([, n]) => n > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

type ShownCertificate = ServerStatus["certificates"][number];

/** How many certificates are shown: of more, those that need looking at first. */
const MAX_CERTIFICATES = 10;

/** The certificates of L7 routes, those that end first before the others; empty where there is none. */
function formatCertificates(certificates: readonly ShownCertificate[], now: Date, screen?: Screen): string {
  if (certificates.length === 0) return "";
  const endOf = ({ notAfter }: ShownCertificate) => notAfter?.getTime() ?? -Infinity;
  const sorted = certificates.toSorted((a, b) => Math.sign(endOf(a) - endOf(b)));
  const rows = sorted.slice(0, MAX_CERTIFICATES).map((certificate) => {
    const names = [...new Set(certificate.routes.map(({ hostname }) => hostname))];
    return [listOf(names), expiry(certificate, now), printable(certificate.problem ?? certificate.certFile)];
  });
  const more = certificates.length - rows.length;
  const rest = more === 0 ? "" : `and ${count(more, "certificate")} more, which ${more === 1 ? "ends" : "end"} later\n`;
  return formatTable([{ header: "HOST" }, { header: "CERTIFICATE" }, { header: "FILE" }], rows, screen) + rest;
}

function expiry({ notAfter }: ShownCertificate, now: Date): string {
  if (notAfter === undefined) return "none: refuses";
  const left = formatDuration(Math.abs(notAfter.getTime() - now.getTime()));
  switch (expiryOf({ notAfter }, now)) {
    case "expired":
      return `expired ${left} ago`;
    case "soon":
      return `ends in ${left}!`;
    case "later":
      return `ends in ${left}`;
  }
}
