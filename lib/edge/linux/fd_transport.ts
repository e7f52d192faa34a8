/**
 * A connection to a backend without TLS, in the loop of its worker. Prototype.
 *
 * @module
 */

import { addressKey, type Dialled, type DialOptions } from "../portable/backend_dial.ts";
import { DialError } from "../http/backend/dial_error.ts";
import { startTimer, stopTimer } from "../turn.ts";
import type { EdgeWorker } from "./edge_worker.ts";
import { EAGAIN, ECONNREFUSED, EINPROGRESS, EPOLLOUT, errorName, IPPROTO_TCP, TCP_NODELAY } from "./libc.ts";
import { encodeSockaddr, familyOf } from "./sockaddr.ts";
import { SocketBase } from "./socket_base.ts";

/** As much as one turn takes of one connection. */
const MOST = Number(Deno.env.get("MOST") ?? 256) * 1024;

export class FdTransport extends SocketBase {
  #connected: ((errno: number) => void) | undefined;

  constructor(worker: EdgeWorker, fd: number, connected: (errno: number) => void) {
    super(worker, fd);
    worker.own(this, fd);
    this.#connected = connected;
    this.add(EPOLLOUT);
  }

  override onEvent(events: number): void {
    const connected = this.#connected;
    if (connected === undefined) return super.onEvent(events);
    this.#connected = undefined;
    const errno = this.worker.libc.socketError(this.fd);
    if (errno === 0) this.watch();
    connected(errno);
  }

  protected readable(): void {
    const { buffer, libc } = this.worker;
    const length = libc.recv(this.fd, buffer, MOST);
    if (length > 0) this.events?.received(buffer.subarray(0, length));
    else if (length === 0) this.ended();
    else if (length !== -EAGAIN) this.broken(errorName(-length));
  }

  protected send(bytes: Uint8Array<ArrayBuffer>): number {
    const sent = this.worker.libc.send(this.fd, bytes, bytes.length);
    return sent >= 0 ? sent : sent === -EAGAIN ? 0 : -1;
  }

  protected shut(): void {
    this.worker.libc.shutdown(this.fd);
  }

  protected readonly hasPending = false;
}

/** A `Dial` in the loop: address by address, each for its share of the time. */
export function dialInLoop(
  worker: EdgeWorker,
  options: DialOptions,
  done: (result: Dialled | Error) => void,
): void {
  const { addresses, settings, connectMs, http1Only, prefix } = options;
  const giveUpAt = worker.deadlines.now + connectMs;
  let i = 0;
  const next = (failure: DialError): void => {
    const endpoint = addresses[i];
    if (endpoint === undefined) return done(failure);
    const share = (giveUpAt - worker.deadlines.now) / (addresses.length - i++);
    const sockaddr = encodeSockaddr(endpoint);
    const { libc } = worker;
    const fd = libc.socket(familyOf(sockaddr));
    if (fd < 0) return next(new DialError("unreachable", errorName(-fd)));
    libc.enable(fd, IPPROTO_TCP, TCP_NODELAY);
    const result = libc.connect(fd, sockaddr);
    if (result < 0 && result !== -EINPROGRESS) {
      libc.close(fd);
      return next(failureOf(-result));
    }
    const transport = new FdTransport(worker, fd, (errno) => {
      stopTimer(timer);
      if (errno !== 0) {
        transport.destroy();
        return next(failureOf(errno));
      }
      if (prefix !== undefined) libc.send(fd, prefix as Uint8Array<ArrayBuffer>, prefix.length);
      const h2 = settings.backendProtocol !== "http1" && !http1Only;
      done({ transport, protocol: h2 ? "h2" : "http/1.1", address: addressKey(endpoint) });
    });
    const timer = startTimer(() => {
      transport.destroy();
      next(new DialError("timeout", "the backend does not answer"));
    }, Math.max(share, 1));
  };
  next(new DialError("unresolved", "the backend's name has no address"));
}

function failureOf(errno: number): DialError {
  if (errno === ECONNREFUSED) return new DialError("refused", "the backend refuses connections");
  return new DialError("unreachable", errorName(errno));
}
