/**
 * `mc-proxy completions`: what a shell needs to complete command lines of mc-proxy.
 *
 * The scripts hold all there is to complete, so that no key pressed starts the program.
 *
 * @module
 */

import { Argument, type Command } from "commander";
import type { Output } from "../output.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { completionTree } from "./tree.ts";
import { zshScript } from "./zsh.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** Adds `completions`, for a shell that is to complete `parent` and what the program is under other names. */
export function addCompletions(parent: Command, output: Output, others: () => readonly Command[]): void {
  parent.command("completions")
    .description("Print a completion script for a shell.")
    .addArgument(new Argument("<SHELL>", "the shell").choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  source <(mc-proxy completions bash)",
        "  mc-proxy completions bash > /etc/bash_completion.d/mc-proxy",
        "  mc-proxy completions zsh > /usr/local/share/zsh/site-functions/_mc_proxy",
        "  mc-proxy completions fish > ~/.config/fish/completions/mc-proxy.fish",
      ].join("\n"),
    )
    .action((shell: keyof typeof SCRIPTS) => output.out(completionScript(shell, [parent, ...others()])));
}

/** The script that completes these programs in a shell. */
export function completionScript(shell: keyof typeof SCRIPTS, programs: readonly Command[]): string {
  return SCRIPTS[shell](programs.map((program) => program.name()), programs.flatMap(completionTree));
}
