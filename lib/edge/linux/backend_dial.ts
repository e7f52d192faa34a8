/**
 * Connecting to the backends of L7 routes, in the loop of the worker.
 *
 * @module
 */

import type { Endpoint } from "../../wire/socket_address.ts";
import type { Expirable } from "../deadlines.ts";
import type { HttpProtocol } from "../engine.ts";
import { messageOf } from "../thrown.ts";
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
import { refusedPin } from "../http/backend/pins.ts";
import type { FaultReport, TransportEvents } from "../http/transport.ts";
import type { TurnTask } from "../http/turn.ts";
import type { BackendTls, TlsPeer } from "./backend_tls.ts";
import {
  ECONNREFUSED,
  EINPROGRESS,
  ENOMEM,
  EPOLLIN,
  EPOLLOUT,
  errorName,
  ETIMEDOUT,
  IPPROTO_TCP,
  TCP_NODELAY,
} from "./libc.ts";
import { ENDED, type Tls, WANT_READ, WANT_WRITE } from "./libssl/connection.ts";
import type { Handler } from "./loop.ts";
import { PlainTransport } from "./plain_transport.ts";
import { encodeSockaddr, familyOf } from "./sockaddr.ts";
import type { Thread } from "./thread.ts";
import { TlsTransport } from "./tls_transport.ts";

/** Makes what connects from a worker. */
export function loopDial(thread: Thread, tls: TlsSource): Dial {
  return (options, done) => new BackendDial(thread, tls, options, done).begin();
}

/** Where TLS to backends comes from. */
export interface TlsSource {
  /** @throws {Error} If there is no library for it. */
  readonly backends: BackendTls;
}

/** TLS to a backend, once its handshake is done. */
class BackendTlsTransport extends TlsTransport {
  protected readonly readsAfterReset = true;
  readonly #backendTls: BackendTls;
  readonly #peer: TlsPeer;

  /** @param socket A connected socket that epoll was asked about, for `watched`. */
  constructor(
    thread: Thread,
    socket: Handler,
    watched: number,
    { tls, backendTls, peer, fault }: {
      readonly tls: Tls;
      readonly backendTls: BackendTls;
      readonly peer: TlsPeer;
      readonly fault: FaultReport;
    },
  ) {
    super(thread);
    this.tls = tls;
    this.report = fault;
    this.#backendTls = backendTls;
    this.#peer = peer;
    thread.loop.replace(socket, this);
    this.isWatchedFor(watched);
  }

  override start(events: TransportEvents): void {
    super.start(events);
    if (this.hasPending) this.readOn(); // a backend that speaks first may have spoken already
  }

  /** An answer that ends with its connection would be taken for whole, wherever it was cut off (RFC 9112 §9.8). */
  protected override inputCut(isCut: boolean): void {
    if (isCut) this.broken("the backend closed the connection without close_notify");
    else super.inputCut(isCut);
  }

  protected override release(): void {
    if (this.tls !== undefined && !this.tls.isGone) this.#backendTls.remember(this.tls, this.#peer);
    super.release();
  }
}

/** One dial: address by address, each for its share of the time. */
class BackendDial implements Handler, Expirable, TurnTask {
  fd = -1;
  generation = 0;
  deadline = 0;
  slot = -1;
  readonly #thread: Thread;
  readonly #tlsSource: TlsSource;
  readonly #options: DialOptions;
  readonly #done: (result: Dialled | Error) => void;
  readonly #giveUpAt: number;
  #tried = 0;
  #endpoint: Endpoint | undefined;
  #failure = new DialError("unresolved", "the backend's name has no address");
  /** Once it is connected, where the backend wants TLS. */
  #tls: Tls | undefined;
  #peer: TlsPeer | undefined;
  #watched = 0;

  constructor(thread: Thread, tls: TlsSource, options: DialOptions, done: (result: Dialled | Error) => void) {
    this.#thread = thread;
    this.#tlsSource = tls;
    this.#options = options;
    this.#done = done;
    this.#giveUpAt = thread.deadlines.time + options.connectMs;
  }

