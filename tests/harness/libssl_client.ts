/**
 * A client of the system's libssl on a socket of its own, which can do to TLS what no library of a client's does.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AF_INET, EAGAIN, IPPROTO_TCP, Libc, SOL_SOCKET, TCP_CORK, TCP_NODELAY } from "../../lib/edge/linux/libc.ts";
import { ClientContext, sessionOf, type TlsSession } from "../../lib/edge/linux/libssl/client_context.ts";
import { BROKEN, ENDED, type Tls, WANT_READ } from "../../lib/edge/linux/libssl/connection.ts";
import { type Libssl, loadLibssl } from "../../lib/edge/linux/libssl/library.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_LENGTH } from "../../lib/edge/linux/sockaddr.ts";
import { DEFAULT_TLS } from "../../lib/edge/tls_settings.ts";
import { ipv4 } from "../../lib/wire/ip_address.ts";
import { joined, latin1, type Reachable } from "./raw_http.ts";

const SO_RCVBUF = 8;
const SSL_CTRL_SET_MAX_CERT_LIST = 51;
const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
const VERSIONS = { "1.2": 0x0303n, "1.3": 0x0304n } as const;
/** Enough for the chain of a test. */
const MAX_CHAIN = 1_000_000n;
const BUFFER = 65_536;

/** How to connect. */
export interface LibsslOptions {
  readonly serverName?: string;
  readonly protocols?: readonly string[];
  /** The newest version that is offered. */
  readonly version?: keyof typeof VERSIONS;
  readonly session?: TlsSession | undefined;
  /** Whether it has the smallest buffer for what it receives. */
  readonly isSmall?: boolean;
}

let libc: Libc | undefined;
const contexts = new Map<string, ClientContext>();

function contextFor({ cert }: { readonly cert: string }): { libssl: Libssl; context: ClientContext } {
  const libssl = loadLibssl();
  let context = contexts.get(cert);
  if (context === undefined) contexts.set(cert, context = new ClientContext(libssl, DEFAULT_TLS, cert));
  return { libssl, context };
}

/** See the module. */
export class LibsslClient implements Disposable {
  readonly tls: Tls;
  /** Its own end. */
  readonly localAddr: Deno.NetAddr;
  readonly #libc: Libc;
  readonly #libssl: Libssl;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(new ArrayBuffer(BUFFER));
  #isClosed = false;

  private constructor(libc: Libc, libssl: Libssl, tls: Tls, fd: number) {
    this.tls = tls;
    this.#libc = libc;
    this.#libssl = libssl;
    this.#fd = fd;
    const own = new Uint8Array(SOCKADDR_LENGTH);
    libc.getsockname(fd, own);
    this.localAddr = { transport: "tcp", hostname: "127.0.0.1", port: decodeSockaddr(own).port };
  }

  /** Connects, and says nothing yet. */
  static open(
    { proxy, authority }: Reachable,
    { serverName = "a.test", protocols = ["http/1.1"], version = "1.3", session, isSmall = false }: LibsslOptions = {},
  ): LibsslClient {
    libc ??= new Libc();
    const { libssl, context } = contextFor(authority);
    const fd = libc.socket(AF_INET);
    if (isSmall) libc.disable(fd, SOL_SOCKET, SO_RCVBUF);
    libc.enable(fd, IPPROTO_TCP, TCP_NODELAY);
    libc.connect(fd, encodeSockaddr({ address: ipv4(127, 0, 0, 1), port: proxy.address().port }));
    const tls = context.connect(fd, { name: serverName, protocols, session });
    const { SSL_ctrl } = libssl.functions;
    SSL_ctrl(tls.pointer, SSL_CTRL_SET_MAX_PROTO_VERSION, VERSIONS[version], null);
    SSL_ctrl(tls.pointer, SSL_CTRL_SET_MAX_CERT_LIST, MAX_CHAIN, null);
    return new LibsslClient(libc, libssl, tls, fd);
  }

  /** Connects and sends a ClientHello, and reads nothing of what comes of it. */
  static async greeting(to: Reachable, options: LibsslOptions = {}): Promise<LibsslClient> {
    for (;;) {
      const client = LibsslClient.open(to, options);
      await client.established();
      if (client.step() === undefined) return client;
      client.close(); // this process stood still meanwhile, and the answer was there within the call
    }
  }

