/**
 * The stand on which proxies are measured: a backend, proxies on free ports, and the client that loads them.
 *
 * @module
 */

import { createAuthority, type KeyPair } from "../dev/certificates.ts";
import type { BackendPorts } from "./backend.ts";
import type { HttpBackendPorts } from "./http_backend.ts";
import type { HttpShape } from "./http_proxies.ts";
import { HTTP_HOST } from "./http_protocol.ts";
import type { Load, Measurement } from "./measurement.ts";
import { type Child, Processes, scriptCommand } from "./processes.ts";
import { clientHello, ECHO_HOST } from "./protocol.ts";
import type { Proxy, ProxySetup } from "./proxies.ts";

/** How long a proxy may take to start: 100,000 routes are read from a file and stored. */
const START_TIMEOUT_MS = 120_000;
/** How long a client may take beyond its measured time. */
const CLIENT_TIMEOUT_MS = 60_000;
const RETRY_MS = 2;

/** What of a {@linkcode ProxySetup} is a row's to choose. */
export type ProxySize = Pick<ProxySetup, "hosts" | "prefixes" | "buffer"> & {
  /** Of an HTTP row. */
  readonly http?: HttpShape;
};

/** A proxy that runs and listens. */
export interface RunningProxy extends AsyncDisposable {
  readonly child: Child;
  readonly port: number;
  readonly hosts: number;
  /** The process of its backend. */
  readonly backendPid: number;
}

/** What is to be put on a proxy; the rest of {@linkcode Load} is known from the proxy. */
export type LoadShape = Pick<Load, "kind" | "connections" | "streams" | "warmUpMs" | "measureMs">;

/** A backend, and a folder for what the proxies need; all is gone when it is disposed of. */
export class Stand implements AsyncDisposable {
  readonly #processes = new Processes();
  readonly #folder = Deno.makeTempDirSync({ prefix: "mc-proxy-bench-" });
  readonly #backend = this.#processes.start("the backend", scriptCommand("backend.ts", ["--allow-ffi"]));
  #httpBackend: Child | undefined;
  #keyPair: Promise<KeyPair> | undefined;
  #stopped: Promise<void> | undefined;

  /** Gives a proxy a folder and a free port, and starts it there. */
  async startProxy(proxy: Proxy, size: ProxySize): Promise<RunningProxy> {
    const { start } = await this.prepareProxy(proxy, size);
    return await start();
  }

  /** Writes what a proxy needs; it can then be started there, again and again, one at a time. */
  async prepareProxy(proxy: Proxy, size: ProxySize): Promise<{ start(): Promise<RunningProxy> }> {
    const backends: BackendPorts = JSON.parse(await this.#backend.line);
    const folder = await Deno.makeTempDir({ dir: this.#folder });
    const port = freePort();
    const { http } = size;
    const command = http === undefined
      ? await proxy.prepare({ port, ...size, backends, folder })
      : await proxy.prepareHttp({ port, folder, ...http, ...await this.#httpStand() });
    const { pid: backendPid } = http === undefined ? this.#backend : this.#startHttpBackend();
    return {
      start: async () => {
        const child = this.#processes.start(proxy.name, command);
        await Promise.race([firstByte(port), child.ended()]);
        return {
          child,
          port,
          hosts: size.hosts,
          backendPid,
          [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
        };
      },
    };
  }

  /**
   * Puts a load on a proxy.
   *
   * @throws {Error} If the client or the proxy fails, with what it said.
   */
  async measure({ child, port, hosts, backendPid }: RunningProxy, shape: LoadShape): Promise<Measurement> {
    const load: Load = { ...shape, port, hosts, pids: child.pids, backendPid };
    await using client = this.#processes.start(
      "the client",
      scriptCommand("client.ts", ["--allow-all"], JSON.stringify(load)),
    );
    const timeout = setTimeout(
      () => client[Symbol.asyncDispose](),
      load.warmUpMs + load.measureMs + CLIENT_TIMEOUT_MS,
    );
    try {
      await Promise.race([client.succeeded(), child.ended()]);
    } finally {
      clearTimeout(timeout);
    }
    return JSON.parse(await client.line);
  }

  /** What all proxies of the HTTP rows are given: backends, and one certificate for all. */
  async #httpStand(): Promise<{ backends: HttpBackendPorts; keyPair: KeyPair }> {
    this.#keyPair ??= createAuthority("mc-proxy benchmark").then((authority) =>
      authority.issue({ hostnames: [HTTP_HOST] })
    );
    return { backends: JSON.parse(await this.#startHttpBackend().line), keyPair: await this.#keyPair };
  }

  #startHttpBackend(): Child {
    return this.#httpBackend ??= this.#processes.start(
      "the HTTP backend",
      scriptCommand("http_backend.ts", ["--allow-ffi"]),
    );
  }

  /** Stops everything, and removes the folder; may be called again, and resolves when that is done. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await this.#processes[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Says hello, again until it is heard, and waits for the first byte of the backend. */
async function firstByte(port: number): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    try {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      await conn.write(clientHello(ECHO_HOST));
      if (await conn.read(new Uint8Array(1)) !== null) return;
    } catch (error) {
      const refused = error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset;
      if (!refused) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error(`nothing was served on port ${port} for ${START_TIMEOUT_MS / 1000} s`);
}
