/**
 * The proxies that are compared: how each is configured, started and asked for its version.
 *
 * @module
 */

import { stringify } from "smol-toml";
import { programCommand } from "../program.ts";
import type { BackendPorts } from "./backend.ts";
import { type HttpSetup, writeHaproxyHttp, writeMcProxyHttp, writeNginxHttp } from "./http_proxies.ts";
import type { ProcessCommand } from "./processes.ts";
import { type Behaviour, behaviourOf, hostname } from "./protocol.ts";

/** What a proxy is to do. */
export interface ProxySetup {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  /** How many hosts it has routes for. */
  readonly hosts: number;
  /** How many prefixes its firewall blocks, none of them of the loopback. Only mc-proxy has one. */
  readonly prefixes: number;
  /** Bytes of a buffer of HAProxy and nginx; by default what they choose, which is 16 KiB. mc-proxy sizes its own. */
  readonly buffer?: number;
  readonly backends: BackendPorts;
  /** A folder of its own. */
  readonly folder: string;
}

/** A proxy that takes part. */
export interface Proxy {
  readonly name: string;
  readonly version: string;
  /** Writes the files of a setup, and gives the command that runs it. */
  prepare(setup: ProxySetup): Promise<ProcessCommand>;
  /** The same for an HTTP row. */
  prepareHttp(setup: HttpSetup): Promise<ProcessCommand>;
}

/** Why a proxy does not take part, in one line. */
export interface Missing {
  readonly missing: string;
}

// Both ends of 5,000 idle connections, and room for the listeners and the rest.
const MAX_CONNECTIONS = 6_000;
const BEHAVIOURS: readonly Behaviour[] = ["echo", "flood", "answer"];

/** Finds mc-proxy, the program of this repository. */
export async function findMcProxy(engine: string | undefined): Promise<Proxy> {
  const { executable, args } = programCommand();
  const environment = engine === undefined ? {} : { MCPROXY_PROXY_ENGINE: engine };
  const command = (file: string) => ({ executable, args: [...args, "server", "-c", file], environment });
  return {
    name: "mc-proxy",
    version: await firstLine(executable, [...args, "version"]) + (engine === undefined ? "" : `, engine ${engine}`),
    async prepare(setup) {
      const file = `${setup.folder}/mc-proxy.toml`;
      await Deno.writeTextFile(file, mcProxyConfig(setup));
      return command(file);
    },
    prepareHttp: async (setup) => command(await writeMcProxyHttp(setup)),
  };
}

/** Finds HAProxy. */
export async function findHaproxy(): Promise<Proxy | Missing> {
  const executable = await findExecutable("haproxy");
  if (executable === undefined) return { missing: "HAProxy is not installed (Debian: apt install haproxy)" };
  const command = (file: string) => ({ executable, args: ["-db", "-f", file] });
  return {
    name: "HAProxy",
    version: (await firstLine(executable, ["-v"])).replace(/^HAProxy version (\S+).*$/, "$1"),
    async prepare(setup) {
      const file = `${setup.folder}/haproxy.cfg`;
      await Deno.writeTextFile(`${setup.folder}/haproxy.map`, haproxyMap(setup));
      await Deno.writeTextFile(file, haproxyConfig(setup));
      return command(file);
    },
    prepareHttp: async (setup) => command(await writeHaproxyHttp(setup)),
  };
}

