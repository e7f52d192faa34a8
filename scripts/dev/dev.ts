/**
 * `deno task dev`: certificates, four demo backends and a proxy in front of them, until Ctrl-C.
 *
 * All it makes is in one folder. The certificates stay from one start to the next; the database does not, since the
 * backends listen on other ports each time.
 *
 * @module
 */

import { isAbsolute, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { stringify } from "smol-toml";
import { parsePort } from "../../lib/wire/socket_address.ts";
import { startAppBackend } from "./app/app_backend.ts";
import type { Backend } from "./backend.ts";
import { startEchoBackend, startPageBackend } from "./backends.ts";
import { keepAuthority, keepCertificate } from "./certificate_folder.ts";
import { callerFolder, DEFAULT_PORT, folderOf } from "./folder.ts";
import { Echo } from "./grpc/gen/echo_pb.ts";
import { startGrpcBackend } from "./grpc/grpc_backend.ts";
import { ROOT } from "../program.ts";
import { startProxy } from "./proxy_process.ts";

/** What each backend is reached by. */
const HOSTNAMES = {
  page: "pass.localhost",
  echo: "echo.localhost",
  app: "app.localhost",
  grpc: "grpc.localhost",
} as const;

type Backends = Readonly<Record<keyof typeof HOSTNAMES, Backend>>;

/** Within the folder. */
const DATABASE = "mc-proxy.db";
const SOCKET = "admin.sock";

/** The longest path of a folder that a Unix socket can be in, in octets: unix(7), less what is put behind it. */
const MAX_SOCKET_FOLDER = 107 - "/.1z141z3/s".length;

const HELP = `Usage: deno task dev [options]

Runs the proxy on 127.0.0.1 in front of four demo backends, until Ctrl-C.

Options:
  --port <n>       the port of the proxy, 0 for a free one (default: ${DEFAULT_PORT})
  --folder <path>  where certificates, configuration and database go (default: .dev in the repository)
  --help           print this help
`;

interface Options {
  readonly port: number;
  /** Absolute. */
  readonly folder: string;
}

/** A command line that is wrong. */
class UsageError extends Error {}

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options === "help") {
    console.log(HELP.trimEnd());
    return 0;
  }
  if (options instanceof UsageError) {
    console.error(`dev: ${options.message}; see deno task dev --help`);
    return 2;
  }
  return await run(options);
}

