/**
 * The command line.
 *
 * @module
 */

import { type Argument, Command, CommanderError, Help, InvalidArgumentError, Option } from "commander";
import { AdminSocketError } from "../admin/socket.ts";
import { ConfigError } from "../control/config.ts";
import { readDuration } from "../control/config_values.ts";
import { printable } from "../control/quote.ts";
import { StoreError } from "../control/store/store_error.ts";
import { ListenError } from "../edge/engine.ts";
import { type OfflineApplyOptions, runApply } from "./apply.ts";
import { runCheck } from "./check.ts";
import { addExamples } from "./ctl/command.ts";
import { addCompletions } from "./completions/completions.ts";
import { defineCtl } from "./ctl/ctl.ts";
import { addServerOptions } from "./ctl/server_option.ts";
import { defineStatus } from "./ctl/status.ts";
import { readVariable } from "./environment.ts";
import { Failure } from "./failure.ts";
import { type Output, processOutput } from "./output.ts";
import type { ProgramName } from "./program_name.ts";
import { runSnapshot } from "./snapshot.ts";
import { versionLine } from "./version.ts";

const FAILED = 1;
const USAGE_ERROR = 2;

/** How the program is run. */
export interface MainOptions {
  readonly output?: Output;
  /** Whether an error of the program's own is printed with its stack. */
  readonly debug?: boolean;
  /** `mcproxyctl` is `mc-proxy ctl` as a program of its own. */
  readonly name?: ProgramName;
}

/**
 * Runs the program.
 *
 * @param args The command line, without the program's own name.
 * @returns The exit code: 0, 1 where the command failed, 2 where the command line is wrong; `ctl diff` has diff(1)'s. Why
 * is on standard error.
 */
export async function main(
  args: readonly string[],
  { output = processOutput, debug = isDebug(), name = "mc-proxy" }: MainOptions = {},
): Promise<number> {
  let exitCode = 0;
  const program = makeProgram(name, output, (code) => exitCode = code);
  try {
    if (args.length === 0) program.error("error: no command given");
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed already: its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_ERROR;
    for (const line of messagesOf(error, name, debug)) output.err(`${line}\n`);
    return exitCode || FAILED; // a command may have its own for that
  }
}

/**
 * The command line's grammar.
 *
 * @param name Under which name the program runs.
 */
