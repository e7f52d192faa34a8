/**
 * Passing bytes between a client and its backend.
 *
 * @module
 */

import type { CounterWriter } from "../counters.ts";
import type { Expirable } from "../deadlines.ts";
import type { End } from "../end.ts";
import type { EdgeTimeouts } from "../snapshot.ts";
import { EAGAIN } from "./libc.ts";
import type { Handler } from "./loop.ts";
import type { Thread } from "./thread.ts";

/** What the relay needs of its worker. */
export interface RelayWorker extends Thread {
  readonly counters: CounterWriter;
  readonly timeouts: EdgeTimeouts;
  /** Has a relay go on once others have had their turn. */
  later(from: Relaying): void;
}

/** What the relay needs of the connection that it serves. */
export interface RelayedConnection extends Expirable {
  readonly client: Relaying;
  readonly backend: Relaying;
  /** Its listener's place in the snapshot. */
  readonly listener: number;
  bytesIn: number;
  bytesOut: number;
  /** A socket failed: its peer reset it. */
  broken(side: Relaying, errno: number): void;
  finish(end: End): void;
}

/** What the relay knows of one side. */
export interface Relaying extends Handler {
  /** The peer has sent FIN or broken off: whatever is left to read is read to its end. */
  hungUp: boolean;
  /** The peer has sent FIN, and there is no error to be read behind it. */
  finished: boolean;
  /** All that the peer sent has been read. */
  eof: boolean;
  /** FIN was sent to the peer. */
  shut: boolean;
  /** What was read for this side and its kernel buffer did not take: `pending[pendingStart..pendingEnd]`. */
  pending: Uint8Array<ArrayBuffer> | undefined;
  pendingStart: number;
  pendingEnd: number;
}

/** How many reads one connection may do in a row: then others have their turn. */
const READS = 4;

/**
 * Moves bytes from one side to the other until the one has no more or the other takes no more.
 *
 * Nothing is read while something is pending, so the other side's kernel buffer, and at most one buffer of ours, is all
 * that a slow receiver can hold up. A read that does not fill the buffer has emptied the socket: since events are
 * edge-triggered, the next byte is an event, and no second read is needed to find `EAGAIN`, epoll(7). Nor is one to find
 * the end where a FIN had come before: it stands behind the bytes. After an error there may be no further event, so there
 * the reads go on until it is met.
 */
export function pump(worker: RelayWorker, connection: RelayedConnection, from: Relaying, to: Relaying): void {
  const { libc, buffer } = worker;
  for (let reads = 0; reads < READS;) {
    if (to.pending !== undefined && !flush(worker, connection, to)) return;
    if (from.eof) return endOfStream(worker, connection, from, to);
    const length = libc.recv(from.fd, buffer, buffer.length);
    if (length > 0) {
      reads++;
      // The last bytes share a segment with the FIN that follows at once.
      const last = from.finished && length < buffer.length;
      const sent = last ? libc.sendMore(to.fd, buffer, length) : libc.send(to.fd, buffer, length);
      if (sent < 0 && sent !== -EAGAIN) return connection.broken(to, -sent);
      passed(worker, connection, from, Math.max(sent, 0));
      if (sent < length) return keep(worker, to, Math.max(sent, 0), length);
      if (last) from.eof = true;
      else if (length < buffer.length && !from.hungUp) return;
    } else if (length === 0) {
      from.eof = true;
    } else if (length === -EAGAIN) {
      return;
    } else {
      return connection.broken(from, -length);
    }
  }
  worker.later(from);
}

/** Keeps what is left of the worker's buffer until `to` takes it. */
function keep(worker: RelayWorker, to: Relaying, start: number, end: number): void {
  const chunk = worker.pool.take(end - start);
  chunk.set(worker.buffer.subarray(start, end));
  to.pending = chunk;
  to.pendingStart = 0;
  to.pendingEnd = end - start;
}

/** Sends what is pending; whether all of it is gone. */
function flush(worker: RelayWorker, connection: RelayedConnection, to: Relaying): boolean {
  const { pending } = to;
  if (pending === undefined) return true;
  const rest = pending.subarray(to.pendingStart, to.pendingEnd);
  const sent = worker.libc.send(to.fd, rest, rest.length);
  if (sent < 0) {
    if (sent !== -EAGAIN) connection.broken(to, -sent);
    return false;
  }
  to.pendingStart += sent;
  passed(worker, connection, to === connection.client ? connection.backend : connection.client, sent);
  if (to.pendingStart < to.pendingEnd) return false;
  worker.pool.give(pending);
  to.pending = undefined;
  return true;
}

function passed(worker: RelayWorker, connection: RelayedConnection, from: Relaying, bytes: number): void {
  if (bytes === 0) return;
  worker.deadlines.extend(connection, worker.timeouts.idleMs);
  if (from === connection.client) {
    connection.bytesIn += bytes;
    worker.counters.bytesIn(connection.listener, bytes);
  } else {
    connection.bytesOut += bytes;
    worker.counters.bytesOut(connection.listener, bytes);
  }
}

/** Passes a half-close on; the second one ends the connection. */
function endOfStream(worker: RelayWorker, connection: RelayedConnection, from: Relaying, to: Relaying): void {
  if (to.shut) return;
  to.shut = true;
  if (from.shut) return connection.finish({ reason: "closed" });
  const result = worker.libc.shutdown(to.fd);
  if (result < 0) connection.broken(to, -result);
}
