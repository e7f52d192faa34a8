/**
 * Connecting to the backend of an L7 route.
 *
 * @module
 */

import { formatIpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { BufferPool } from "../buffer_pool.ts";
import { Timer } from "../deadlines.ts";
import { spoken } from "../http/alpn.ts";
import {
  addressKey,
  alpnOf,
  type Dial,
  type Dialled,
  type DialOptions,
  noProtocol,
  plainProtocol,
  refusesProtocols,
  serverNameOf,
} from "../http/backend/dial.ts";
import { DialError } from "../http/backend/dial_error.ts";
import { isPinAlone, refusedPin } from "../http/backend/pins.ts";
import type { Transport } from "../http/transport.ts";
import type { Turn } from "../http/turn.ts";
import type { TlsSettings } from "../tls_settings.ts";
import { connectPrivateTls } from "./backend_tls.ts";
import { ConnTransport } from "./conn_transport.ts";

/** What all connections of an engine have in common. */
interface Ours {
  readonly turn: Turn;
  readonly tls: TlsSettings;
}

/** Makes what connects with what the runtime has. */
export function runtimeDial(turn: Turn, tls: TlsSettings): Dial {
  return (options, done) => {
    dialBackend({ turn, tls }, options).then(
      done,
      (error) => done(error instanceof Error ? error : new Error(String(error))),
    );
  };
}

/**
 * Connects within `connectMs`, trying the addresses in turn, each for its share of the time that is left.
 *
 * @throws {DialError} If none answers.
 */
async function dialBackend(ours: Ours, options: DialOptions): Promise<Dialled> {
  const { addresses, connectMs } = options;
  const { deadlines } = ours.turn;
  const giveUpAt = deadlines.time + connectMs;
  let failure = new DialError("unresolved", "the backend's name has no address");
  for (const [i, endpoint] of addresses.entries()) {
    const share = (giveUpAt - deadlines.time) / (addresses.length - i);
    try {
      return await connectWithin(ours, share, endpoint, options);
    } catch (error) {
      failure = asDialError(error);
    }
  }
  throw failure;
}

async function connectWithin(ours: Ours, ms: number, endpoint: Endpoint, options: DialOptions): Promise<Dialled> {
  const { turn, tls: { minVersion } } = ours;
  const controller = new AbortController();
  const { signal } = controller;
  const timer = new Timer(() => controller.abort());
  turn.deadlines.set(timer, ms);
  try {
    const { backendTls, backendCa, backendProtocol } = options.settings;
    if (backendTls && isPinAlone(options.settings)) throw new DialError("tls", NEEDS_CA);
    const { transport, alpnProtocol } = backendTls && (backendCa !== "" || minVersion === "1.3")
      ? await connectPrivateTls(endpoint, {
        ...tlsOf(options),
        ca: backendCa || undefined,
        refused: (present) => refusedPin(options.settings, serverNameOf(options.settings), present),
        minVersion,
        prefix: options.prefix,
        signal,
        fault: options.fault,
        turn,
      })
      : await connect(turn, endpoint, options, signal);
    if (backendTls && backendProtocol === "h2" && alpnProtocol !== "h2") {
      transport.destroy();
      throw noProtocol(options.settings);
    }
    const protocol = backendTls ? spoken(alpnProtocol) : plainProtocol(options.settings, options.http1Only);
    return { transport, protocol, address: addressKey(endpoint) };
  } catch (error) {
    if (signal.aborted) throw new DialError("timeout", "the backend does not answer");
    if (error instanceof Error && refusesProtocols(error.message)) throw noProtocol(options.settings);
    throw error;
  } finally {
    turn.deadlines.clear(timer);
  }
}

/** Where no chain is verified, Deno 2.9.6 does not verify either that the backend holds the key of its certificate. */
const NEEDS_CA = "the portable engine needs backend_ca beside backend_pins: without it, nothing would prove that the " +
  "backend holds the key; write the backend's own certificate there if it has signed itself";

const buffers = new BufferPool();

async function connect(
  turn: Turn,
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
      return { transport: new ConnTransport(turn, conn, buffers, options.fault), alpnProtocol: null };
    }
    const { name: hostname, alpnProtocols } = tlsOf(options);
    const tls = await Deno.startTls(conn, { hostname, alpnProtocols });
    conn = tls;
    const { alpnProtocol } = await tls.handshake();
    return { transport: new ConnTransport(turn, tls, buffers, options.fault), alpnProtocol };
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
  return { name: serverNameOf(settings), alpnProtocols: [...alpnOf(settings, http1Only)] };
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
