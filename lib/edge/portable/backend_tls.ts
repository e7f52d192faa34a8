/**
 * TLS to a backend whose certificate one private authority must have signed, or that must speak TLS 1.3.
 *
 * `Deno.startTls` is cheaper (half the CPU of a large body), but adds such an authority to all others that it trusts;
 * node's `ca` takes their place. It has no least version either.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { formatIpAddress, parseIpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { DialError } from "../http/backend/dial_error.ts";
import { SocketTransport } from "./socket_transport.ts";
import { tlsSource } from "./tls_source.ts";
import type { FaultReport } from "../http/transport.ts";
import type { TlsSettings } from "../tls_settings.ts";
import type { Turn } from "../http/turn.ts";

/** What the handshake needs. */
export interface PrivateTls {
  /** PEM; `undefined`: whom the machine trusts. */
  readonly ca: string | undefined;
  readonly minVersion: TlsSettings["minVersion"];
  /** Whom the certificate must be for: a host name or an IP address. */
  readonly name: string;
  readonly alpnProtocols: readonly string[];
  /** Why nothing may be sent to a backend that has shown what `present` tells, a pin. */
  refused(present: () => string | undefined): DialError | undefined;
  /** What goes in clear before the handshake: a PROXY header. */
  readonly prefix: Uint8Array | undefined;
  readonly signal: AbortSignal;
  readonly turn: Turn;
  readonly fault: FaultReport;
}

const UNCOUNTED = { read() {}, written() {} };

/**
 * Connects.
 *
 * @throws {DialError} If the backend refuses, or its certificate is not what it must be.
 */
export async function connectPrivateTls(
  { address, port }: Endpoint,
  { ca, minVersion, name, alpnProtocols, refused, prefix, signal, fault, turn }: PrivateTls,
): Promise<{ transport: SocketTransport; alpnProtocol: string | undefined }> {
  const socket = connectTcp({ host: formatIpAddress(address), port, noDelay: true, allowHalfOpen: true });
  socket.on("error", () => {}); // told where it is awaited
  const abort = () => socket.destroy(new Error("aborted"));
  signal.addEventListener("abort", abort, { once: true });
  try {
    await connected(socket);
    if (prefix !== undefined) socket.write(prefix);
    const source = tlsSource(socket);
    // A server name is never an address (RFC 6066 §3); `host` is what the certificate is compared with then.
    const whom = parseIpAddress(name) === undefined ? { servername: name } : { host: name };
    const tls = connectTls({
      socket,
      ...ca === undefined ? {} : { ca },
      ...whom,
      ALPNProtocols: [...alpnProtocols],
      minVersion: `TLSv${minVersion}`,
    });
    tls.on("error", () => {});
    try {
      await once(tls, "secureConnect");
    } catch (error) {
      throw new DialError("tls", error instanceof Error ? error.message : String(error));
    }
    const refusal = refused(() => pinOf(tls));
    if (refusal !== undefined) {
      tls.destroy();
      throw refusal;
    }
    const { alpnProtocol } = tls;
    return {
      transport: new SocketTransport(turn, tls, source, UNCOUNTED, fault),
      alpnProtocol: alpnProtocol || undefined,
    };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** The public key of what a backend has shown: the SHA-256 of its SubjectPublicKeyInfo (RFC 7469 §2.4). */
function pinOf(tls: TLSSocket): string | undefined {
  const key = tls.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
  return key && `sha256/${createHash("sha256").update(key).digest("base64")}`;
}

async function connected(socket: Socket): Promise<void> {
  try {
    await once(socket, "connect");
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code === "ECONNREFUSED") throw new DialError("refused", "the backend refuses connections");
    throw new DialError("unreachable", message);
  }
}
