/**
 * Runs a command that must not outlive whoever started it, even where that one is killed without warning.
 *
 *     deno run --allow-run guard.ts COMMAND [ARGUMENT…]
 *
 * Standard input is the life-line: what comes is ignored, but its end, which the kernel brings about when the starter
 * dies, kills the command. SIGTERM is passed on. The exit code is the command's.
 *
 * @module
 */

if (import.meta.main) {
  const [command, ...args] = Deno.args;
  if (command === undefined) throw new TypeError("no command given");
  Deno.exit(await guard(command, args));
}

async function guard(command: string, args: readonly string[]): Promise<number> {
  let child: Deno.ChildProcess | undefined;
  // Listens before there is anything to leave behind: until then SIGTERM ends this process alone.
  Deno.addSignalListener("SIGTERM", () => child?.kill("SIGTERM"));
  child = new Deno.Command(command, { args: [...args], stdin: "null" }).spawn();
  endOfInput().then(() => child?.kill("SIGKILL"));
  const { code } = await child.status;
  child = undefined;
  return code;
}

async function endOfInput(): Promise<void> {
  const buffer = new Uint8Array(64);
  while (await Deno.stdin.read(buffer) !== null);
}
