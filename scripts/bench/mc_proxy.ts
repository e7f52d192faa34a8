/**
 * mc-proxy as the benchmark runs it: the program of this repository, or variants of it that are compared.
 *
 * @module
 */

import { stringify } from "smol-toml";
import { type ProgramCommand, programCommand, taskCommand } from "../program.ts";
import { HTTP_HOST } from "./http_protocol.ts";
import { firstLine, type Proxy } from "./proxies.ts";
import { hostsOf, httpBackend, type L4Setup, type L7Setup, type ProxySetup, writeIn } from "./setup.ts";
import type { Variant } from "./variants.ts";

/** What makes V8 tell perf(1) the names of compiled functions, in /tmp/perf-PID.map. */
const PERF_FLAGS = [
  "--perf-basic-prof",
  "--interpreted-frames-native-stack",
  ...["--no-logfile-per-isolate", "--logfile=/dev/null"], // the flag before would leave a log of each thread behind
];
const STANDARD_ERROR = 2;

/** Finds the mc-proxy of this repository, or the binary that `MC_PROXY_BIN` names. */
export function findMcProxy(engine: string | undefined): Promise<Proxy> {
  return mcProxy("mc-proxy", programCommand(), engineVariables(engine));
}

/**
 * Finds a variant.
 *
 * @throws {Error} If its folder holds no mc-proxy.
 */
export async function findVariant(variant: Variant, engine: string | undefined): Promise<Proxy> {
  const command = withV8Flags(await readTaskCommand(variant), variant.v8Flags);
  return await mcProxy(variant.name, command, { ...engineVariables(engine), ...variant.environment });
}

async function readTaskCommand({ name, folder }: Variant): Promise<ProgramCommand> {
  try {
    return taskCommand(JSON.parse(await Deno.readTextFile(`${folder}/deno.json`)), `${folder}/`);
  } catch (error) {
    throw new Error(`--variant ${name}: no mc-proxy in ${folder}: ${error instanceof Error ? error.message : error}`);
  }
}

async function mcProxy(name: string, program: ProgramCommand, environment: Record<string, string>): Promise<Proxy> {
  const engine = environment["MCPROXY_PROXY_ENGINE"];
  const version = await firstLine(program.executable, [...program.args, "version"]);
  const proxyOf = ({ executable, args }: ProgramCommand): Proxy => ({
    name,
    version: version + (engine === undefined ? "" : `, engine ${engine}`),
    async prepare(setup) {
      const file = await writeIn(setup.folder, "mc-proxy.toml", mcProxyConfig(setup));
      const output = setup.log === undefined ? {} : { output: { descriptor: STANDARD_ERROR, file: setup.log } };
      return { executable, args: [...args, "server", "-c", file], environment, ...output };
    },
    profiled: () => proxyOf(withV8Flags(program, PERF_FLAGS)),
  });
  return proxyOf(program);
}

/** Adds flags of V8 to a `deno run`; of contradicting ones the last counts. A compiled binary has had its flags. */
export function withV8Flags({ executable, args }: ProgramCommand, flags: readonly string[]): ProgramCommand {
  const [command, ...rest] = args;
  if (command !== "run" || flags.length === 0) return { executable, args };
  const before = rest.flatMap((arg) => arg.startsWith("--v8-flags=") ? [arg.slice("--v8-flags=".length)] : []);
  const others = rest.filter((arg) => !arg.startsWith("--v8-flags="));
  return { executable, args: [command, `--v8-flags=${[...before, ...flags].join(",")}`, ...others] };
}

function engineVariables(engine: string | undefined): Record<string, string> {
  return engine === undefined ? {} : { MCPROXY_PROXY_ENGINE: engine };
}

/** mc-proxy's configuration: its defaults, but one worker and, where no log is wanted, one of warnings only. */
function mcProxyConfig({ l4, l7, log }: ProxySetup): string {
  return stringify({
    database: { path: "mc-proxy.db" },
    listeners: [...(l4 === undefined ? [] : [l4Listener(l4)]), ...(l7 === undefined ? [] : [l7Listener(l7)])],
    // From 1.0.0.0 on, one in each /24, of nine lengths.
    firewall: {
      blocked_cidrs: Array.from(
        { length: l4?.prefixes ?? 0 },
        (_, i) => `${dotted(0x01000000 + i * 256)}/${24 + i % 9}`,
      ),
    },
    proxy: { workers: 1, shutdown_timeout: "1s" },
    log: { level: log === undefined ? "warn" : "info" },
  });
}

function l4Listener(l4: L4Setup): Record<string, unknown> {
  return {
    addr: `127.0.0.1:${l4.port}`,
    routes: hostsOf(l4).map(({ name, behaviour }) => ({
      hostname: name,
      backend: `127.0.0.1:${l4.backends[behaviour]}`,
    })),
  };
}

function l7Listener(l7: L7Setup): Record<string, unknown> {
  const { port, certificate, backendTls } = l7;
  const backend = httpBackend(l7, true);
  return {
    addr: `127.0.0.1:${port}`,
    routes: [{
      hostname: HTTP_HOST,
      backend: `127.0.0.1:${backend.port}`,
      mode: "l7",
      tls_cert: certificate.cert,
      tls_key: certificate.key,
      ...(backendTls === undefined ? {} : {
        backend_tls: true,
        backend_protocol: backend.http1 ? "http1" : "h2",
        backend_ca: certificate.ca,
        backend_server_name: HTTP_HOST,
      }),
    }],
  };
}

function dotted(ip: number): string {
  return [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join(".");
}
