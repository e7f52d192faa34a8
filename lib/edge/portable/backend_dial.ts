/**
 * Connecting to the backend of an L7 route.
 *
 * @module
 */

import { formatIpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { BufferPool } from "../buffer_pool.ts";
import type { HttpRoute } from "../snapshot.ts";
import { connectPrivateTls } from "./backend_tls.ts";
import { ConnTransport } from "./conn_transport.ts";
import { DialError } from "../http/backend/dial_error.ts";
import type { FaultReport, Transport } from "../http/transport.ts";

/** How a backend is reached, beside its addresses. */
export type BackendSettings =
  & Pick<HttpRoute, "backendTls" | "backendProtocol" | "backendCa" | "backendServerName">
  & { /** `host:port`. */ readonly name: string };

/** An open connection, and what is spoken on it. */
export interface Dialled {
  readonly transport: Transport;
  readonly protocol: "h2" | "http/1.1";
  readonly address: string;
}

/** What a dial needs. */
export interface DialOptions {
  readonly settings: BackendSettings;
  readonly addresses: readonly Endpoint[];
  /** What goes before everything else: a PROXY header. */
  readonly prefix: Uint8Array | undefined;
  /** Only HTTP/1.1: the connection is to carry a WebSocket that HTTP/2 cannot. */
  readonly http1Only: boolean;
  readonly connectMs: number;
  readonly fault: FaultReport;
}

/** Connects with what the runtime has. */
export function dialWithDeno(options: DialOptions, done: (result: Dialled | Error) => void): void {
  dialBackend(options).then(done, (error) => done(error instanceof Error ? error : new Error(String(error))));
}

/**
 * Connects within `connectMs`, trying the addresses in turn, each for its share of the time that is left.
 *
 * @throws {DialError} If none answers.
 */
export async function dialBackend(options: DialOptions): Promise<Dialled> {
  const { addresses, connectMs } = options;
  const giveUpAt = performance.now() + connectMs;
  let failure = new DialError("unresolved", "the backend's name has no address");
  for (const [i, endpoint] of addresses.entries()) {
    const share = (giveUpAt - performance.now()) / (addresses.length - i);
    try {
      return await connectWithin(share, endpoint, options);
    } catch (error) {
      failure = asDialError(error);
    }
  }
  throw failure;
}

const NO_HTTP1 = "the backend does not speak HTTP/1.1 over TLS";
/** Some say so by what they choose, some by an alert (RFC 7301 §3.2). */
const NO_HTTP2 = 'the backend does not speak HTTP/2 over TLS; set backend_protocol = "http1"';

async function connectWithin(ms: number, endpoint: Endpoint, options: DialOptions): Promise<Dialled> {
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => controller.abort(), Math.max(ms, 1));
  try {
    const { backendTls, backendCa, backendProtocol } = options.settings;
    const { transport, alpnProtocol } = backendTls && backendCa !== ""
      ? await connectPrivateTls(endpoint, {
        ...tlsOf(options),
        ca: backendCa,
        prefix: options.prefix,
        signal,
        fault: options.fault,
      })
      : await connect(endpoint, options, signal);
    if (backendTls && backendProtocol === "h2" && alpnProtocol !== "h2") {
      transport.destroy();
      throw new DialError("tls", NO_HTTP2);
    }
    const h2 = backendTls ? alpnProtocol === "h2" : backendProtocol !== "http1" && !options.http1Only;
    return { transport, protocol: h2 ? "h2" : "http/1.1", address: addressKey(endpoint) };
  } catch (error) {
    if (signal.aborted) throw new DialError("timeout", "the backend does not answer");
    if (error instanceof Error && /no.?application.?protocol/i.test(error.message)) {
      throw new DialError("tls", options.settings.backendProtocol === "h2" ? NO_HTTP2 : NO_HTTP1);
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

const buffers = new BufferPool();

async function connect(
  { address, port }: Endpoint,
  options: DialOptions,
  signal: AbortSignal,
): Promise<{ transport: Transport; alpnProtocol: string | null }> {
  let conn: Deno.TcpConn | Deno.TlsConn | undefined;
  const close = () => conn?.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    conn = await Deno.connect({ hostname: formatIpAddress(address), port, autoSelectFamily: false, signal });
    conn.setNoDelay(true);
    if (options.prefix !== undefined) await writeAll(conn, options.prefix);
    if (!options.settings.backendTls) {
      return { transport: new ConnTransport(conn, buffers, options.fault), alpnProtocol: null };
    }
    const { name: hostname, alpnProtocols } = tlsOf(options);
    const tls = await Deno.startTls(conn, { hostname, alpnProtocols });
    conn = tls;
    const { alpnProtocol } = await tls.handshake();
    return { transport: new ConnTransport(tls, buffers, options.fault), alpnProtocol };
  } catch (error) {
    try {
      if (!signal.aborted) conn?.close();
    } catch {
      // The handshake closed it.
    }
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

function tlsOf({ settings, http1Only }: DialOptions): { name: string; alpnProtocols: string[] } {
  return {
    name: settings.backendServerName || hostOfName(settings.name),
    alpnProtocols: alpnOf(settings, http1Only),
  };
}

/** What tells an address from others. */
export function addressKey({ address, port }: Endpoint): string {
  return `${formatIpAddress(address)} ${port}`;
}

function alpnOf({ backendProtocol }: BackendSettings, http1Only: boolean): string[] {
  if (http1Only || backendProtocol === "http1") return ["http/1.1"];
  return backendProtocol === "h2" ? ["h2"] : ["h2", "http/1.1"];
}

/** The host of `host:port`, without brackets. */
function hostOfName(name: string): string {
  return name.slice(0, name.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

function asDialError(error: unknown): DialError {
  if (error instanceof DialError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.ConnectionRefused) {
    return new DialError("refused", "the backend refuses connections");
  }
  if (error instanceof Deno.errors.TimedOut) return new DialError("timeout", "the backend does not answer");
  return new DialError(error instanceof Deno.errors.InvalidData ? "tls" : "unreachable", message);
}
