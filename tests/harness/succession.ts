import { stringify } from "smol-toml";
import { AdminClient } from "../../mod.ts";
import { ADDR } from "./admin.ts";
import { Proxy, type ProxyConfig } from "./proxy.ts";

/** Servers that take over from each other, with one folder, one database and one admin socket. */
export class Succession implements AsyncDisposable {
  readonly folder: string;
  /** The path of the admin socket. */
  readonly socket: string;
  readonly admin: AdminClient;
  readonly file: string;
  #config: ProxyConfig;
  readonly #all: Proxy[] = [];

  private constructor(folder: string, config: ProxyConfig) {
    this.folder = folder;
    this.socket = `${folder}/admin.sock`;
    this.file = `${folder}/mc-proxy.toml`;
    this.admin = new AdminClient(this.socket);
    this.#config = config;
  }

  /** Starts the first one, with one listener and these routes. */
  static async start(
    routes: readonly Readonly<Record<string, unknown>>[],
    config: ProxyConfig = {},
    folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" }),
    environment: Record<string, string> = {},
  ): Promise<Succession> {
    const succession = new Succession(folder, {
      database: { path: "mc-proxy.db" },
      log: { format: "json" },
      listeners: [{ addr: ADDR, routes }],
      grpc: { addr: `${folder}/admin.sock` },
      ...config,
    });
    await succession.run([], {}, environment).event("ready");
    return succession;
  }

  /** The last one that was started. */
  get current(): Proxy {
    const proxy = this.#all.at(-1);
    if (proxy === undefined) throw new Error("none was started");
    return proxy;
  }

  /** Starts another one on the same file, which says so much otherwise from now on. */
  run(options: readonly string[], change: ProxyConfig = {}, environment: Record<string, string> = {}): Proxy {
    this.#config = { ...this.#config, ...change };
    Deno.writeTextFileSync(this.file, stringify(this.#config));
    const proxy = Proxy.run(["server", "-c", this.file, ...options], { folder: this.folder, environment });
    this.#all.push(proxy);
    return proxy;
  }

  /** Has another one take over, and waits until it has; returns the one before. */
  async takeOver(
    { options = [], change = {}, environment = {} }: {
      readonly options?: readonly string[];
      readonly change?: ProxyConfig;
      readonly environment?: Record<string, string>;
    } = {},
  ): Promise<Proxy> {
    const before = this.current;
    const proxy = this.run(["--takeover", ...options], change, environment);
    await proxy.event("took_over", { from_pid: before.pid });
    await proxy.event("ready");
    return before;
  }

  /** Ends all that run, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.admin.close();
    await Promise.all(this.#all.map((proxy) => proxy.kill()));
    Deno.removeSync(this.folder, { recursive: true });
  }
}