export function makeProgram(name: ProgramName, output: Output, setExitCode: (code: number) => void): Command {
  const program = new Command(name)
    .exitOverride()
    .configureOutput({
      writeOut: output.out,
      writeErr: output.err,
      // Nothing is coloured; to find out whether it may be, Commander would read the environment.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({
      showGlobalOptions: true,
      minWidthToWrap: 20, // beside "add <LISTENER> <HOST> <TYPE> <VALUE>" little room is left
      // Without "[options]": every command has some, and its own help tells which.
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
      visibleGlobalOptions(command) {
        const options = Help.prototype.visibleGlobalOptions.call(this, command);
        return options.filter(({ long }) => long !== "--version"); // it is the program's alone
      },
    })
    .version(versionLine(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "Print the help of a command.");
  if (name === "mcproxyctl") defineCtl(program, { output, invocation: name, setExitCode });
  else defineCommands(program, output, setExitCode);
  explainErrors(program, [name]);
  return program;
}

function argumentTerm(argument: Argument): string {
  return argument.required ? `<${argument.name()}>` : `[${argument.name()}]`;
}

function defineCommands(program: Command, output: Output, setExitCode: (code: number) => void): void {
  program
    .description("A TLS edge proxy: routes connections by host name, behind a firewall.");
  addExamples(program, [
    "mc-proxy server -c /srv/mc-proxy/config.toml",
    "mc-proxy ctl routes add :443 git.example.net 127.0.0.1:18443",
    "mc-proxy ctl routes add --help",
  ]);
  const server = configCommand(program, "server", " --takeover")
    .description("Run the proxy until SIGTERM or SIGINT, which let open connections finish; a second one ends them.")
    .option("--takeover", "take the place of the server that runs, if one does; if that fails, it carries on")
    .addOption(
      new Option("--drain <duration>", "how long that server's connections may go on (default: its shutdown_timeout)")
        .argParser(readDrain),
    )
    .action(async ({ config, takeover = false, drain }: ConfigOption & ServerCommandOptions) => {
      if (drain !== undefined && !takeover) server.error("error: --drain goes with --takeover");
      const { runServer } = await import("./server.ts"); // the other commands start faster without it
      setExitCode(await runServer(config, { takeover, ...drain !== undefined && { drainMs: drain } }));
    });
  configCommand(program, "check")
    .description("Check a configuration file, the files that it names and its database; every problem is one line.")
    .action(({ config }: ConfigOption) => runCheck(config, output));
  defineStatus(addServerOptions(program.command("status")), { output, invocation: "mc-proxy", setExitCode });
  configCommand(program, "snapshot", " -o /backup/mc-proxy.db")
    .description("Back up the database, whether the server is running or not.")
    .option("-o, --out <path>", "the new file, or a folder for one with the time in its name (default: the database's)")
    .option("--keep-days <number>", "then remove the snapshots beside it that are older, but never the newest", days)
    .action(({ config, out, keepDays }: ConfigOption & { readonly out?: string; readonly keepDays?: number }) =>
      runSnapshot(config, { out, keepDays }, output)
    );
  configCommand(program, "apply", " --prune --dry-run")
    .description("Have the database of a server that does not run follow the file; one that runs: ctl apply.")
    .option("--prune", "remove the listeners, routes and firewall rules that the file lacks")
    .option("--dry-run", "print what would be changed, and change nothing")
    .option("--json", "print JSON, one document on one line")
    .action(({ config, ...options }: ConfigOption & OfflineApplyOptions) => runApply(config, options, output));
  defineCtl(program.command("ctl"), { output, invocation: "mc-proxy ctl", setExitCode });
  // The name by which others call it; one of the two in the help is enough.
  const alias = program.command("mcproxyctl", { hidden: true });
  defineCtl(alias, { output, invocation: "mc-proxy mcproxyctl", setExitCode });
  addCompletions(program, output, () => [makeProgram("mcproxyctl", output, setExitCode)]);
  const version = program.command("version").description("Print the version.");
  version.action(() => output.out(`${versionLine()}\n`));
  addExamples(version, ["mc-proxy version"]);
}

/** @throws {InvalidArgumentError} If it is no number of days. */
function days(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 1 to 99999.");
}

interface ConfigOption {
  readonly config: string;
}

interface ServerCommandOptions {
  readonly takeover?: boolean;
  /** In milliseconds. */
  readonly drain?: number;
}

function readDrain(text: string): number {
  const reading = readDuration(text);
  if (reading.kind === "ok") return reading.value;
  throw new InvalidArgumentError('Write for example "30s", "10m" or "2h".');
}

/** Adds a command that takes a configuration file. */
function configCommand(program: Command, name: string, more?: string): Command {
  const example = `mc-proxy ${name} -c /srv/mc-proxy/config.toml`;
  const examples = more === undefined ? [example] : [example, example + more];
  return program.command(name)
    .requiredOption("-c, --config <file>", "the configuration file")
    .addHelpText("after", ["", "Examples:", ...examples.map((line) => `  ${line}`)].join("\n"));
}

const WRONG_ARGUMENT = /^command-argument value '(.*)' is invalid for argument '([A-Z]+)'\./;

/** Has usage errors of a command and those below it printed as one line and one that says where the help is. */
function explainErrors(command: Command, path: readonly string[]): void {
  command.configureOutput({
    outputError: (text, write) => {
      const line = text.trim().replaceAll("\n", " ").replace(/^error: /, "");
      // Named as the server names them: "HOST: …".
      const message = printable(line.replace(WRONG_ARGUMENT, (_, value, name) => `${name}: '${value}' is wrong.`));
      write(`${path[0]}: ${message}\nTry "${path.join(" ")} --help".\n`);
    },
  });
  for (const each of command.commands) explainErrors(each, [...path, each.name()]);
}

/** What to print of an error: those that a user can mend explain themselves, the others are ours. */
function messagesOf(error: unknown, name: ProgramName, debug: boolean): readonly string[] {
  if (error instanceof ConfigError || error instanceof StoreError) return [error.message]; // each begins with its file
  if (error instanceof Failure) return error.lines.map((line) => `${name}: ${printable(line)}`);
  if (error instanceof ListenError || error instanceof AdminSocketError) return [`${name}: ${error.message}`];
  const thrown = error instanceof Error ? error : new Error(String(error));
  if (debug) return [thrown.stack ?? String(thrown)];
  const line = printable(`${thrown.name}: ${thrown.message}`);
  return [`${name}: unexpected error: ${line} (MCPROXY_LOG_LEVEL=debug shows where)`];
}

/** Asked of the environment alone, as the error may come before the file is read. */
function isDebug(): boolean {
  return readVariable("MCPROXY_LOG_LEVEL") === "debug";
}
