/**
 * `deno task man`: writes the manual page, from the command line's own definitions.
 *
 * @module
 */

import type { Command } from "commander";
import { makeProgram } from "../lib/cli/main.ts";
import { version } from "../lib/cli/version.ts";
import { ROOT } from "./program.ts";

/** Where the page is. */
export const MAN_PAGE: string = `${ROOT}docs/mc-proxy.8`;

/** What the definitions do not tell; between stars is bold. */
const DESCRIPTION = `*mc-proxy* reads the host name (SNI) that a TLS client asks for, and either passes the connection,
still encrypted, to the backend that serves that name (L4), or ends TLS itself and forwards HTTP/2 and HTTP/1.1 (L7).
A firewall decides before any routing, and the PROXY protocol carries the client's address in and out.

The configuration file says where to listen, and where each host name goes. Listeners, routes and the lists of the
firewall seed the database on the first start; from then on the database is the truth, and *mc-proxy ctl* changes it
while the server runs. Under the name *mcproxyctl* the program is *mc-proxy ctl*.`;

const DEFINITIONS:
  readonly (readonly [section: string, entries: readonly (readonly [term: string, text: string])[]])[] = [
    ["SIGNALS", [
      [
        "SIGTERM, SIGINT",
        "Stop accepting, let open connections finish for *proxy.shutdown_timeout*, then end them. " +
        "A second one ends them at once.",
      ],
      ["SIGHUP", "Load the GeoIP database anew, and look for renewed certificates at once."],
    ]],
    ["EXIT STATUS", [
      ["0", "Done; of the server: ended by a signal."],
      ["1", "Failed; why is on standard error."],
      ["2", "The command line is wrong."],
    ]],
    ["ENVIRONMENT", [
      ["MCPROXY_<SECTION>_<KEY>", "Overrides a single value of the configuration file: *MCPROXY_LOG_LEVEL=debug*."],
      [
        "NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID",
        "Set by *systemd*(1), which the server tells when it serves, " +
        "reloads and stops, and that each of its threads answers: *sd_notify*(3).",
      ],
      ["NO_COLOR", "Where it is set, nothing is coloured."],
    ]],
    ["FILES", [
      ["/srv/mc-proxy/config.toml", "The configuration; /usr/local/share/mc-proxy/example.toml has every key."],
      ["/srv/mc-proxy/mc-proxy.db", "The database."],
      ["/srv/mc-proxy/mc-proxy.sock", "The socket of the admin API, for its own user and root alone."],
      ["/srv/mc-proxy/backups/", "Snapshots that mc-proxy-backup.timer has made daily."],
    ]],
  ];

/** Text as roff reads it: no character of it is taken for a request, and a hyphen is one that can be copied. */
function plain(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^(?=[.'])/gm, "\\&");
}

/** The same, and bold between stars. */
function marked(text: string): string {
  return plain(text).replaceAll(/\*([^*]+)\*/g, "\\fB$1\\fR");
}

function entry(term: string, text: string): string[] {
  return [".TP", `.B ${plain(term)}`, marked(text)];
}

/** A command and all below it: a heading each for those that do something, with what they take. */
function describe(command: Command, path: readonly string[]): string[] {
  const help = command.createHelp();
  const lines: string[] = [];
  const options = help.visibleOptions(command).filter(({ long }) => long !== "--help");
  const arguments_ = help.visibleArguments(command);
  const commands = help.visibleCommands(command).filter((each) => each.name() !== "help");
  if (path.length > 1) {
    const words = command.registeredArguments.map((each) => each.required ? `<${each.name()}>` : `[${each.name()}]`);
    lines.push(`.SS "${plain([...path, ...words].join(" "))}"`, plain(command.description()));
  }
  for (const argument of arguments_) {
    const choices = argument.argChoices === undefined ? "" : `: ${argument.argChoices.join(", ")}`;
    lines.push(".TP", `.I ${plain(argument.name())}`, plain(argument.description + choices));
  }
  for (const option of options) {
    const choices = option.argChoices === undefined ? "" : `: ${option.argChoices.join(", ")}`;
    lines.push(".TP", `.B ${plain(option.flags)}`, plain(option.description + choices));
  }
  return [...lines, ...commands.flatMap((each) => describe(each, [...path, each.name()]))];
}

/** The page mc-proxy(8), man(7). */
export function manPage(): string {
  const program = makeProgram("mc-proxy", { out: () => {}, err: () => {} }, () => {});
  const lines = [
    '.\\" Written by "deno task man": change scripts/man.ts, or the definitions of the command line.',
    `.TH MC\\-PROXY 8 "" "mc\\-proxy ${version}" "System Manager's Manual"`,
    ".SH NAME",
    "mc\\-proxy, mcproxyctl \\- a TLS edge proxy",
    ".SH SYNOPSIS",
    ".B mc\\-proxy server \\-c",
    ".I FILE",
    ".br",
    ".B mc\\-proxy",
    ".I COMMAND",
    "[...]",
    ".br",
    ".B mcproxyctl",
    ".I COMMAND",
    "[...]",
    ".SH DESCRIPTION",
    marked(DESCRIPTION).replaceAll("\n\n", "\n.PP\n"),
    ".SH OPTIONS",
    ...describe(program, ["mc-proxy"]).join("\n").replace(".SS", ".SH COMMANDS\n.SS").split("\n"),
    ...DEFINITIONS.flatMap(([section, entries]) => [`.SH ${section}`, ...entries.flatMap((each) => entry(...each))]),
    ".SH SEE ALSO",
    marked("*systemctl*(1), *journalctl*(1), *systemd.exec*(5)"),
  ];
  return `${lines.join("\n")}\n`;
}

if (import.meta.main) {
  await Deno.writeTextFile(MAN_PAGE, manPage());
  console.log(MAN_PAGE);
}
