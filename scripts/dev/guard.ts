/**
 * Runs a command that must not outlive whoever started it, even where that one is killed without warning.
 *
 *     deno run --allow-run guard.ts COMMAND [ARGUMENT…]
 *
 * Standard input is the life-line: nothing is read from it, but its end, which the kernel brings about when the starter
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
  const child = new Deno.Command(command, { args: [...args], stdin: "null" }).spawn();
  let running = true;
  const kill = (signal: Deno.Signal) => {
    if (running) child.kill(signal);
  };
  Deno.addSignalListener("SIGTERM", () => kill("SIGTERM"));
  endOfInput().then(() => kill("SIGKILL"));
  const { code } = await child.status;
  running = false;
  return code;
}

async function endOfInput(): Promise<void> {
  const buffer = new Uint8Array(64);
  while (await Deno.stdin.read(buffer) !== null);
}
