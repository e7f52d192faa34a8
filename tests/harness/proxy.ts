import assert from "node:assert/strict";
import { stringify } from "smol-toml";
import { type ProgramCommand, programCommand } from "../../scripts/program.ts";
import { Lines } from "./lines.ts";
import { breachOf } from "./log_schema.ts";
import { isInstalled } from "./tools.ts";

/** A line of the log. */
export interface LogEvent {
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

/** What a test configures; it becomes the TOML file as it is. */
export interface ProxyConfig {
  readonly listeners?: readonly Readonly<Record<string, unknown>>[];
  readonly [section: string]: unknown;
}

/** How a test starts the program. */
export interface ProxyOptions {
  /** Where its configuration and database are; a new one by default. */
  readonly folder?: string;
  /** Variables beside those of the test's own process. */
  readonly environment?: Record<string, string>;
  /** A command that runs the program, which is handed to it as its last arguments. */
  readonly wrapper?: readonly [executable: string, ...args: string[]];
  /** The program, where it is not the one that all others test. */
  readonly command?: ProgramCommand;
}

/** What a command that ends by itself left. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program with these arguments to its end. */
export async function runProgram(
  arguments_: readonly string[],
  { environment = {} }: { readonly environment?: Record<string, string> } = {},
): Promise<CommandResult> {
  const { executable, args } = programCommand();
  const command = new Deno.Command(executable, { args: [...args, ...arguments_], env: environment, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The engines that run on this platform. */
export const ENGINES: readonly ("epoll" | "portable")[] = Deno.build.os === "linux"
  ? ["epoll", "portable"]
  : ["portable"];

let engine: string | undefined;

/**
 * Defines a test of the data plane for each engine: what a client sees is the same with every one.
 *
 * @param needs Programs of the system's; where one is missing, the test is ignored, and its name says for want of what.
 */
export function testEachEngine(
  name: string,
  test: (engine: "epoll" | "portable") => Promise<void>,
  needs: readonly string[] = [],
): void {
  const missing = needs.filter((program) => !isInstalled(program));
  const note = missing.length === 0 ? "" : `, needs ${missing.join(" and ")}`;
  for (const each of ENGINES) {
    Deno.test({
      name: `${name} (${each}${note})`,
      ignore: missing.length > 0,
      async fn() {
        engine = each;
        try {
          await test(each);
        } finally {
          engine = undefined;
        }
      },
    });
  }
}

/** The program, started as a process on free ports, with its own folder. */
export class Proxy implements AsyncDisposable {
  readonly folder: string;
  readonly pid: number;
  readonly log: Lines<LogEvent>;
  readonly stdout: Lines<string>;
  readonly #process: Deno.ChildProcess;
  /** Lines that are not what docs/LOG.md promises. */
  readonly #breaches: string[] = [];

  private constructor(folder: string, process: Deno.ChildProcess) {
    this.folder = folder;
    this.pid = process.pid;
    this.log = new Lines(process.stderr, (line) => this.#parseEvent(line));
    this.stdout = new Lines(process.stdout, (line) => line);
    this.#process = process;
  }

  /**
   * Starts the program and waits until it listens.
   *
   * @throws {Error} With what it printed, if it ends before.
   */
  static async start(config: ProxyConfig, options: ProxyOptions = {}): Promise<Proxy> {
    const proxy = Proxy.spawn(config, options);
    await proxy.event("ready");
    return proxy;
  }

  /** Starts the program and waits for nothing. */
  static spawn(config: ProxyConfig, options: ProxyOptions = {}): Proxy {
    const folder = options.folder ?? Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const file = `${folder}/mc-proxy.toml`;
    const defaults = { database: { path: "mc-proxy.db" }, log: { format: "json" } };
    Deno.writeTextFileSync(file, stringify({ ...defaults, ...config }));
    return Proxy.run(["server", "-c", file], { ...options, folder });
  }

  /** Starts the program with these arguments; its folder is removed in the end. */
  static run(arguments_: readonly string[], options: ProxyOptions & { readonly folder: string }): Proxy {
    const { executable, args } = options.command ?? programCommand();
    const [first, ...rest] = [...options.wrapper ?? [], executable, ...args, ...arguments_];
    const command = new Deno.Command(first ?? executable, {
      args: rest,
      env: { ...engine === undefined ? {} : { MCPROXY_PROXY_ENGINE: engine }, ...options.environment },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    return new Proxy(options.folder, command.spawn());
  }

  /** The address that listener number `index` is bound to. */
  address(index = 0): Deno.NetAddr {
    const addr = String(this.log.seen.filter(({ event }) => event === "listening")[index]?.["addr"]);
    const colon = addr.lastIndexOf(":");
    const hostname = addr.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
    return {
      transport: "tcp",
      hostname: hostname === "::" ? "127.0.0.1" : hostname,
      port: Number(addr.slice(colon + 1)),
    };
  }

  /** The first event of that name, past or future, whose fields are those of `where`. */
  event(name: string, where: Readonly<Record<string, unknown>> = {}): Promise<LogEvent> {
    return this.log.find((line) => matches(line, { event: name, ...where }));
  }

  /** The line of the connection that came from `client`'s own address. */
  end(client: { readonly localAddr: Deno.Addr }): Promise<LogEvent> {
    const { hostname, port } = client.localAddr as Deno.NetAddr;
    return this.event("connection", {
      client: hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`,
    });
  }

  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Resolves when the process is over and all its output read. */
  async exit(): Promise<Deno.CommandStatus> {
    const status = await this.#process.status;
    await Promise.all([this.log.ended, this.stdout.ended]);
    assert.deepEqual(this.#breaches, []);
    return status;
  }

  /** Lines that are not JSON are those of a start that failed, or the last one of a program that was killed. */
  #parseEvent(line: string): LogEvent {
    if (!line.startsWith("{") || !line.endsWith("}")) return { level: "error", event: "stderr", line };
    const event = JSON.parse(line);
    const breach = breachOf(event);
    if (breach !== undefined) this.#breaches.push(`${breach}: ${line}`);
    return event;
  }

  /** Ends the process and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.folder, { recursive: true });
  }

  /** Ends the process at once, and leaves its folder. */
  async kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It is over already.
    }
    await this.exit();
  }
}

function matches(line: LogEvent, where: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(where).every(([key, value]) => line[key] === value);
}
