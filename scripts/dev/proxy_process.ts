/**
 * The proxy as a child process that is never left behind.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { programCommand, ROOT } from "../program.ts";

const GUARD = fileURLToPath(new URL("guard.ts", import.meta.url));

/** How long the proxy may take from SIGTERM to its end, in milliseconds; beyond that it is killed. */
const STOP_TIMEOUT = 10_000;
// 2026-01-31T09:30:00.000Z info listening addr=127.0.0.1:8443, or the same as JSON where the environment asks for that.
const LISTENING = /\blistening\b.*?\baddr"?[=:]"?[^\s"]*:(\d+)\b.*\n/;

/** A proxy that was started. */
export interface ProxyProcess {
  /**
   * Resolves once the proxy has ended and its log has been passed on: with its exit code, and whether it said anything
   * at all.
   */
  readonly ended: Promise<{ readonly code: number; readonly spoke: boolean }>;
  /** Has it drain and end. May be called again, at any time. */
  stop(): void;
}

/**
 * Starts the proxy with `configFile`. Its log goes on to standard error.
 *
 * It runs under `guard.ts`, in a session of its own: a Ctrl-C at the terminal reaches its starter alone, so the proxy is
 * told to stop once, not twice (a second signal would cut off the connections that it drains); and it ends where its
 * starter is killed.
 *
 * @param onListening Called once, with the port, when the log says that the listener is open.
 */
export function startProxy(configFile: string, onListening: (port: number) => void): ProxyProcess {
  const { executable, args } = programCommand();
  const guard = ["run", "--quiet", "--no-prompt", "--allow-run", GUARD];
  const command = new Deno.Command(Deno.execPath(), {
    args: [...guard, executable, ...args, "server", "-c", configFile],
    cwd: ROOT,
    detached: true,
    stdin: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  let running = true;
  let timeout: ReturnType<typeof setTimeout> | undefined;
  const status = child.status.finally(() => {
    running = false;
    clearTimeout(timeout);
  });
  const ended = async () => {
    const spoke = await passOn(child.stderr, onListening);
    return { code: (await status).code, spoke };
  };
  return {
    ended: ended(),
    stop: () => {
      if (!running || timeout !== undefined) return;
      child.kill("SIGTERM");
      timeout = setTimeout(() => child.stdin.close(), STOP_TIMEOUT);
    },
  };
}

/** Copies a log to standard error, watches for the line that tells of the listener, and says whether there was a byte. */
async function passOn(log: ReadableStream<Uint8Array>, onListening: (port: number) => void): Promise<boolean> {
  const decoder = new TextDecoder();
  let unmatched: string | undefined = ""; // the log so far, until the line is found
  let spoke = false;
  for await (const chunk of log) {
    spoke = true;
    for (let written = 0; written < chunk.length;) written += await Deno.stderr.write(chunk.subarray(written));
    if (unmatched === undefined) continue;
    unmatched += decoder.decode(chunk, { stream: true });
    const port = LISTENING.exec(unmatched)?.[1];
    if (port === undefined) continue;
    unmatched = undefined;
    onListening(Number(port));
  }
  return spoke;
}
