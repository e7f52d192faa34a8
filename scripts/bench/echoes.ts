/**
 * The client's side of the exchange, idle and latency rows.
 *
 * @module
 */

import { connect, Poller, READABLE, receive, send, WOULD_BLOCK } from "./libc.ts";
import { clientHello, ECHO_HOST, HELLO_LENGTH, MESSAGE_LENGTH } from "./protocol.ts";

/** The first of the addresses that connections come from, 127.1.0.1, and how many there are. */
const SOURCES = 0x7f010001;
const SOURCE_COUNT = 16;

/** Connections to the host that echoes. */
export class Echoes {
  readonly poller = new Poller();
  readonly onReady: (fd: number) => void;
  readonly #port: number;
  readonly #hello = clientHello(ECHO_HOST);
  #opened = 0;
  readonly #missing: number[] = []; // by descriptor, the bytes still to come

  /** @param onEcho Called when a message has come back: the first is sent here, the next ones there. */
  constructor(port: number, message: Uint8Array<ArrayBuffer>, onEcho: (fd: number) => void) {
    const buffer = new Uint8Array(64 * 1024);
    this.#port = port;
    this.onReady = (fd) => {
      const n = receive(fd, buffer);
      if (n === WOULD_BLOCK) return;
      if (n <= 0) throw new Error("the proxy ended a connection");
      const missing = (this.#missing[fd] ?? 0) - n;
      this.#missing[fd] = missing;
      if (missing > MESSAGE_LENGTH) return;
      if (missing === MESSAGE_LENGTH) return void send(fd, message);
      if (missing > 0) return;
      this.#missing[fd] = MESSAGE_LENGTH;
      onEcho(fd);
    };
  }

  /** Opens one; its ClientHello comes back, then the first message goes out. */
  open(): number {
    // From several addresses: of one alone, the kernel has some 28,000 ports to give.
    const fd = greet(connect(this.#port, SOURCES + this.#opened++ % SOURCE_COUNT), this.#hello);
    this.#missing[fd] = HELLO_LENGTH + MESSAGE_LENGTH;
    this.poller.add(fd, READABLE);
    return fd;
  }
}

/** Sends a ClientHello on a new connection. */
export function greet(fd: number, hello: Uint8Array<ArrayBuffer>): number {
  if (send(fd, hello) !== hello.length) throw new Error("the ClientHello did not go out whole");
  return fd;
}
