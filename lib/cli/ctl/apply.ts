/**
 * `ctl diff` and `ctl apply`: what a configuration file says, and what the server has stored.
 *
 * @module
 */

import type { Command } from "commander";
import type { AdminError, Applied } from "../../admin/client.ts";
import type { ApplyOptions } from "../../control/administration.ts";
import { ConfigError, loadConfig, type LoadedConfig } from "../../control/config.ts";
import type { ConfigPlaces } from "../../control/config_places.ts";
import type { ConfigProblem } from "../../control/config_types.ts";
import { Failure } from "../failure.ts";
import { type Answer, type CtlContext, define, type Definition, type Run } from "./command.ts";
import { formatPlan, isEmpty, pendingLines, planJson, summary } from "./plan_text.ts";

/** The exit codes of `diff` that are not 0, as diff(1) has them. */
const DIFFERENT = 1;
const TROUBLE = 2;

/** Adds `diff`. */
export function addDiff(parent: Command, context: CtlContext): void {
  const command = parent.command("diff")
    .description("Print how a file differs from what the server has stored; exit 1 where it does, 2 where it fails.");
  defineOfFile(command, context, {
    examples: ["diff /srv/mc-proxy/config.toml"],
    failureCode: TROUBLE,
    answer: async ({ ask }) => {
      const applied = await ask({ prune: true, dryRun: true });
      const isEqual = isEmpty(applied.plan);
      return {
        text: isEqual ? "no differences\n" : `${formatPlan(applied.plan)}${summary(applied, false)}\n`,
        json: { result: isEqual ? "equal" : "different", ...planJson(applied) },
        exitCode: isEqual ? 0 : DIFFERENT,
      };
    },
  });
}

/** Adds `apply`. */
export function addApply(parent: Command, context: CtlContext): void {
  const command = parent.command("apply")
    .description("Have the server store and serve what a file says, all of it or nothing.")
    .option("--prune", "remove the listeners, routes and firewall rules that the file lacks")
    .option("--dry-run", "print what would be changed, and change nothing");
  defineOfFile<{ readonly prune?: true; readonly dryRun?: true }>(command, context, {
    examples: [
      "apply /srv/mc-proxy/config.toml",
      "apply --prune --dry-run /srv/mc-proxy/config.toml",
    ],
    answer: async ({ ask, options: { prune = false, dryRun = false } }) => {
      return appliedAnswer(await ask({ prune, dryRun }), dryRun);
    },
  });
}

/** What is printed of a state that was applied, or that would be. */
export function appliedAnswer(applied: Applied, dryRun: boolean): Pick<Answer, "text" | "json"> {
  const result = dryRun ? "planned" : isEmpty(applied.plan) ? "unchanged" : "applied";
  return {
    text: `${formatPlan(applied.plan)}${summary(applied, !dryRun)}\n`,
    json: { result, ...planJson(applied) },
  };
}

interface OfFile<Options> extends Pick<Definition<Options>, "examples" | "failureCode"> {
  answer(run: Run<Options> & { ask(options: ApplyOptions): Promise<Applied> }): Promise<Answer>;
}

/** Defines a command whose argument is a configuration file; its server is that of the file, if no option names another. */
function defineOfFile<Options = unknown>(
  command: Command,
  context: CtlContext,
  { examples, answer, ...rest }: OfFile<Options>,
): void {
  let loaded: LoadedConfig | undefined;
  const load = (file = ""): LoadedConfig => loaded ??= loadConfig(file);
  define<Options>(
    command.argument("<FILE>", "a configuration file; it names the server where no option does"),
    context,
    {
      ...rest,
      examples,
      socket: ([file]) => load(file).config.grpc?.addr,
      run: async (run) => {
        const { config, warnings, places } = load(run.args[0]);
        let said: string[] = [];
        const ask = async (options: ApplyOptions) => {
          const applied = await run.client.apply(config, options);
          said = [...applied.warnings, ...pendingLines(applied)];
          return applied;
        };
        const answered = await answer({ ...run, ask });
        return { ...answered, warnings: warningLines(places, warnings, said) };
      },
      explain: (error, [file = ""]) => explainOfFile(error, file, load(file).places),
    },
  );
}

/** Warnings, with their places in the file: those that were found in it, and those that name a place there. */
export function warningLines(
  places: ConfigPlaces,
  found: readonly ConfigProblem[],
  said: readonly string[],
): readonly string[] {
  const own = found.map((problem) => places.describe(problem));
  const located = said.map((line) => {
    const [, path, message] = /^(listeners\[\S*?): (.*)$/s.exec(line) ?? [];
    return path === undefined || message === undefined ? line : places.describe({ path, message });
  });
  return [...new Set([...own, ...located])];
}

/** What the server has against a state, told as `check` tells what is wrong with a file. */
function explainOfFile(error: AdminError, file: string, places: ConfigPlaces): Error | undefined {
  if (error.code === "RESOURCE_EXHAUSTED") {
    return new Failure([`${file} is more than a request may hold: 32 MiB, a hundred thousand routes and more`]);
  }
  if (error.code !== "INVALID_ARGUMENT" || error.violations.length === 0) return undefined;
  const problems: ConfigProblem[] = error.violations.map(({ field, description }) => ({
    path: field,
    message: description,
  }));
  const more = /; (and \d+ more)$/.exec(error.message)?.[1];
  return new ConfigError(file, [...problems, ...more === undefined ? [] : [{ path: "", message: more }]], places);
}
