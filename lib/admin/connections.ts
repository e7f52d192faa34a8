/**
 * The connections of admin clients.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { GoawayFilter } from "./goaway_filter.ts";

/** Accepts connections on a Unix socket, and knows which are open. */
export class Connections {
  readonly #serve: (connection: Duplex) => void;
  readonly #servers: Server[] = [];
  readonly #open = new Set<Duplex>();
  #closed: PromiseWithResolvers<void> | undefined;

  /** @param serve Takes a connection over. */
  constructor(serve: (connection: Duplex) => void) {
    this.#serve = serve;
  }

  /** Listens at a path, beside those before; rejects where that is not possible. */
  listen(path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const server = createServer((socket) => this.#take(socket));
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      this.#servers.push(server);
      resolve();
    });
    return promise;
  }

  #take(socket: Socket): void {
    const connection = withoutGoaway(socket);
    this.#open.add(connection);
    connection.on("close", () => {
      this.#open.delete(connection);
      if (this.#open.size === 0) this.#closed?.resolve();
    });
    this.#serve(connection);
  }

  /** Accepts no more, and ends every connection that is still open after so many milliseconds. */
  async close(timeoutMs: number): Promise<void> {
    for (const server of this.#servers) server.close();
    if (this.#open.size === 0) return;
    this.#closed = Promise.withResolvers();
    const timer = setTimeout(() => {
      for (const connection of this.#open) connection.destroy();
    }, timeoutMs);
    await this.#closed.promise;
    clearTimeout(timer);
  }
}

/** A socket as HTTP/2 is to see it: {@linkcode GoawayFilter} says why. */
function withoutGoaway(socket: Socket): Duplex {
  const filter = new GoawayFilter();
  const connection = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (bytes: Buffer) => {
    const passed = filter.filter(bytes);
    if (passed.length > 0 && !connection.push(passed)) socket.pause();
  });
  // A client that has said all and waits for an answer would not have closed its side: it has left.
  socket.on("end", () => connection.destroy());
  socket.on("error", () => connection.destroy());
  socket.on("close", () => connection.destroy());
  return connection;
}
