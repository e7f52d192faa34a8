/**
 * Dialling a backend.
 *
 * @module
 */

import type { Endpoint } from "../../wire/socket_address.ts";
import type { CounterWriter } from "../counters.ts";
import type { Expirable } from "../deadlines.ts";
import type { End } from "../end.ts";
import type { RouteSnapshot } from "../snapshot.ts";
import {
  ECONNREFUSED,
  EINPROGRESS,
  ENOMEM,
  errorName,
  ETIMEDOUT,
  IPPROTO_TCP,
  TCP_NODELAY,
  TCP_QUICKACK,
} from "./libc.ts";
import type { Handler } from "./loop.ts";
import { encodeSockaddr, familyOf } from "./sockaddr.ts";
import type { Thread } from "./thread.ts";

const REPORT_PAUSE_MS = 1_000;

/** A backend's addresses, and which of them answered last. */
export class Backend {
  /** Dialled first. */
  #preferred = 0;
  #reportedAt = -Infinity;
  readonly addresses: readonly Uint8Array<ArrayBuffer>[];

  constructor(addresses: readonly Endpoint[]) {
    this.addresses = addresses.map(encodeSockaddr);
  }

  /** The address that is dialled after `dialled` others. */
  at(dialled: number): Uint8Array<ArrayBuffer> | undefined {
    return this.addresses[(this.#preferred + dialled) % this.addresses.length];
  }

  /** Dials first, from now on, the address that is dialled after `dialled` others. */
  prefer(dialled: number): void {
    this.#preferred = (this.#preferred + dialled) % this.addresses.length;
  }

  /** Whether to report that none of its addresses answers: once a second is enough. */
  shouldReport(nowMs: number): boolean {
    if (nowMs - this.#reportedAt < REPORT_PAUSE_MS) return false;
    this.#reportedAt = nowMs;
    return true;
  }
}

/** What a dial needs of its worker. */
export interface DialWorker extends Thread {
  readonly counters: CounterWriter;
  readonly backends: ReadonlyMap<string, Backend>;
  /** None of a backend's addresses answers. */
  dialFailed(backend: string): void;
}

/** What a dial needs of the connection that it is for. */
export interface DialledConnection extends Expirable {
  readonly worker: DialWorker;
  readonly backend: Handler;
  readonly route: RouteSnapshot | undefined;
  /** How many of the backend's addresses were dialled, and until when the rest may be. */
  dialled: number;
  readonly giveUpAt: number;
  /** Registers a side with the loop of the worker; `false` where the kernel has no room for it. */
  watch(side: Handler): boolean;
  finish(end: End): void;
}

/**
 * Dials the next address of the connection's backend, each for its share of the time that is left; first the one that
 * answered last.
 *
 * @param failure How the connection ends where there is no other address: what became of the last one.
 */
export function dialNext(connection: DialledConnection, failure: End): void {
  const { worker, backend: side } = connection;
  const name = connection.route?.backend ?? "";
  const backend = worker.backends.get(name);
  const count = backend?.addresses.length ?? 0;
  worker.closeSocket(side, false);
  let last = failure;
  while (connection.dialled < count) {
    const sockaddr = backend?.at(connection.dialled);
    const left = count - connection.dialled++;
    if (sockaddr === undefined) break;
    const error = connect(connection, sockaddr);
    if (error === 0) {
      worker.deadlines.set(connection, (connection.giveUpAt - worker.deadlines.time) / left);
      return;
    }
    last = dialFailure(error);
    worker.closeSocket(side, false);
  }
  worker.counters.routes.dialFailed(connection.route?.rows.backend ?? 0);
  if (backend?.shouldReport(worker.deadlines.now)) worker.dialFailed(name);
  connection.finish(last);
}

/** Begins to connect; 0, or why that failed at once. */
function connect(connection: DialledConnection, sockaddr: Uint8Array<ArrayBuffer>): number {
  const { worker, backend: side } = connection;
  const { libc } = worker;
  const fd = libc.socket(familyOf(sockaddr));
  if (fd < 0) return -fd;
  worker.own(side, fd);
  libc.enable(fd, IPPROTO_TCP, TCP_NODELAY);
  // The ClientHello follows at once, and carries the acknowledgement that ends the handshake: a segment less.
  libc.disable(fd, IPPROTO_TCP, TCP_QUICKACK);
  const result = libc.connect(fd, sockaddr);
  if (result < 0 && result !== -EINPROGRESS) return -result;
  return connection.watch(side) ? 0 : ENOMEM;
}

/** How a connection ends whose backend answered a dial with `errno`. */
export function dialFailure(errno: number): End {
  if (errno === ECONNREFUSED) return { reason: "backend_refused" };
  if (errno === ETIMEDOUT) return { reason: "backend_timeout" };
  return { reason: "backend_unreachable", detail: errorName(errno) };
}