  /** Nothing is told from within the call. */
  begin(): void {
    if (!this.#connectNext()) this.#thread.turn.atEnd(this);
  }

  endTurn(): void {
    this.#tell(this.#failure);
  }

  onEvent(): void {
    try {
      if (this.#tls === undefined) this.#connected();
      else this.#step(this.#tls);
    } catch (thrown) {
      this.#fault(thrown);
    }
  }

  expire(): void {
    try {
      this.#failed(new DialError("timeout", "the backend does not answer"));
    } catch (thrown) {
      this.#fault(thrown);
    }
  }

  /** @returns Whether there is an address that may answer. */
  #connectNext(): boolean {
    const { addresses } = this.#options;
    while (this.#tried < addresses.length) {
      const endpoint = addresses[this.#tried++];
      if (endpoint === undefined) break;
      const errno = this.#connect(endpoint);
      if (errno === 0) {
        const left = addresses.length - this.#tried + 1;
        const { deadlines } = this.#thread;
        deadlines.set(this, Math.max((this.#giveUpAt - deadlines.time) / left, 1));
        return true;
      }
      this.#failure = failureOf(errno);
      this.#close();
    }
    return false;
  }

  /** Begins to connect; 0, or why that failed at once. */
  #connect(endpoint: Endpoint): number {
    const { libc, loop } = this.#thread;
    const sockaddr = encodeSockaddr(endpoint);
    const fd = libc.socket(familyOf(sockaddr));
    if (fd < 0) return -fd;
    this.#thread.own(this, fd);
    this.#endpoint = endpoint;
    libc.enable(fd, IPPROTO_TCP, TCP_NODELAY);
    const result = libc.connect(fd, sockaddr);
    if (result < 0 && result !== -EINPROGRESS) return -result;
    this.#watched = EPOLLOUT;
    return loop.add(this, EPOLLOUT) ? 0 : ENOMEM;
  }

  #connected(): void {
    const errno = this.#thread.libc.socketError(this.fd);
    if (errno !== 0) return this.#failed(failureOf(errno));
    const { prefix, settings, http1Only, fault } = this.#options;
    if (prefix !== undefined && this.#thread.libc.send(this.fd, prefix, prefix.length) !== prefix.length) {
      return this.#failed(new DialError("unreachable", "the backend takes no PROXY header"));
    }
    if (settings.backendTls) return this.#secure();
    this.#succeeded(() => new PlainTransport(this.#thread, this, fault), plainProtocol(settings, http1Only));
  }

  #secure(): void {
    const { settings, http1Only } = this.#options;
    this.#peer = {
      ca: settings.backendCa,
      pins: settings.backendPins,
      name: serverNameOf(settings),
      protocols: alpnOf(settings, http1Only),
      address: this.#endpoint === undefined ? "" : addressKey(this.#endpoint),
    };
    try {
      this.#tls = this.#tlsSource.backends.connect(this.fd, this.#peer);
    } catch (error) {
      return this.#failed(new DialError("tls", messageOf(error)));
    }
    this.#step(this.#tls);
  }

  /** Goes on with the handshake. */
  #step(tls: Tls): void {
    const result = tls.handshake();
    if (result === 1) return this.#secured(tls);
    if (result === WANT_READ || result === WANT_WRITE) return this.#watch(result === WANT_READ ? EPOLLIN : EPOLLOUT);
    this.#failed(this.#handshakeFailure(tls, result));
  }

  #secured(tls: Tls): void {
    const { settings, fault } = this.#options;
    const { protocol } = tls;
    const refused = refusedPin(settings, serverNameOf(settings), () => tls.peerPin);
    if (refused !== undefined) return this.#failed(refused);
    if (settings.backendProtocol === "h2" && protocol !== "h2") return this.#failed(noProtocol(settings));
    const peer = this.#peer;
    if (peer === undefined) throw new TypeError("TLS with nobody");
    this.#tls = undefined;
    const own = { tls, backendTls: this.#tlsSource.backends, peer, fault };
    this.#succeeded(
      () => new BackendTlsTransport(this.#thread, this, this.#watched, own),
      spoken(protocol),
    );
  }

  #handshakeFailure(tls: Tls, result: number): DialError {
    if (this.#peer !== undefined) this.#tlsSource.backends.forget(this.#peer);
    if (result === ENDED) return new DialError("tls", "the backend closed the connection within the handshake");
    if (refusesProtocols(tls.error)) return noProtocol(this.#options.settings);
    const rule = tls.verifyError;
    const name = this.#peer?.name ?? "";
    return new DialError("tls", rule === undefined ? tls.error : `the certificate of ${name} is not valid: ${rule}`);
  }

  #watch(events: number): void {
    if (events !== this.#watched) this.#thread.loop.change(this, events);
    this.#watched = events;
  }

  #failed(error: DialError): void {
    this.#failure = error;
    this.#close();
    if (!this.#connectNext()) this.#tell(this.#failure);
  }

  #succeeded(makeTransport: () => Dialled["transport"], protocol: HttpProtocol): void {
    this.#thread.deadlines.clear(this);
    const address = this.#endpoint === undefined ? "" : addressKey(this.#endpoint);
    this.#tell({ transport: makeTransport(), protocol, address });
  }

  #tell(result: Dialled | Error): void {
    try {
      this.#done(result);
    } catch (thrown) {
      this.#options.fault(thrown);
    }
  }

  #fault(thrown: unknown): void {
    this.#close();
    this.#tell(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }

  #close(): void {
    this.#thread.deadlines.clear(this);
    this.#tls?.free();
    this.#tls = undefined;
    this.#thread.closeSocket(this, false);
  }
}

function failureOf(errno: number): DialError {
  if (errno === ECONNREFUSED) return new DialError("refused", "the backend refuses connections");
  if (errno === ETIMEDOUT) return new DialError("timeout", "the backend does not answer");
  return new DialError("unreachable", errorName(errno));
}
