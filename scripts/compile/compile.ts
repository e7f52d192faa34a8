/**
 * `deno task compile`: makes the program one file.
 *
 * @module
 */

import { parseArgs } from "node:util";
import configuration from "../../deno.json" with { type: "json" };
import { COMMIT_FILE } from "../../lib/cli/commit.ts";
import { ROOT } from "../program.ts";
import { type Base, BaseError, findBase, TARGETS } from "./base.ts";
import { compileArguments, leftOutFolders, WORKER_MODULE } from "./command.ts";

const USAGE = `Usage: deno task compile [--target TARGET] [--output FILE] [--twice] [--find-base]

Makes the program one file, out/mc-proxy.

  --target TARGET  ${TARGETS.join(" or ")}
  --output FILE    the file
  --twice          compile a second time, and compare
  --find-base      only say where the base would come from; exit code 1 where there is none

DENORT_BIN names the base, MC_PROXY_COMMIT the commit where this is no clone.
`;

const DOWNLOAD_ANSWER_MS = 10_000;
const STARTS = 5;

/** A program that was run failed; what it said is the message. */
class CommandError extends Error {
  override readonly name = "CommandError";
}

const { target, output, twice, onlyBase } = readArguments();
try {
  const deno = JSON.parse(await runDeno(["info", "--json"]));
  const base = await findBase({
    target,
    version: Deno.version.deno,
    denoDir: deno.denoDir,
    named: Deno.env.get("DENORT_BIN"),
    canDownload,
  });
  console.log(`base      ${describe(base)}`);
  if (!onlyBase) await compile(base, deno.npmCache);
} catch (error) {
  if (!(error instanceof BaseError || error instanceof CommandError)) throw error;
  console.error(`compile: ${error.message}`);
  Deno.exit(1);
}

function readArguments() {
  const own = TARGETS.find((each) => each === Deno.build.target);
  try {
    const { values } = parseArgs({
      args: [...Deno.args],
      options: {
        target: { type: "string", default: own ?? TARGETS[0] ?? "" },
        output: { type: "string" },
        twice: { type: "boolean", default: false },
        "find-base": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      console.log(USAGE.trimEnd());
      Deno.exit(0);
    }
    const target = TARGETS.find((each) => each === values.target);
    if (target === undefined) throw new TypeError(`--target: ${values.target} is not ${TARGETS.join(" or ")}`);
    const output = values.output ?? `${ROOT}out/mc-proxy${target === own ? "" : `-${target}`}`;
    return { target, output, twice: values.twice, onlyBase: values["find-base"] };
  } catch (error) {
    console.error(`compile: ${error instanceof Error ? error.message : error}\n\n${USAGE.trimEnd()}`);
    Deno.exit(2);
  }
}

async function compile(base: Base, npmCache: string): Promise<void> {
  // So that its packages are there before some of them are left out.
  await runDeno(["cache", "--frozen", "main.ts", WORKER_MODULE]);
  await Deno.mkdir(`${ROOT}out`, { recursive: true });
  const commit = await describeCommit();
  await Deno.writeTextFile(ROOT + COMMIT_FILE, `${commit}\n`);
  const task = configuration.tasks["mc-proxy"].command;
  const leftOut = leftOutFolders(npmCache);
  const make = async (to: string) => {
    await runDeno(compileArguments({ task, target, output: to, files: [COMMIT_FILE], leftOut }), base);
    return await Deno.readFile(to);
  };
  const binary = await make(output);
  console.log(`file      ${output} (${(binary.length / 2 ** 20).toFixed(1)} MiB)`);
  console.log(`version   ${configuration.version}, commit ${commit}, Deno ${Deno.version.deno}, ${target}`);
  if (twice) await compare(binary, make);
  if (target === Deno.build.target) await measureStart(output);
}

/** Compiles once more, beside the first, and says where the two differ. */
async function compare(first: Uint8Array, make: (to: string) => Promise<Uint8Array>): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: `${ROOT}out` });
  try {
    const second = await make(`${folder}/${output.split("/").at(-1)}`);
    const differing = first.reduce((count, octet, index) => octet === second[index] ? count : count + 1, 0);
    const same = differing === 0 && first.length === second.length;
    console.log(`twice     ${same ? "the same, octet for octet" : `${differing} octets differ`}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** How long the binary takes to start and print its version: the median of a few times. */
async function measureStart(binary: string): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const start = performance.now();
    const printed = await runCommand(binary, ["version"]);
    times.push(performance.now() - start);
    if (!printed.startsWith("mc-proxy ")) throw new CommandError(`${binary} does not run: is the base a denort?`);
  }
  const median = times.sort((a, b) => a - b)[STARTS >> 1] ?? 0;
  console.log(`start     ${median.toFixed(0)} ms until "mc-proxy version" is done`);
}

/** The commit, with `-dirty` where files are changed, or what `MC_PROXY_COMMIT` says. */
async function describeCommit(): Promise<string> {
  const named = Deno.env.get("MC_PROXY_COMMIT");
  if (named) return named;
  try {
    const git = ["--no-optional-locks", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    return (await runCommand("git", git)).trim();
  } catch (error) {
    if (!(error instanceof CommandError) && !(error instanceof Deno.errors.NotFound)) throw error;
    return "unknown"; // an archive of the sources
  }
}

function describe(base: Base): string {
  switch (base.kind) {
    case "named":
      return `${base.path} (DENORT_BIN)`;
    case "cached":
      return base.path;
    case "download":
      return `${base.url}, which is downloaded once`;
  }
}

async function canDownload(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(DOWNLOAD_ANSWER_MS) });
    return response.ok;
  } catch {
    return false; // no network, or none that leads there
  }
}

/** Runs this Deno in the repository; what it printed. */
function runDeno(args: readonly string[], base?: Base): Promise<string> {
  const env: Record<string, string> = base?.kind === "named" ? { DENORT_BIN: base.path } : {};
  return runCommand(Deno.execPath(), ["--quiet", ...args], { cwd: ROOT, env });
}

async function runCommand(command: string, args: readonly string[], options: Deno.CommandOptions = {}) {
  const { code, stdout, stderr } = await new Deno.Command(command, { ...options, args: [...args], stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new CommandError(`${command} ${args[0] ?? ""} failed:\n${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout);
}
