import { programCommand } from "../../scripts/program.ts";

/** Whether `script` of util-linux is there, which runs a program on a terminal of its own. */
export const HAS_TERMINALS: boolean = (() => {
  try {
    const { stdout } = new Deno.Command("script", { args: ["--version"], stderr: "null" }).outputSync();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
})();

/** The program on a terminal. */
export class Terminal implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  /** All that it has printed, line ends as a terminal gets them. */
  text = "";

  /**
   * Runs the program with these arguments on a terminal of `columns` columns and 24 rows.
   *
   * @param after What the shell runs there when the program has ended; the exit code is then that of it.
   */
  constructor(
    arguments_: readonly string[],
    columns: number,
    environment: Record<string, string> = {},
    after?: string,
  ) {
    const { executable, args } = programCommand();
    const command = [executable, ...args, ...arguments_].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    this.#process = new Deno.Command("script", {
      args: [
        "-qefc",
        `stty cols ${columns} rows 24 && ${after === undefined ? `exec ${command}` : `{ ${command}; ${after}; }`}`,
        "/dev/null",
      ],
      env: { TERM: "xterm", NO_COLOR: "", ...environment },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    const decoder: TransformStream<Uint8Array, string> = new TextDecoderStream() as TransformStream<Uint8Array, string>;
    this.#reader = this.#process.stdout.pipeThrough(decoder).getReader();
  }

  /** Waits until it has printed this `count` times. */
  async shows(text: string, count = 1): Promise<void> {
    while (this.text.split(text).length <= count) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`it ended without ${text}:\n${this.text}`);
      this.text += value;
    }
  }

  /** Presses a key: `\x03` is Ctrl-C. */
  async press(key: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(key));
  }

  /** Sends the program a signal: the last of the processes that `script` began. */
  signal(signal: Deno.Signal): void {
    Deno.kill(this.#pid(), signal);
  }

  /** Changes its size. */
  async resize(columns: number, rows: number): Promise<void> {
    const terminal = Deno.readLinkSync(`/proc/${this.#pid()}/fd/1`);
    await new Deno.Command("stty", { args: ["-F", terminal, "cols", `${columns}`, "rows", `${rows}`] }).output();
  }

  #pid(): number {
    let pid = this.#process.pid;
    for (let child = childOf(pid); child !== undefined; child = childOf(pid)) pid = child;
    return pid;
  }

  /** Its exit code, once it has ended and all that it printed is in `text`. */
  async exit(): Promise<number> {
    for (let chunk = await this.#reader.read(); !chunk.done; chunk = await this.#reader.read()) {
      this.text += chunk.value;
    }
    return (await this.#process.status).code;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill();
    } catch {
      // It is over already.
    }
    await this.#writer.abort().catch(() => {}); // its other end may be closed
    await this.#reader.cancel();
    await this.#process.status;
  }
}

function childOf(pid: number): number | undefined {
  const [child] = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ");
  return child ? Number(child) : undefined;
}
