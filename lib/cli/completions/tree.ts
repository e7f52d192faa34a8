/**
 * What may be typed where, read out of the command line's own grammar.
 *
 * @module
 */

import type { Command, Option } from "commander";

/** A command or subcommand. */
export interface CompletionNode {
  /** The words that lead to it: `mc-proxy ctl routes`. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  /** Its own, and those of the commands that it is below. */
  readonly options: readonly CompletionOption[];
  /** By position: what there is to choose from; nothing where any text goes, or the names of files. */
  readonly arguments: readonly (readonly string[] | "file")[];
}

/** An option. */
export interface CompletionOption {
  /** `-c` and `--config`, or the latter alone. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What follows it: nothing, any text, a file, or one of these. */
  readonly value: "none" | "text" | "file" | readonly string[];
}

/** A program's commands, each behind the one that it is below; hidden ones are left out. */
export function completionTree(program: Command): readonly CompletionNode[] {
  return nodesOf(program, program.name());
}

function nodesOf(command: Command, path: string): CompletionNode[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  const names = below.map((each) => each.name());
  const node: CompletionNode = {
    path,
    commands: below.map((each) => ({ name: each.name(), description: each.description() })),
    options: [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)].map(optionOf),
    arguments: command.registeredArguments.map((each) => each.name() === "FILE" ? "file" : each.argChoices ?? []),
  };
  return [
    node,
    ...below.flatMap((each) => {
      // Commander makes this one by itself: it takes the name of any of the others.
      if (each.name() !== "help") return nodesOf(each, `${path} ${each.name()}`);
      const others = names.filter((name) => name !== "help");
      return [{ path: `${path} help`, commands: [], options: [], arguments: [others] }];
    }),
  ];
}

function optionOf(option: Option): CompletionOption {
  const { short, long, description, required, argChoices, flags } = option;
  const value = argChoices ?? (!required ? "none" : /<(file|socket)>/.test(flags) ? "file" : "text");
  return { flags: [short, long].filter((flag) => flag !== undefined), description, value };
}

/** The options of all nodes whose value is of this kind; an option means the same wherever it is. */
export function flagsOf(
  nodes: readonly CompletionNode[],
  kind: (value: CompletionOption["value"]) => boolean,
): string[] {
  const found = nodes.flatMap(({ options }) => options).filter(({ value }) => kind(value)).flatMap(({ flags }) =>
    flags
  );
  return [...new Set(found)];
}

/** Each option whose value is one of a few, and these. */
export function choicesOf(nodes: readonly CompletionNode[]): (readonly [flag: string, choices: readonly string[]])[] {
  const found = new Map<string, readonly string[]>();
  for (const { flags, value } of nodes.flatMap(({ options }) => options)) {
    if (typeof value !== "string") { for (const flag of flags) found.set(flag, value); }
  }
  return [...found];
}

/** Each argument that is one of a few, by the path and the number of arguments before it. */
export function argumentsOf(
  nodes: readonly CompletionNode[],
): (readonly [path: string, index: number, choices: readonly string[]])[] {
  return nodes.flatMap(({ path, arguments: each }) =>
    each.flatMap((choices, i) => choices === "file" || choices.length === 0 ? [] : [[path, i, choices] as const])
  );
}

/** Each argument that is a file, by the path and the number of arguments before it. */
export function fileArgumentsOf(nodes: readonly CompletionNode[]): (readonly [path: string, index: number])[] {
  return nodes.flatMap(({ path, arguments: each }) =>
    each.flatMap((choices, i) => choices === "file" ? [[path, i] as const] : [])
  );
}
