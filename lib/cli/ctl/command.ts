/**
 * A command that asks a running server, and prints its answer.
 *
 * @module
 */

import type { Command } from "commander";
import type { AdminClient, AdminError } from "../../admin/client.ts";
import { printable } from "../../control/quote.ts";
import type { Output, Screen } from "../output.ts";
import { shellWord } from "../shell_word.ts";
import { explain } from "./explain.ts";
import { type ServerOptions, serverWords, socketOf } from "./server_option.ts";

/** What the commands are made for. */
export interface CtlContext {
  readonly output: Output;
  /** How they are called: `mc-proxy ctl`, `mcproxyctl`. */
  readonly invocation: string;
  setExitCode(code: number): void;
}

/** What a command answers. */
export interface Answer {
  /** For people: whole lines. */
  readonly text: string;
  /** For programs: the one document of `--json`. */
  readonly json: unknown;
  /** Each is a line on standard error. */
  readonly warnings?: readonly string[];
  /** What is wrong with what was asked about: the same. */
  readonly problems?: readonly string[];
  /** Where it is not 0. */
  readonly exitCode?: number;
}

/** What a command is run with. */
export interface Run<Options> {
  readonly client: AdminClient;
  /** Makes another client of the same server. */
  readonly connect: () => AdminClient;
  /** Its arguments, in order; those that were left out are `undefined`. */
  readonly args: readonly (string | undefined)[];
  readonly options: Options & ServerOptions;
  readonly screen: Screen | undefined;
}

/** How a command is run, and what to say about it. */
export interface Definition<Options> {
  /** Command lines for its help, behind the invocation. */
  readonly examples: readonly string[];
  /** The words of the command that shows what there is, behind the invocation; told where something is not there. */
  readonly list?: (args: readonly (string | undefined)[]) => readonly (string | undefined)[];
  readonly run: (run: Run<Options>) => Promise<Answer | undefined>;
  /** Whose socket to take where no option names a server; `undefined`: the default. */
  readonly socket?: (args: readonly (string | undefined)[]) => string | undefined;
  /** The exit code where the command fails, if it is not 1. */
  readonly failureCode?: number;
  /** What to tell of a call that failed, where that is not what other commands tell. */
  readonly explain?: (error: AdminError, args: readonly (string | undefined)[]) => Error | undefined;
}

/** Ends the help of a command with these command lines. */
export function addExamples(command: Command, examples: readonly string[]): void {
  const lines = examples.join("\n").split("\n").map((line) => `  ${line}`);
  command.addHelpText("after", ["", examples.length === 1 ? "Example:" : "Examples:", ...lines].join("\n"));
}

/** Has `command` ask the server that its options name; {@linkcode Failure} where that refuses, or cannot be asked. */
export function define<Options = unknown>(
  command: Command,
  { output, invocation, setExitCode }: CtlContext,
  { examples, list, run, socket, failureCode, explain: explainOwn }: Definition<Options>,
): void {
  addExamples(command, examples.map((example) => `${invocation} ${example}`));
  command.action(async () => {
    const options: Options & ServerOptions = command.optsWithGlobals();
    const args: readonly (string | undefined)[] = command.processedArgs;
    if (failureCode !== undefined) setExitCode(failureCode); // until the answer has another
    const path = (serverWords(options).length === 0 ? socket?.(args) : undefined) ?? socketOf(options);
    const { AdminClient, AdminError } = await import("../../admin/client.ts"); // the other commands start faster
    const connect = () => new AdminClient(path);
    using client = connect();
    try {
      const answer = await run({ client, connect, args, options, screen: output.screen });
      if (answer !== undefined) print(answer, options.json === true, output);
      if (answer?.exitCode !== undefined || failureCode !== undefined) setExitCode(answer?.exitCode ?? 0);
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      const own = explainOwn?.(error, args);
      if (own !== undefined) throw own;
      const server = serverWords(options);
      const listing = list && [invocation, ...[...list(args), ...server].map((word = "") => shellWord(word))].join(" ");
      throw explain(error, { path, list: listing, isServerNamed: server.length > 0 });
    }
  });
}

/** Prints an answer: warnings and problems on standard error, the rest as it was asked for. */
export function print({ text, json, warnings = [], problems = [] }: Answer, isJson: boolean, output: Output): void {
  for (const warning of warnings) output.err(`warning: ${printable(warning)}\n`, "warn");
  for (const problem of problems) output.err(`${printable(problem)}\n`);
  output.out(isJson ? `${JSON.stringify(json)}\n` : text);
}