  /** Connects and completes the handshake. */
  static async connect(to: Reachable, options: LibsslOptions = {}): Promise<LibsslClient> {
    const client = LibsslClient.open(to, options);
    assert.equal(await client.handshake(), 1, client.tls.error);
    return client;
  }

  /** Goes on with the handshake to its end. @returns 1, or how it failed. */
  handshake(): Promise<number> {
    return soon(() => this.step());
  }

  /** Takes one step of the handshake. @returns 1, how it failed, or `undefined` where it waits for the proxy. */
  step(): number | undefined {
    const result = this.tls.handshake();
    return result === 1 || result < WANT_READ - 1 ? result : undefined;
  }

  /** Resolves when the proxy's host has taken the connection. */
  async established(): Promise<void> {
    const none = new Uint8Array(new ArrayBuffer(1));
    await soon(() => this.#libc.send(this.#fd, none, 0) === 0 ? true : undefined);
  }

  /** Resolves when something has come that was not read yet. */
  async arrival(): Promise<void> {
    const one = new Uint8Array(new ArrayBuffer(1));
    await soon(() => this.#libc.peek(this.#fd, one, 1) !== -EAGAIN ? true : undefined);
  }

  /** Has what is sent during `run` leave in one segment, as far as it fits. */
  async inOneSegment(run: () => Promise<void>): Promise<void> {
    this.#libc.enable(this.#fd, IPPROTO_TCP, TCP_CORK);
    await run();
    this.#libc.disable(this.#fd, IPPROTO_TCP, TCP_CORK);
  }

  /** Sends all of it over TLS. */
  async send(...parts: readonly (Uint8Array | string)[]): Promise<void> {
    const bytes = joined(...parts);
    for (let sent = 0; sent < bytes.length;) {
      sent += await soon(() => {
        const result = this.tls.write(bytes.subarray(sent), bytes.length - sent);
        assert.ok(result > BROKEN && result !== ENDED, this.tls.error);
        return result > 0 ? result : undefined;
      });
    }
  }

  /** Sends bytes past TLS. @returns How many left. */
  sendRaw(bytes: Uint8Array<ArrayBuffer>): number {
    return this.#libc.send(this.#fd, bytes, bytes.length);
  }

  /** What comes next over TLS; or how it ended: `ended` with close_notify, `cut` without, `broken`. */
  read(): Promise<Uint8Array | "ended" | "cut" | "broken"> {
    return soon(() => {
      const length = this.tls.read(this.#buffer, this.#buffer.length);
      if (length > 0) return this.#buffer.slice(0, length);
      if (length === ENDED) return this.tls.isGone ? "cut" : "ended";
      return length === BROKEN ? "broken" : undefined;
    });
  }

  /** What comes until there is `end` in it. */
  async readUntil(end: string): Promise<string> {
    let text = "";
    while (!text.includes(end)) {
      const next = await this.read();
      assert.ok(
        typeof next !== "string",
        `${next} before ${JSON.stringify(end)} in ${text.length} bytes: ${this.tls.error}`,
      );
      text += latin1(next);
    }
    return text;
  }

  /** All that comes, and how it ends. */
  async readToEnd(): Promise<{ readonly text: string; readonly end: string }> {
    let text = "";
    for (;;) {
      const next = await this.read();
      if (typeof next === "string") return { text, end: next };
      text += latin1(next);
    }
  }

  /** What a later connection can go on from; nothing can be said on this one any more. */
  session(): TlsSession | undefined {
    return sessionOf(this.#libssl, this.tls);
  }

  /** Ends its half: close_notify and FIN, or FIN alone. */
  shut(says: "close_notify" | "nothing" = "close_notify"): void {
    if (says === "close_notify") this.tls.shutdown();
    this.#libc.shutdown(this.#fd);
  }

  /** Closes the socket: with FIN, where all was read, or with a reset. */
  close(how: "close" | "reset" = "close"): void {
    if (this.#isClosed) return; // another thread of this process may have its number by now
    this.#isClosed = true;
    this.tls.free();
    this.#libc[how](this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Asks again and again until there is a value: no event of the runtime's tells of a socket that is not its own. */
async function soon<T>(ask: () => T | undefined): Promise<T> {
  for (let asked = 0;; asked++) {
    const value = ask();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, asked < 20 ? 0 : 1));
  }
}
