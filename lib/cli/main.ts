/**
 * The command line.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { AdminSocketError } from "../admin/socket.ts";
import { ConfigError } from "../control/config.ts";
import { printable } from "../control/quote.ts";
import { StoreError } from "../control/store/store_error.ts";
import { ListenError } from "../edge/engine.ts";
import { runCheck } from "./check.ts";
import { type Output, processOutput } from "./output.ts";
import { runSnapshot } from "./snapshot.ts";
import { versionLine } from "./version.ts";

const USAGE_ERROR = 2;

/**
 * Runs the program.
 *
 * @param args The command line, without the program's own name.
 * @param debug Whether an error of the program's own is printed with its stack.
 * @returns The exit code: 0, 1 where the command failed, 2 where the command line is wrong. Why is on standard error.
 */
export async function main(
  args: readonly string[],
  output: Output = processOutput,
  debug: boolean = isDebug(),
): Promise<number> {
  let exitCode = 0;
  const program = makeProgram(output, (code) => exitCode = code);
  try {
    if (args.length === 0) program.error("error: no command given");
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed already: its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_ERROR;
    output.err(`${messageOf(error, debug)}\n`);
    return 1;
  }
}

function makeProgram(output: Output, setExitCode: (code: number) => void): Command {
  const program = new Command("mc-proxy")
    .description("A TLS edge proxy: routes connections by host name, behind a firewall.")
    .exitOverride()
    .configureOutput({
      writeOut: output.out,
      writeErr: output.err,
      // Nothing is coloured; to find out whether it may be, Commander would read the environment.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .version(versionLine(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "Print the help of a command.")
    .addHelpText("after", '\nEvery command has its own: "mc-proxy check --help".');

  configCommand(program, "server")
    .description("Run the proxy until SIGTERM or SIGINT, which let open connections finish; a second one ends them.")
    .action(async ({ config }: ConfigOption) => {
      const { runServer } = await import("./server.ts"); // the other commands start faster without it
      setExitCode(await runServer(config));
    });
  configCommand(program, "check")
    .description("Check a configuration file and the files that it names; every problem is one line.")
    .action(({ config }: ConfigOption) => runCheck(config, output));
  configCommand(program, "snapshot", " -o /backup/mc-proxy.db")
    .description("Back up the database, whether the server is running or not.")
    .option("-o, --out <file>", "the new file (default: beside the database, with the time in its name)")
    .action(({ config, out }: ConfigOption & { readonly out?: string }) => runSnapshot(config, out, output));
  program.command("version").description("Print the version.").action(() => output.out(`${versionLine()}\n`));

  for (const command of [program, ...program.commands]) explainErrors(command);
  return program;
}

interface ConfigOption {
  readonly config: string;
}

/** Adds a command that takes a configuration file. */
function configCommand(program: Command, name: string, more?: string): Command {
  const example = `mc-proxy ${name} -c /srv/mc-proxy/config.toml`;
  const examples = more === undefined ? [example] : [example, example + more];
  return program.command(name)
    .requiredOption("-c, --config <file>", "the configuration file")
    .addHelpText("after", ["", "Examples:", ...examples.map((line) => `  ${line}`)].join("\n"));
}

/** Has usage errors printed as one line and one that says where the help is. */
function explainErrors(command: Command): void {
  const help = [...command.parent ? ["mc-proxy"] : [], command.name(), "--help"].join(" ");
  command.configureOutput({
    outputError: (text, write) => {
      const message = printable(text.replace(/^error: /, "").trim().replaceAll("\n", " "));
      write(`mc-proxy: ${message}\nTry "${help}".\n`);
    },
  });
}

/** What to print of an error: those that a user can mend explain themselves, the others are ours. */
function messageOf(error: unknown, debug: boolean): string {
  if (error instanceof ConfigError || error instanceof StoreError) return error.message; // each begins with its file
  if (error instanceof ListenError || error instanceof AdminSocketError) return `mc-proxy: ${error.message}`;
  const thrown = error instanceof Error ? error : new Error(String(error));
  if (debug) return thrown.stack ?? String(thrown);
  const line = printable(`${thrown.name}: ${thrown.message}`);
  return `mc-proxy: unexpected error: ${line} (MCPROXY_LOG_LEVEL=debug shows where)`;
}

/** Asked of the environment alone, as the error may come before the file is read. */
function isDebug(): boolean {
  const name = "MCPROXY_LOG_LEVEL";
  const readable = Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
  return readable && Deno.env.get(name) === "debug";
}
