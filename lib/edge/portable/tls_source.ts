/**
 * The socket under a TLS socket of node's, held back.
 *
 * A `TLSSocket` that is paused stops to tell what comes, but goes on to take it in: a peer whose data nobody wants yet
 * would fill the memory. So what is under it has to stop as well, and only then does the peer have to wait.
 *
 * @module
 */

import type { Duplex } from "node:stream";

/** Reads, or does not. */
export interface TlsSource {
  hold(): void;
  release(): void;
}

interface Handle {
  readStop(): unknown;
  readStart(): unknown;
}

/**
 * How to hold back a socket that was given to TLS: a stream that can do so itself, or a `Socket` of node:net, whose
 * handle TLS then reads from past the `Socket` and its `pause`.
 *
 * @throws {TypeError} If it is neither.
 */
export function tlsSource(socket: Duplex): TlsSource {
  if (isSource(socket)) return socket;
  const handle = (socket as { readonly _handle?: Partial<Handle> | null })._handle;
  if (!isHandle(handle)) throw new TypeError("this runtime's sockets cannot be held back");
  return { hold: () => void handle.readStop(), release: () => void handle.readStart() };
}

function isSource(socket: object): socket is TlsSource {
  return "hold" in socket && "release" in socket;
}

function isHandle(handle: Partial<Handle> | null | undefined): handle is Handle {
  return typeof handle?.readStop === "function" && typeof handle.readStart === "function";
}
