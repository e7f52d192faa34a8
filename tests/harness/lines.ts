/** Lines of a program's output, kept, and awaited by those who look for one. */
export class Lines<T> {
  /** All so far. */
  readonly seen: T[] = [];
  readonly ended: Promise<void>;
  #isOver = false;
  #changed = Promise.withResolvers<void>();

  constructor(stream: ReadableStream<Uint8Array>, parse: (line: string) => T) {
    this.ended = this.#read(stream, parse);
  }

  /** The first line, past or future, that `matches`; rejects when the output ends without one. */
  async find<S extends T>(matches: (line: T) => line is S): Promise<S>;
  async find(matches: (line: T) => boolean): Promise<T>;
  async find(matches: (line: T) => boolean): Promise<T> {
    for (let i = 0;; i++) {
      while (i >= this.seen.length) {
        if (this.#isOver) throw new Error(`no such line in the output:\n${this.seen.map(show).join("\n")}`);
        await this.#changed.promise;
      }
      const line = this.seen[i];
      if (line !== undefined && matches(line)) return line;
    }
  }

  /** Waits for `count` lines that match, past ones included. */
  async findAll(count: number, matches: (line: T) => boolean): Promise<T[]> {
    const found: T[] = [];
    await this.find((line) => {
      if (matches(line)) found.push(line);
      return found.length === count;
    });
    return found;
  }

  async #read(stream: ReadableStream<Uint8Array>, parse: (line: string) => T): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.seen.push(parse(line));
      this.#wake();
    }
    if (rest !== "") this.seen.push(parse(rest));
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function show(line: unknown): string {
  return typeof line === "string" ? line : JSON.stringify(line);
}
