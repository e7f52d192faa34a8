/**
 * Connecting to the backend of an L7 route.
 *
 * @module
 */

import { formatIpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import type { HttpRoute } from "../snapshot.ts";

/** How a backend is reached, beside its addresses. */
export type BackendSettings =
  & Pick<HttpRoute, "backendTls" | "backendProtocol" | "backendCa" | "backendServerName">
  & { /** `host:port`. */ readonly name: string };

/** An open connection, and what is spoken on it. */
export interface Dialled {
  readonly conn: Deno.TcpConn | Deno.TlsConn;
  readonly protocol: "h2" | "http/1.1";
  readonly address: string;
}

/** A backend that could not be reached. */
export class DialError extends Error {
  override readonly name = "DialError";

  /** @param kind `timeout` is answered with 504, the others with 502. */
  constructor(readonly kind: "unresolved" | "timeout" | "refused" | "unreachable" | "tls", message: string) {
    super(message);
  }
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

async function connectWithin(ms: number, endpoint: Endpoint, options: DialOptions): Promise<Dialled> {
  const controller = new AbortController();
  let conn: Deno.TcpConn | Deno.TlsConn | undefined;
  const timer = setTimeout(() => {
    controller.abort();
    conn?.close();
  }, Math.max(ms, 1));
  try {
    const hostname = formatIpAddress(endpoint.address);
    const { port } = endpoint;
    conn = await Deno.connect({ hostname, port, autoSelectFamily: false, signal: controller.signal });
    conn.setNoDelay(true);
    if (options.prefix !== undefined) await writeAll(conn, options.prefix);
    const address = `${hostname} ${port}`;
    const { settings, http1Only } = options;
    if (!settings.backendTls) {
      return { conn, protocol: settings.backendProtocol === "http1" || http1Only ? "http/1.1" : "h2", address };
    }
    const tls = await Deno.startTls(conn, {
      hostname: settings.backendServerName || hostOfName(settings.name),
      caCerts: settings.backendCa === "" ? [] : [settings.backendCa],
      alpnProtocols: alpnOf(settings, http1Only),
    });
    conn = tls;
    const { alpnProtocol } = await tls.handshake();
    if (settings.backendProtocol === "h2" && alpnProtocol !== "h2") {
      throw new DialError("tls", 'the backend does not speak HTTP/2 over TLS; set backend_protocol = "http1"');
    }
    return { conn, protocol: alpnProtocol === "h2" ? "h2" : "http/1.1", address };
  } catch (error) {
    try {
      conn?.close();
    } catch {
      // The time-out closed it, or the handshake did.
    }
    if (controller.signal.aborted) throw new DialError("timeout", "the backend does not answer");
    throw error;
  } finally {
    clearTimeout(timer);
  }
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
