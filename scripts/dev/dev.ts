/**
 * `deno task dev`: certificates, two demo backends and a proxy in front of them, until Ctrl-C.
 *
 * All it makes is in one folder. The certificates stay from one start to the next; the database does not, since the
 * backends listen on other ports each time.
 *
 * @module
 */

import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { stringify } from "smol-toml";
import { parsePort } from "../../lib/wire/socket_address.ts";
import { type Backend, startEchoBackend, startPageBackend } from "./backends.ts";
import { keepAuthority, keepCertificate } from "./certificate_folder.ts";
import { ROOT } from "../program.ts";
import { startProxy } from "./proxy_process.ts";

const PAGE_HOSTNAME = "pass.localhost";
const ECHO_HOSTNAME = "echo.localhost";
/** Within the folder. */
const DATABASE = "mc-proxy.db";

const HELP = `Usage: deno task dev [options]

Runs the proxy on 127.0.0.1 in front of two demo TLS backends, until Ctrl-C.

Options:
  --port <n>       the port of the proxy, 0 for a free one (default: 8443)
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
    const port = parsePort(values.port ?? "8443");
    if (port === undefined) return new UsageError(`--port is not a number from 0 to 65535: ${values.port}`);
    return { port, folder: values.folder === undefined ? join(ROOT, ".dev") : resolve(callerFolder(), values.folder) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // what parseArgs throws at a wrong command line
    return new UsageError(error.message);
  }
}

/** Where the person stands: `deno task` itself goes to the root of the repository. */
function callerFolder(): string {
  return Deno.env.get("INIT_CWD") ?? Deno.cwd();
}

async function run({ port, folder }: Options): Promise<number> {
  await Deno.mkdir(folder, { recursive: true });
  using lock = await Deno.open(join(folder, "lock"), { create: true, write: true }); // let go of by the kernel at the end
  if (!await lock.tryLock(true)) {
    console.error(`dev: it runs already in ${folder}; stop that one, or give another --folder and --port`);
    return 1;
  }
  const authority = await keepAuthority(folder, "mc-proxy development authority", "localhost");
  const page = await startPageBackend(await keepCertificate(folder, authority, PAGE_HOSTNAME));
  const echo = startEchoBackend(await keepCertificate(folder, authority, ECHO_HOSTNAME));
  try {
    const configFile = await writeConfig(folder, port, page, echo);
    await removeDatabase(folder);
    return await runProxy(configFile, (bound) => console.log(greeting(folder, bound)));
  } finally {
    await Promise.all([page.close(), echo.close()]);
  }
}

/** Writes `dev.toml` and says where it is. */
async function writeConfig(folder: string, port: number, page: Backend, echo: Backend): Promise<string> {
  const config = {
    database: { path: DATABASE },
    listeners: [{
      addr: `127.0.0.1:${port}`,
      routes: [
        { hostname: PAGE_HOSTNAME, backend: page.addr, send_proxy_protocol: true },
        { hostname: ECHO_HOSTNAME, backend: echo.addr },
      ],
    }],
    proxy: { shutdown_timeout: "2s" }, // long enough for a page, short enough for whoever pressed Ctrl-C
    log: { level: "info", format: "text" },
  };
  const file = join(folder, "dev.toml");
  await Deno.writeTextFile(file, `# Written by deno task dev at every start.\n\n${stringify(config)}`);
  return file;
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

function greeting(folder: string, port: number): string {
  const shown = relative(callerFolder(), folder) || ".";
  const ca = shellWord(join(shown, "ca.pem"));
  const url = `https://${PAGE_HOSTNAME}:${port}/`;
  return `
Try it from another terminal:

  curl --cacert ${ca} ${url}
  curl -k ${url}
  openssl s_client -connect 127.0.0.1:${port} -servername ${ECHO_HOSTNAME} -CAfile ${ca} -quiet

or in a browser, which warns unless it trusts ${ca}: ${url}

Certificates, configuration and database are in ${shown}; the database is made anew at every start.
Ctrl-C stops everything.
`;
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
