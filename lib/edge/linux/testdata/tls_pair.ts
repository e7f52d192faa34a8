/**
 * A client of libssl's against a `ServerTransport`, both in the thread of the test.
 *
 * @module
 */

import { type Authority, createAuthority, type KeyPair } from "../../../../scripts/dev/certificates.ts";
import { ipv4 } from "../../../wire/ip_address.ts";
import type { CertificateSnapshot, RouteSnapshot } from "../../snapshot.ts";
import { DEFAULT_TLS, type TlsSettings } from "../../tls_settings.ts";
import { newTicketKey, type TicketKey } from "../../ticket_key.ts";
import { CompactEndpoint } from "../compact_endpoint.ts";
import { ClientContext, type TlsSession } from "../libssl/client_context.ts";
import { BROKEN, ENDED, type Tls, WANT_READ } from "../libssl/connection.ts";
import { type Libssl, loadLibssl } from "../libssl/library.ts";
import { ServerContext, ServerTls } from "../libssl/server_context.ts";
import { TicketKeys } from "../libssl/ticket_keys.ts";
import { ServerTransport } from "../server_transport.ts";
import { socketPair, type TestThread, Told } from "./test_thread.ts";

const NAME = "a.test";

export const AUTHORITY: Authority = await createAuthority("Test");
export const CERTIFICATE: KeyPair = await AUTHORITY.issue({ hostnames: [NAME] });

const ROUTE: RouteSnapshot = {
  hostname: NAME,
  backend: "b",
  sendProxyProtocol: false,
  rows: { backend: 0, hostname: 0 },
  http: undefined,
};

/** The file that the tests load: the one that `MC_PROXY_LIBSSL` names, `""` for the system's. */
export const LIBSSL_UNDER_TEST: string = Deno.env.get("MC_PROXY_LIBSSL") ?? "";

/**
 * Loads the libssl that the tests are about. A process can load only one: the second binds to the libcrypto of the
 * first, and lacks functions then.
 *
 * @throws {LibsslError} If it cannot be used.
 */
export function libsslUnderTest(): Libssl {
  return loadLibssl(LIBSSL_UNDER_TEST);
}

/** What a server has, and its clients. */
export class TlsSide implements Disposable {
  readonly libssl: Libssl;
  readonly keys: TicketKeys;
  readonly server: ServerContext;
  readonly client: ClientContext;

  constructor(
    {
      libssl = libsslUnderTest(),
      settings = DEFAULT_TLS,
      pem = CERTIFICATE,
      tickets = [newTicketKey()],
    }: {
      readonly libssl?: Libssl;
      readonly settings?: TlsSettings;
      readonly pem?: CertificateSnapshot;
      readonly tickets?: readonly TicketKey[];
    } = {},
  ) {
    this.libssl = libssl;
    this.keys = new TicketKeys(libssl);
    this.keys.set(tickets);
    this.server = new ServerContext(new ServerTls(libssl, settings, this.keys), pem);
    this.client = new ClientContext(libssl, DEFAULT_TLS, AUTHORITY.cert);
  }

  [Symbol.dispose](): void {
    this.server.free();
    this.client.free();
  }
}

/** How to connect. */
export interface PairOptions {
  readonly protocols?: readonly string[];
  readonly session?: TlsSession;
  /** Whether the sockets have the smallest buffers there are. */
  readonly isSmall?: boolean;
}

/** One connection. */
export class TlsPair implements Disposable {
  readonly thread: TestThread;
  readonly transport: ServerTransport;
  readonly told = new Told();
  /** How the handshake ended, of the server: a protocol, or `failed: …`. */
  handshake = "";
  /** What is done once the server is secured; by default it starts. */
  onSecured: () => void = () => this.transport.start(this.told);
  readonly faults: unknown[] = [];
  readonly peer: Tls;
  readonly peerFd: number;
  /** Of the peer: 1 once its handshake is done. */
  peerHandshake = WANT_READ;
  #isPeerFreed = false;

  constructor(thread: TestThread, side: TlsSide, { protocols = ["h2"], session, isSmall = false }: PairOptions = {}) {
    this.thread = thread;
    const [peerFd, fd] = socketPair(thread.libc, isSmall);
    this.peerFd = peerFd;
    this.peer = side.client.connect(peerFd, { name: NAME, protocols, session });
    this.transport = new ServerTransport(
      thread,
      fd,
      { listener: 0, source: new CompactEndpoint(ipv4(127, 0, 0, 1), 1), serverName: NAME, servedRoute: ROUTE },
      undefined,
    );
    this.transport.secure(side.server).handshake(
      {
        secured: (protocol) => {
          this.handshake = protocol;
          this.onSecured();
        },
        failed: (detail) => this.handshake = `failed: ${detail}`,
      },
      { read: () => {}, written: () => {} },
      (thrown) => this.faults.push(thrown),
    );
  }

  /** Has the peer go on with its handshake. */
  greet(): void {
    if (this.peerHandshake !== 1) this.peerHandshake = this.peer.handshake();
  }

  /** Ends the handshake on both sides, well or not. */
  shake(): this {
    const isOver = () => this.peerHandshake === 1 || this.peerHandshake === BROKEN || this.peerHandshake === ENDED;
    this.thread.until(() => isOver() && this.handshake !== "", () => this.greet());
    return this;
  }

  /** Has the peer send a text. */
  say(text: string): void {
    const bytes = new TextEncoder().encode(text);
    const sent = this.peer.write(bytes, bytes.length);
    if (sent !== bytes.length) throw new Error(`the peer has sent ${sent}: ${this.peer.error}`);
  }

  /** All that the peer can read at this moment, behind what else it has read. @returns What the last read gave. */
  hear(into: number[]): number {
    const buffer = new Uint8Array(new ArrayBuffer(16_384));
    let result = this.peer.read(buffer, buffer.length);
    for (; result > 0; result = this.peer.read(buffer, buffer.length)) into.push(...buffer.subarray(0, result));
    return result;
  }

  /** Closes the peer's socket, with FIN or with a reset. */
  leave(how: "close" | "reset" = "close"): void {
    if (this.#isPeerFreed) return; // another thread may have the number by now
    this.#isPeerFreed = true;
    this.peer.free();
    this.thread.libc[how](this.peerFd);
  }

  [Symbol.dispose](): void {
    this.leave();
    this.transport.destroy();
  }
}