function readOptions(args: string[]): Options | "help" | UsageError {
  try {
    const { values } = parseArgs({
      args,
      options: { port: { type: "string" }, folder: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
    if (values.help) return "help";
    const port = parsePort(values.port ?? DEFAULT_PORT);
    if (port === undefined) return new UsageError(`--port is not a number from 0 to 65535: ${values.port}`);
    return { port, folder: folderOf(values.folder) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // what parseArgs throws at a wrong command line
    return new UsageError(error.message);
  }
}

async function run({ port, folder }: Options): Promise<number> {
  await Deno.mkdir(folder, { recursive: true });
  using lock = await Deno.open(join(folder, "lock"), { create: true, write: true }); // let go of by the kernel at the end
  if (!await lock.tryLock(true)) {
    console.error(`dev: it runs already in ${folder}; stop that one, or give another --folder and --port`);
    return 1;
  }
  const authority = await keepAuthority(folder, "mc-proxy development authority", "localhost");
  const certificate = (hostname: string) => keepCertificate(folder, authority, hostname);
  const backends: Backends = {
    page: await startPageBackend(await certificate(HOSTNAMES.page)),
    echo: startEchoBackend(await certificate(HOSTNAMES.echo)),
    app: await startAppBackend(),
    grpc: await startGrpcBackend(),
  };
  try {
    for (const hostname of [HOSTNAMES.app, HOSTNAMES.grpc]) await certificate(hostname);
    const configFile = await writeConfig(folder, port, backends);
    await removeDatabase(folder);
    return await runProxy(configFile, (bound) => console.log(greeting(folder, configFile, bound)));
  } finally {
    await Promise.all(Object.values(backends).map((backend) => backend.close()));
  }
}

/** Writes `dev.toml` and says where it is. */
async function writeConfig(folder: string, port: number, { page, echo, app, grpc }: Backends): Promise<string> {
  const l7 = (hostname: string, { addr: backend }: Backend) => ({
    hostname,
    backend,
    mode: "l7",
    tls_cert: `${hostname}.pem`,
    tls_key: `${hostname}.key`,
  });
  const config = {
    database: { path: DATABASE },
    listeners: [{
      addr: `127.0.0.1:${port}`,
      routes: [
        { hostname: HOSTNAMES.page, backend: page.addr, send_proxy_protocol: true },
        { hostname: HOSTNAMES.echo, backend: echo.addr },
        l7(HOSTNAMES.app, app),
        l7(HOSTNAMES.grpc, grpc),
      ],
    }],
    ...hasAdmin(folder) && { grpc: { addr: join(folder, SOCKET) } },
    proxy: { shutdown_timeout: "2s" }, // long enough for a page, short enough for whoever pressed Ctrl-C
    log: { level: "info", format: "text" },
  };
  const file = join(folder, "dev.toml");
  await Deno.writeTextFile(file, `# Written by deno task dev at every start.\n\n${stringify(config)}`);
  return file;
}

/** Whether the path of the admin API's socket is short enough. */
function hasAdmin(folder: string): boolean {
  return new TextEncoder().encode(folder).length <= MAX_SOCKET_FOLDER;
}

/** Removes the database, whose routes lead to the backends of an earlier start. */
async function removeDatabase(folder: string): Promise<void> {
  for (const suffix of ["", "-wal", "-shm"]) {
    await Deno.remove(join(folder, DATABASE + suffix)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

/** Runs the proxy until a signal, or until it ends by itself, and gives the exit code that is due. */
async function runProxy(configFile: string, onListening: (port: number) => void): Promise<number> {
  let stopping = false;
  let listening = false;
  const proxy = startProxy(configFile, (port) => {
    listening = true;
    onListening(port);
  });
  const stop = () => {
    stopping = true;
    proxy.stop();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  const { code, spoke } = await proxy.ended;
  if (stopping && (code === 0 || !listening)) return 0; // SIGTERM kills it while it does not handle signals yet
  // Where it could not start, its own line has said why.
  if (listening || !spoke) console.error(`dev: the proxy ended with exit code ${code}`);
  return 1;
}

function greeting(folder: string, configFile: string, port: number): string {
  const shown = relative(callerFolder(), folder) || ".";
  const ca = shellWord(join(shown, "ca.pem"));
  const [page, app] = [`https://${HOSTNAMES.page}:${port}/`, `https://${HOSTNAMES.app}:${port}/`];
  const where = folder === folderOf() ? "" : ` --folder ${shellWord(shown)}`;
  const say = `${taskCommand()} -q dev:say${where}${String(port) === DEFAULT_PORT ? "" : ` --port ${port}`}`;
  return `
Try it from another terminal. These hosts' TLS is passed on as it is (L4):

  curl --cacert ${ca} ${page}
  curl -k ${page}
  openssl s_client -connect 127.0.0.1:${port} -servername ${HOSTNAMES.echo} -CAfile ${ca} -quiet

These hosts' TLS ends at the proxy, which forwards HTTP (L7): HTTP/2, HTTP/1.1, server-sent events, gRPC

  curl --cacert ${ca} ${app}
  curl --cacert ${ca} --http1.1 ${app}api/request
  curl --cacert ${ca} -N ${app}events
  ${say} hello
  grpcurl -cacert ${ca} -authority ${HOSTNAMES.grpc} -d '{"text":"hello"}' 127.0.0.1:${port} ${Echo.typeName}/Say

In a browser, which warns unless it trusts ${ca}, with a WebSocket too:

  ${app}
  ${page}

${adminLines(folder, configFile)}

Certificates, configuration and database are in ${shown}; the database is made anew at every start.
Ctrl-C stops everything.
`;
}

/** How to administer the proxy, or why that cannot be done. */
function adminLines(folder: string, configFile: string): string {
  if (!hasAdmin(folder)) return `There is no admin API: the path of ${folder} is too long for a Unix socket in it.`;
  const ctl = `${taskCommand()} -q mc-proxy ctl -c ${shellWord(fromRoot(configFile))}`;
  return `What is served can be changed meanwhile; \`ctl --help\` tells how:\n\n  ${ctl} status\n  ${ctl} routes list`;
}

/** The path as tasks take it, which run at the root of the repository. */
function fromRoot(path: string): string {
  const inside = relative(ROOT, path);
  return inside.startsWith("..") || isAbsolute(inside) ? path : inside;
}

/** How tasks are run here: npx tells those that it starts. */
function taskCommand(): string {
  return Deno.env.get("npm_command") === "exec" ? `npx -y deno@${Deno.version.deno} task` : "deno task";
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
