/**
 * What everything in the thread of a worker shares: its loop, its turn, its descriptors.
 *
 * @module
 */

import { BufferPool } from "../buffer_pool.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { Deadlines } from "../deadlines.ts";
import { Libc } from "./libc.ts";
import { type Handler, Loop } from "./loop.ts";
import { decodeSockaddr, SOCKADDR_LENGTH } from "./sockaddr.ts";
import { LoopTurn } from "./turn.ts";

/** One buffer serves every connection of the worker: bytes are in it only within one call of a handler. */
const BUFFER_LENGTH = 256 * 1024;

/** See the module. */
export class Thread {
  readonly libc = new Libc({ spares: true });
  readonly loop = new Loop(this.libc);
  readonly deadlines = new Deadlines(this.libc.now());
  readonly turn = new LoopTurn(this.deadlines);
  readonly buffer = new Uint8Array(BUFFER_LENGTH);
  readonly pool = new BufferPool();
  readonly #owners: Uint16Array;
  readonly #owner: number;

  /**
   * @param owners Which thread owns each descriptor of the process, in memory that all of them share.
   * @param owner This thread's number in it, from 1.
   */
  constructor(owners: SharedArrayBuffer, owner: number) {
    this.#owners = new Uint16Array(owners);
    this.#owner = owner;
    this.#mark(this.loop.fd, owner);
  }

  /** Has `handler` own a descriptor. Should this thread die, the others know whose it was. */
  own(handler: { fd: number }, fd: number): void {
    handler.fd = fd;
    this.#mark(fd, this.#owner);
  }

  /** Closes what `handler` owns, with a reset in place of FIN if asked to. */
  closeSocket(handler: Handler, reset: boolean): void {
    if (handler.fd < 0) return;
    this.loop.forget(handler);
    this.#mark(handler.fd, 0);
    if (reset) this.libc.reset(handler.fd);
    else this.libc.close(handler.fd);
    handler.fd = -1;
  }

  /** The address that a socket is bound to. */
  ownAddress(fd: number): Endpoint {
    const sockaddr = new Uint8Array(SOCKADDR_LENGTH);
    this.libc.getsockname(fd, sockaddr);
    return decodeSockaddr(sockaddr);
  }

  #mark(fd: number, owner: number): void {
    this.#owners[fd] = owner; // beyond the end of the table nothing is kept, and nothing is cleaned up
  }
}
