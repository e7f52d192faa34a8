/**
 * The connections of admin clients.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { type AcceptEvents, AcceptLoop } from "../control/accept_loop.ts";
import { ConnStream } from "../control/conn_stream.ts";
import { DescriptorReserve } from "../control/descriptor_reserve.ts";
import { GoawayFilter } from "./goaway_filter.ts";

/** How many clients can be served at once when the process has no other descriptor. */
const RESERVED = 8;

/** Accepts connections on a Unix socket, and knows which are open. */
export class Connections {
  readonly #serve: (connection: Duplex) => void;
  readonly #events: AcceptEvents;
  readonly #reserve = new DescriptorReserve(RESERVED);
  readonly #loops: AcceptLoop<Deno.UnixConn>[] = [];
  readonly #open = new Set<Duplex>();
  #closed: PromiseWithResolvers<void> | undefined;

  /** @param serve Takes a connection over. */
  constructor(serve: (connection: Duplex) => void, events: AcceptEvents) {
    this.#serve = serve;
    this.#events = events;
  }

  /** Why no connection can be accepted; `undefined` where one can. */
  get acceptProblem(): string | undefined {
    return this.#loops.map(({ problem }) => problem).find((problem) => problem !== undefined);
  }

  /** Listens at a path, beside those before; throws where that is not possible. */
  listen(path: string): void {
    const listener = Deno.listen({ transport: "unix", path });
    this.#loops.push(new AcceptLoop(listener, this.#reserve, (conn) => this.#take(conn), this.#events));
  }

  #take(conn: Deno.UnixConn): void {
    const filter = new GoawayFilter();
    const connection = new ConnStream(conn, (bytes) => filter.filter(bytes));
    this.#open.add(connection);
    // A client that has said all and waits for an answer would not have closed its side: it has left.
    connection.on("left", () => connection.destroy());
    connection.on("error", () => connection.destroy());
    connection.on("close", () => {
      this.#open.delete(connection);
      this.#reserve.returned();
      if (this.#open.size === 0) this.#closed?.resolve();
    });
    this.#serve(connection);
  }

  /** Accepts no more, and ends every connection that is still open after so many milliseconds. */
  async close(timeoutMs: number): Promise<void> {
    for (const loop of this.#loops) loop.close();
    this.#reserve[Symbol.dispose]();
    if (this.#open.size === 0) return;
    this.#closed = Promise.withResolvers();
    const timer = setTimeout(() => {
      for (const connection of this.#open) connection.destroy();
    }, timeoutMs);
    await this.#closed.promise;
    clearTimeout(timer);
  }
}