/** Finds nginx with its stream module, built in or Debian's dynamic one. */
export async function findNginx(): Promise<Proxy | Missing> {
  const executable = await findExecutable("nginx");
  if (executable === undefined) {
    return { missing: "nginx is not installed (Debian: apt install nginx-light libnginx-mod-stream)" };
  }
  const { stderr } = await new Deno.Command(executable, { args: ["-V"], stdin: "null" }).output();
  const build = new TextDecoder().decode(stderr);
  const module = `${/--modules-path=(\S+)/.exec(build)?.[1] ?? "/usr/lib/nginx/modules"}/ngx_stream_module.so`;
  const builtIn = / --with-stream( |$)/m.test(build);
  if (!builtIn && !await isFile(module)) {
    return { missing: "nginx has no stream module (Debian: apt install libnginx-mod-stream)" };
  }
  // -e: the log is opened before the configuration is read, and /var/log/nginx is root's.
  const command = (folder: string, file: string) => ({
    executable,
    args: ["-p", folder, "-e", "stderr", "-c", file],
  });
  return {
    name: "nginx",
    version: /nginx\/(\S+)/.exec(build)?.[1] ?? "unknown",
    async prepare(setup) {
      const file = `${setup.folder}/nginx.conf`;
      await Deno.writeTextFile(file, nginxConfig(setup, builtIn ? undefined : module));
      return command(setup.folder, file);
    },
    prepareHttp: async (setup) => command(setup.folder, await writeNginxHttp(setup)),
  };
}

/** mc-proxy's configuration: its defaults, but one worker and a log of warnings only. */
function mcProxyConfig({ port, hosts, prefixes, backends }: ProxySetup): string {
  return stringify({
    database: { path: "mc-proxy.db" },
    listeners: [{
      addr: `127.0.0.1:${port}`,
      routes: hostsUpTo(hosts).map((host) => ({
        hostname: hostname(host),
        backend: `127.0.0.1:${backends[behaviourOf(host)]}`,
      })),
    }],
    // From 1.0.0.0 on, one in each /24, of nine lengths.
    firewall: {
      blocked_cidrs: Array.from({ length: prefixes }, (_, i) => `${dotted(0x01000000 + i * 256)}/${24 + i % 9}`),
    },
    proxy: { workers: 1, shutdown_timeout: "1s" },
    log: { level: "warn" },
  });
}

function haproxyMap({ hosts }: ProxySetup): string {
  return hostsUpTo(hosts).map((host) => `${hostname(host)} ${behaviourOf(host)}\n`).join("");
}

function haproxyConfig({ port, backends, folder, buffer }: ProxySetup): string {
  return `global
  nbthread 1
${buffer === undefined ? "" : `  tune.bufsize ${buffer}\n`}  maxconn ${MAX_CONNECTIONS}
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend edge
  bind 127.0.0.1:${port} backlog 4096
  tcp-request inspect-delay 10s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend %[req.ssl_sni,lower,map_str(${folder}/haproxy.map)]
${BEHAVIOURS.map((name) => `backend ${name}\n  server one 127.0.0.1:${backends[name]}\n`).join("")}`;
}

function nginxConfig({ port, hosts, backends, buffer }: ProxySetup, module: string | undefined): string {
  const lines = hostsUpTo(hosts).map((host) => `    ${hostname(host)} ${behaviourOf(host)};\n`);
  return `${module === undefined ? "" : `load_module ${module};\n`}daemon off;
worker_processes 1;
worker_rlimit_nofile ${2 * MAX_CONNECTIONS + 500};
pid nginx.pid;
error_log stderr crit;
events {
  worker_connections ${2 * MAX_CONNECTIONS};
}
stream {
  access_log off;
  map $ssl_preread_server_name $name {
${lines.join("")}  }
${BEHAVIOURS.map((name) => `  upstream ${name} {\n    server 127.0.0.1:${backends[name]};\n  }\n`).join("")}  server {
    listen 127.0.0.1:${port} backlog=4096;
    ssl_preread on;
    preread_timeout 10s;
    proxy_connect_timeout 5s;
    proxy_timeout 300s;
${buffer === undefined ? "" : `    proxy_buffer_size ${buffer};\n`}    proxy_pass $name;
  }
}
`;
}

function hostsUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, host) => host);
}

function dotted(ip: number): string {
  return [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join(".");
}

async function firstLine(executable: string, args: readonly string[]): Promise<string> {
  const { stdout } = await new Deno.Command(executable, { args: [...args], stdin: "null" }).output();
  return new TextDecoder().decode(stdout).split("\n", 1)[0] ?? "";
}

/** On Debian both are in /usr/sbin, which is not on everyone's PATH. */
async function findExecutable(name: string): Promise<string | undefined> {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) if (await isFile(`${folder}/${name}`)) return `${folder}/${name}`;
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}
