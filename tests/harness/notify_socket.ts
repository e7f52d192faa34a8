import { fileURLToPath } from "node:url";
import { Lines } from "./lines.ts";

/** What a program says to its service manager: sd_notify(3). */
export class NotifySocket implements AsyncDisposable {
  readonly path: string;
  /** Each datagram, as its assignments. */
  readonly datagrams: Lines<Readonly<Record<string, string>>>;
  readonly #process: Deno.ChildProcess;

  private constructor(path: string) {
    this.path = path;
    // A process of its own: Unix datagrams are an unstable part of Deno, which the tests are run without.
    const receiver = fileURLToPath(new URL("notify_receiver.ts", import.meta.url));
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--unstable-net",
        "--allow-net",
        "--allow-read",
        "--allow-write",
        receiver,
        path,
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.datagrams = new Lines(this.#process.stdout, JSON.parse);
  }

  /** Listens at a path. */
  static async listen(path: string): Promise<NotifySocket> {
    const socket = new NotifySocket(path);
    await socket.find("LISTENING");
    return socket;
  }

  /** The first datagram, past or future, with this assignment. */
  find(name: string): Promise<Readonly<Record<string, string>>> {
    return this.datagrams.find((datagram) => name in datagram);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.datagrams.ended;
  }
}
