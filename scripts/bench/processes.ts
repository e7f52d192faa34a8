/**
 * The processes of a benchmark, none of which outlives it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { processTree } from "./proc.ts";

/** How long a process may take from SIGTERM to its end, in milliseconds; beyond that it is killed. */
const STOP_TIMEOUT_MS = 3_000;
/** How much of what a process wrote last is kept for the message of its failure, in characters. */
const KEPT_OUTPUT = 2_000;
const STANDARD_ERROR = 2;

/** How a process is started. */
export interface ProcessCommand {
  readonly executable: string;
  readonly args: readonly string[];
  /** Variables beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A file that is appended to in the place of standard output (1) or standard error (2). */
  readonly output?: { readonly descriptor: number; readonly file: string };
}

/** A process that was started. */
export class Child implements AsyncDisposable {
  readonly pid: number;
  readonly #name: string;
  readonly #process: Deno.ChildProcess;
  readonly #running: Set<Child>;
  readonly #output: Promise<void>;
  readonly #line = Promise.withResolvers<string>();
  readonly #errorFile: string | undefined;
  #errors = "";
  #stopped: Promise<void> | undefined;

  constructor(name: string, command: ProcessCommand, running: Set<Child>) {
    const { environment = {} } = command;
    // The kernel sends SIGTERM where this process dies without having stopped them: setpriv(1), of util-linux.
    this.#process = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "TERM", "--", ...commandLine(command)],
      env: { NO_COLOR: "1", ...environment },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#process.pid;
    this.#name = name;
    this.#errorFile = command.output?.descriptor === STANDARD_ERROR ? command.output.file : undefined;
    this.#running = running;
    running.add(this);
    this.#line.promise.catch(() => {}); // not everyone asks for it
    this.#output = this.#read();
  }

  /** The first line of its standard output; rejects with what it said where it ends without one. */
  get line(): Promise<string> {
    return this.#line.promise;
  }

  /** Its process id and those of its children. */
  get pids(): number[] {
    return processTree(this.pid);
  }

  /** Resolves when it has ended; rejects with what it said unless it ended well. */
  async succeeded(): Promise<void> {
    const { success } = await this.#process.status;
    await this.#output;
    if (!success) throw this.#failure();
  }

  /** Rejects with what it said, once it has ended; until then it waits. */
  async ended(): Promise<never> {
    await this.#process.status;
    await this.#output;
    throw this.#failure();
  }

  /** Ends it, and its children with it; may be called again, and resolves when that is done. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    const timeout = setTimeout(() => this.#kill(), STOP_TIMEOUT_MS);
    try {
      this.#process.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
    await this.#process.stdin.close().catch(() => {}); // broken already where it has ended
    await this.#process.status;
    clearTimeout(timeout);
    await this.#output;
    this.#running.delete(this);
  }

  #kill(): void {
    for (const pid of this.pids) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended with its parent
      }
    }
  }

  #failure(): Error {
    return new Error(`${this.#name} ended early: ${this.#errors.trim() || "without a word"}`);
  }

  async #read(): Promise<void> {
    const readErrors = async () => {
      const stream = this.#process.stderr.pipeThrough(new TextDecoderStream());
      for await (const text of stream) this.#errors = (this.#errors + text).slice(-KEPT_OUTPUT);
    };
    const readLine = async () => {
      let all = "";
      for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
        all += text;
        if (all.includes("\n")) this.#line.resolve(all.slice(0, all.indexOf("\n")));
      }
    };
    await Promise.all([readErrors(), readLine()]);
    if (this.#errorFile !== undefined) this.#errors = (await Deno.readTextFile(this.#errorFile)).slice(-KEPT_OUTPUT);
    this.#line.reject(this.#failure());
  }
}

/** A shell opens the file, and makes way for the program. */
function commandLine({ executable, args, output }: ProcessCommand): string[] {
  if (output === undefined) return [executable, ...args];
  return ["sh", "-c", `exec "$@" ${output.descriptor}>>"$0"`, output.file, executable, ...args];
}

/** All processes of a benchmark that run now. */
export class Processes implements AsyncDisposable {
  readonly #running = new Set<Child>();
  #stopped = false;

  /**
   * Starts one.
   *
   * @throws {Error} If they have been stopped.
   */
  start(name: string, command: ProcessCommand): Child {
    if (this.#stopped) throw new Error("stopped");
    return new Child(name, command, this.#running);
  }

  /** Ends all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#running].map((child) => child[Symbol.asyncDispose]()));
  }
}

/** The command that runs a program of this folder. */
export function scriptCommand(
  file: string,
  permissions: readonly string[],
  ...args: readonly string[]
): ProcessCommand {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return { executable: Deno.execPath(), args: ["run", "--quiet", "--no-prompt", ...permissions, path, ...args] };
}
