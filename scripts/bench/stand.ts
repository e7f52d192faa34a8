/**
 * The stand on which proxies are measured: a backend, proxies on free ports, and the client that loads them.
 *
 * @module
 */

import { createAuthority } from "../dev/certificates.ts";
import type { BackendPorts } from "./backend.ts";
import type { HttpBackendPorts } from "./http_backend.ts";
import { HTTP_HOST } from "./http_protocol.ts";
import type { Load, Measurement } from "./measurement.ts";
import { type Child, Processes, scriptCommand } from "./processes.ts";
import { clientHello, ECHO_HOST } from "./protocol.ts";
import type { Proxy } from "./proxies.ts";
import { type CertificateFiles, type L4Setup, type L7Setup, type L7Shape, writeIn } from "./setup.ts";

/** How long a proxy may take to start: 100,000 routes are read from a file and stored. */
const START_TIMEOUT_MS = 120_000;
/** How long a client may take beyond its measured time. */
const CLIENT_TIMEOUT_MS = 60_000;
const RETRY_MS = 2;
/** How many samples a second perf(1) takes: not a multiple of what else is done so often. */
const PERF_FREQUENCY = 2_999;
/** How many connections a proxy has to take unless a row says otherwise. */
export const CONNECTIONS = 5_000;

/** What of a ProxySetup (setup.ts) is a row's to choose. */
export interface ProxyShape {
  readonly l4?: Pick<L4Setup, "hosts" | "prefixes">;
  readonly l7?: L7Shape;
  /** {@linkcode CONNECTIONS} by default. */
  readonly connections?: number;
  readonly buffer?: number;
  /** Whether it writes a line for each connection to a file. */
  readonly log?: boolean;
}

/** A proxy that runs and listens. */
export interface RunningProxy extends AsyncDisposable {
  readonly child: Child;
  /** Where it passes TLS through, and where it ends it, as far as it does. */
  readonly ports: { readonly l4?: number; readonly l7?: number };
  readonly hosts: number;
  /** The processes of its backends. */
  readonly backendPids: readonly number[];
  /** The file of its log, where it has one. */
  readonly log?: string;
}

/** What is to be put on a proxy; the rest of {@linkcode Load} is known from the proxy. */
export type LoadShape = Pick<Load, "kind" | "connections" | "streams" | "warmUpMs" | "measureMs"> & {
  /** Handshakes a second beside it, where it passes TLS through and ends it. */
  readonly handshakesPerSecond?: number;
};

/** A backend, and a folder for what the proxies need; all is gone when it is disposed of. */
export class Stand implements AsyncDisposable {
  readonly #processes = new Processes();
  readonly #folder = Deno.makeTempDirSync({ prefix: "mc-proxy-bench-" });
  readonly #backend = this.#processes.start("the backend", scriptCommand("backend.ts", ["--allow-ffi"]));
  #httpBackend: Promise<Child> | undefined;
  #certificate: Promise<CertificateFiles> | undefined;
  #stopped: Promise<void> | undefined;

  /** Gives a proxy a folder and free ports, and starts it there. */
  async startProxy(proxy: Proxy, shape: ProxyShape): Promise<RunningProxy> {
    const { start } = await this.prepareProxy(proxy, shape);
    return await start();
  }

  /** Writes what a proxy needs; it can then be started there, again and again, one at a time. */
  async prepareProxy(proxy: Proxy, shape: ProxyShape): Promise<{ start(): Promise<RunningProxy> }> {
    const folder = await Deno.makeTempDir({ dir: this.#folder });
    const l4 = shape.l4 === undefined ? undefined : await this.#l4Setup(shape.l4);
    const l7 = shape.l7 === undefined ? undefined : await this.#l7Setup(shape.l7);
    const log = shape.log === true ? { log: `${folder}/connections.log` } : {};
    const command = await proxy.prepare({
      folder,
      connections: shape.connections ?? CONNECTIONS,
      ...(shape.buffer === undefined ? {} : { buffer: shape.buffer }),
      ...log,
      ...(l4 === undefined ? {} : { l4 }),
      ...(l7 === undefined ? {} : { l7 }),
    });
    const ports = { ...(l4 === undefined ? {} : { l4: l4.port }), ...(l7 === undefined ? {} : { l7: l7.port }) };
    const backendPids = [this.#backend.pid, ...(l7 === undefined ? [] : [(await this.#startHttpBackend()).pid])];
    return {
      start: async () => {
        const child = this.#processes.start(proxy.name, command);
        for (const port of Object.values(ports)) await Promise.race([firstByte(port), child.ended()]);
        return {
          child,
          ports,
          hosts: shape.l4?.hosts ?? 0,
          backendPids,
          ...log,
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
  async measure(running: RunningProxy, { handshakesPerSecond, ...shape }: LoadShape): Promise<Measurement> {
    const { child, ports, hosts, backendPids } = running;
    const port = ports.l4 ?? ports.l7;
    if (port === undefined) throw new Error("a proxy without a port");
    const beside = handshakesPerSecond === undefined || ports.l7 === undefined
      ? {}
      : { handshakes: { port: ports.l7, perSecond: handshakesPerSecond } };
    const load: Load = { ...shape, ...beside, port, hosts, pids: child.pids, backendPids };
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

  /** Puts a load on a proxy while perf(1) records what it does, in `file`. */
  async profile(running: RunningProxy, load: LoadShape, file: string): Promise<void> {
    const seconds = (load.warmUpMs + load.measureMs) / 1000;
    await using perf = this.#processes.start("perf", {
      executable: "perf",
      args: [
        ...["record", "--quiet", "--call-graph", "fp", "--freq", String(PERF_FREQUENCY), "--output", file],
        ...["--pid", running.child.pids.join(","), "--", "sleep", String(seconds)],
      ],
    });
    await Promise.all([this.measure(running, load), perf.succeeded()]);
  }

  async #l4Setup(shape: Pick<L4Setup, "hosts" | "prefixes">): Promise<L4Setup> {
    const backends: BackendPorts = JSON.parse(await this.#backend.line);
    return { ...shape, port: freePort(), backends };
  }

  async #l7Setup(shape: L7Shape): Promise<L7Setup> {
    const backend = await this.#startHttpBackend();
    const backends: HttpBackendPorts = JSON.parse(await backend.line);
    return { ...shape, port: freePort(), backends, certificate: await this.#writeCertificate() };
  }

  #startHttpBackend(): Promise<Child> {
    return this.#httpBackend ??= this.#writeCertificate().then(({ cert, key }) =>
      this.#processes.start("the HTTP backend", scriptCommand("http_backend.ts", ["--allow-ffi"], cert, key))
    );
  }

  #writeCertificate(): Promise<CertificateFiles> {
    return this.#certificate ??= writeCertificate(this.#folder);
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

async function writeCertificate(folder: string): Promise<CertificateFiles> {
  const authority = await createAuthority("mc-proxy benchmark");
  const { cert, key } = await authority.issue({ hostnames: [HTTP_HOST] });
  return {
    cert: await writeIn(folder, "cert.pem", cert),
    key: await writeIn(folder, "key.pem", key),
    both: await writeIn(folder, "both.pem", cert + key),
    ca: await writeIn(folder, "ca.pem", authority.cert),
  };
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
