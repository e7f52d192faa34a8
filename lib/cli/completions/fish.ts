/**
 * Completions for fish.
 *
 * @module
 */

import { argumentsOf, type CompletionNode, type CompletionOption, fileArgumentsOf, flagsOf } from "./tree.ts";

/** A script for fish 3 or later. */
export function fishScript(programs: readonly string[], nodes: readonly CompletionNode[]): string {
  const paths = nodes.map(({ path }) => path).filter((path) => path.includes(" "));
  const lines = nodes.flatMap((node) => linesOf(node));
  return `# fish completion for ${programs.join(" and ")}

set -g __mc_proxy_commands ${paths.map(quote).join(" ")}
set -g __mc_proxy_options ${flagsOf(nodes, (value) => value !== "none").join(" ")}

# Whether the command before the cursor is $argv[1], behind it $argv[2] arguments; any number where that is left out.
function __mc_proxy_at
    set -l at (string split ' ' -- $argv[1])[1]
    set -l count 0
    set -l option ''
    for word in (commandline -opc)[2..]
        if test -n "$option"
            set option ''
        else if contains -- $word $__mc_proxy_options
            set option $word
        else if string match -q -- '-*' $word
            continue
        else if contains -- "$at $word" $__mc_proxy_commands
            set at "$at $word"
        else
            set count (math $count + 1)
        end
    end
    test "$at" = "$argv[1]"; and begin
        test -z "$argv[2]"; or test $count = "$argv[2]"
    end
end

${programs.map((program) => `complete -c ${program} -f`).join("\n")}
${lines.join("\n")}
${argumentsOf(nodes).map(([path, i, choices]) => `${completeAt(path, i)} -a ${quote(choices.join(" "))}`).join("\n")}
${fileArgumentsOf(nodes).map(([path, i]) => `${completeAt(path, i)} -F`).join("\n")}
`;
}

function linesOf({ path, commands, options }: CompletionNode): string[] {
  return [
    ...commands.map(({ name, description }) => `${completeAt(path, 0)} -a ${name} -d ${quote(description)}`),
    ...options.map((option) => `${completeAt(path)} ${optionOf(option)}`),
  ];
}

function completeAt(path: string, count?: number): string {
  const [program] = path.split(" ");
  const condition = `__mc_proxy_at ${quote(path)}${count === undefined ? "" : ` ${count}`}`;
  return `complete -c ${program} -n ${quote(condition)}`;
}

function optionOf({ flags, description, value }: CompletionOption): string {
  const names = flags.map((flag) => flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`);
  const values = value === "none"
    ? []
    : value === "file"
    ? ["-rF"]
    : value === "text"
    ? ["-x"]
    : [`-x -a ${quote(value.join(" "))}`];
  return [...names, ...values, `-d ${quote(description)}`].join(" ");
}

/** In single quotes, fish escapes the quote and the backslash. */
function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}
