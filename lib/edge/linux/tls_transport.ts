/**
 * A client's TLS in the loop of its worker. Prototype.
 *
 * @module
 */

import type { ClientTls, ClientTlsEvents } from "../http/client_tls.ts";
import type { Counting } from "../portable/socket_transport.ts";
import type { FaultReport } from "../http/transport.ts";
import type { EdgeWorker } from "./edge_worker.ts";
import { EPOLLIN, IPPROTO_TCP, TCP_CORK } from "./libc.ts";
import { BROKEN, ENDED, type Tls, type TlsContext, WANT_WRITE } from "./libssl.ts";
import { SocketBase } from "./socket_base.ts";

const CORK = Deno.env.get("CORK") === "1";

export class TlsTransport extends SocketBase implements ClientTls {
  readonly #tls: Tls;
  #handshake: ClientTlsEvents | undefined;
  #counting: Counting | undefined;
  bytesRead = 0;
  bytesWritten = 0;

  constructor(worker: EdgeWorker, fd: number, context: TlsContext) {
    super(worker, fd);
    this.#tls = context.accept(fd);
  }

  handshake(events: ClientTlsEvents, counting: Counting, fault: FaultReport): void {
    this.#handshake = events;
    this.#counting = counting;
    this.fault = fault;
    if (!this.add(EPOLLIN)) throw new Error("epoll_ctl");
    // The ClientHello is there. Nothing is told before this returns: the owner is being made. Where the client is so fast
    // that this is the end of the handshake, its request may be in OpenSSL's buffer already, of which epoll knows nothing.
    if (this.#goOn()) {
      this.worker.later2(() => {
        if (!this.over) this.contain(() => this.readable());
      });
    }
  }

  /** Goes on with the handshake. @returns Whether it is done. */
  #goOn(): boolean {
    const result = this.#tls.handshake();
    if (result === 1) return true;
    if (result === BROKEN || result === ENDED) {
      this.worker.later2(() => this.#fail(result === ENDED ? "the client closed the connection" : this.#tls.error));
    } else if (result === WANT_WRITE) throw new Error("a flight larger than the socket's buffer");
    return false;
  }

  readonly #uncork = (): void => {
    if (!this.over) this.worker.libc.disable(this.fd, IPPROTO_TCP, TCP_CORK);
  };

  #fail(detail: string): void {
    if (this.over) return;
    const events = this.#handshake;
    this.destroy();
    events?.failed(detail);
  }

  protected readable(): void {
    if (this.#handshake !== undefined) {
      // Two session tickets would be a segment each, and SETTINGS a third.
      this.worker.libc.enable(this.fd, IPPROTO_TCP, TCP_CORK);
      this.worker.later2(this.#uncork);
      if (!this.#goOn()) return;
      const events = this.#handshake;
      this.#handshake = undefined;
      events.secured(this.#tls.isHttp2 ? "h2" : "http/1.1");
      if (this.over || this.paused || !this.#tls.hasPending) return;
    }
    const { buffer } = this.worker;
    for (;;) {
      const length = this.#tls.read(buffer, buffer.length);
      if (length > 0) {
        this.bytesRead += length;
        this.#counting?.read(length);
        this.events?.received(buffer.subarray(0, length));
        if (this.over || this.paused || !this.#tls.hasPending) return;
      } else if (length === ENDED) return this.ended();
      else if (length === BROKEN) return this.broken(this.#tls.error);
      else return;
    }
  }

  protected send(bytes: Uint8Array<ArrayBuffer>): number {
    let sent = 0;
    const corks = bytes.length > 16384 && CORK;
    if (corks) this.worker.libc.enable(this.fd, IPPROTO_TCP, TCP_CORK);
    while (sent < bytes.length) {
      const written = this.#tls.write(sent === 0 ? bytes : bytes.subarray(sent), bytes.length - sent);
      if (written === BROKEN) return -1;
      if (written <= 0) break; // the same octets have to come again
      sent += written;
    }
    if (corks) this.worker.libc.disable(this.fd, IPPROTO_TCP, TCP_CORK);
    this.bytesWritten += sent;
    this.#counting?.written(sent);
    return sent;
  }

  protected shut(): void {
    if (this.#tls.isGone) return;
    this.#tls.shutdown();
    if (!this.inputEnded) this.worker.libc.shutdown(this.fd);
  }

  protected get hasPending(): boolean {
    return this.#tls.hasPending;
  }

  protected override release(): void {
    this.#tls.free();
  }
}
