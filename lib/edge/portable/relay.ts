/**
 * Passing bytes between a client and its backend.
 *
 * @module
 */

import type { BufferPool } from "../buffer_pool.ts";
import type { Deadlines, Expirable } from "../deadlines.ts";
import { brokenOff, type End } from "../end.ts";
import type { EdgeTimeouts } from "../snapshot.ts";
import { messageOf } from "../thrown.ts";

/** Which way bytes go: `in` from client to backend, `out` from backend to client. */
export type Direction = "in" | "out";

/** What relaying needs of the engine. */
export interface RelayEngine {
  readonly deadlines: Deadlines;
  readonly pool: BufferPool;
  readonly timeouts: EdgeTimeouts;
}

/** What relaying needs of a connection. */
export interface RelayedConnection extends Expirable {
  readonly engine: RelayEngine;
  /** The client's. */
  readonly socket: Deno.TcpConn;
  /** How it ended; `undefined` while it lives. */
  readonly ended: End | undefined;
  /** Counts bytes that were passed on. */
  passed(direction: Direction, bytes: number): void;
  finish(end: End): void;
}

/**
 * Passes bytes both ways until both sides have sent all they had.
 *
 * Backpressure is in the order of things: nothing is read before what was read last has been taken. A half-close is
 * passed on as a half-close.
 */
export async function relay(connection: RelayedConnection, backend: Deno.TcpConn): Promise<End> {
  await Promise.all([pump(connection, "in", backend), pump(connection, "out", backend)]);
  return { reason: "closed" };
}

async function pump(connection: RelayedConnection, direction: Direction, backend: Deno.TcpConn): Promise<void> {
  const { pool } = connection.engine;
  const from = direction === "in" ? connection.socket : backend;
  const to = direction === "in" ? backend : connection.socket;
  let buffer = pool.take();
  for (;;) {
    const n = await read(connection, from, buffer);
    if (n === null) break;
    if (!await writeAll(connection, to, n === buffer.length ? buffer : buffer.subarray(0, n))) break;
    connection.passed(direction, n);
    buffer = pool.adapt(buffer, n);
  }
  pool.give(buffer);
  await closeWrite(connection, to);
}

/** Reads some bytes; `null` at the end of the stream, and where the connection is over. */
async function read(connection: RelayedConnection, from: Deno.TcpConn, buffer: Uint8Array): Promise<number | null> {
  try {
    return await from.read(buffer);
  } catch (error) {
    connection.finish(endOf(connection, from, error));
    return null;
  }
}

/** Writes all of `bytes`; `false` where the connection is over. */
export async function writeAll(connection: RelayedConnection, to: Deno.TcpConn, bytes: Uint8Array): Promise<boolean> {
  const { deadlines, timeouts } = connection.engine;
  try {
    let sent = await to.write(bytes);
    deadlines.extend(connection, timeouts.idleMs);
    while (sent < bytes.length) {
      sent += await to.write(bytes.subarray(sent));
      deadlines.extend(connection, timeouts.idleMs);
    }
    return true;
  } catch (error) {
    connection.finish(endOf(connection, to, error));
    return false;
  }
}

async function closeWrite(connection: RelayedConnection, to: Deno.TcpConn): Promise<void> {
  if (connection.ended !== undefined) return;
  try {
    await to.closeWrite();
  } catch (error) {
    connection.finish(endOf(connection, to, error));
  }
}

/**
 * A socket of the connection failed: its peer reset it, unless the connection was over before. The system says EPIPE
 * where a FIN had come before.
 */
function endOf(connection: RelayedConnection, socket: Deno.TcpConn, error: unknown): End {
  const hadEnded = error instanceof Deno.errors.BrokenPipe;
  return { reason: brokenOff(socket === connection.socket, hadEnded), detail: messageOf(error) };
}
