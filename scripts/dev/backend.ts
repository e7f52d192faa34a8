/**
 * A demo server behind the proxy: where it is, and how it ends.
 *
 * @module
 */

import { once } from "node:events";
import type { Server, Socket } from "node:net";

/** A server that runs. */
export interface Backend {
  /** Where it listens: `127.0.0.1:port`. */
  readonly addr: string;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

/** Has a server of node's listen on a free port of 127.0.0.1. */
export async function listen(server: Server): Promise<Backend> {
  const open = new Set<Socket>();
  server.prependListener("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("the server has no TCP address");
  return {
    addr: `${address.address}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** `address:port` of the other side. */
export function peerOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
