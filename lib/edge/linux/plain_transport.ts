/**
 * A connection to a backend without TLS.
 *
 * @module
 */

import type { FaultReport } from "../http/transport.ts";
import { EAGAIN, EPOLLOUT, errorName } from "./libc.ts";
import type { Handler } from "./loop.ts";
import { SEND_BROKEN, SocketTransport } from "./socket_transport.ts";
import type { Thread } from "./thread.ts";

/** See the module. */
export class PlainTransport extends SocketTransport {
  protected readonly hasPending = false;
  protected readonly readsAfterReset = true;

  /** @param socket A connected socket that epoll was asked about, for EPOLLOUT: it is this transport's from now on. */
  constructor(thread: Thread, socket: Handler, fault: FaultReport) {
    super(thread);
    this.report = fault;
    thread.loop.replace(socket, this);
    this.isWatchedFor(EPOLLOUT);
  }

  protected readable(): void {
    const { buffer, libc } = this.thread;
    const length = libc.recv(this.fd, buffer, buffer.length);
    if (length > 0) this.events?.received(buffer.subarray(0, length));
    else if (length === 0) this.endInput();
    else if (length !== -EAGAIN) this.broken(errorName(-length));
  }

  protected send(bytes: Uint8Array<ArrayBuffer>): number {
    const sent = this.thread.libc.send(this.fd, bytes, bytes.length);
    if (sent >= 0) return sent;
    return sent === -EAGAIN ? 0 : SEND_BROKEN;
  }

  protected shut(): boolean {
    this.thread.libc.shutdown(this.fd);
    return true;
  }
}
