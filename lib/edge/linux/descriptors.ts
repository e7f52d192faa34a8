/**
 * Passing descriptors to another process: unix(7) SCM_RIGHTS.
 *
 * The receiver has a datagram socket at a path, the sender writes to it. Datagrams wait in the kernel, so both are done in
 * one turn each, without a connection.
 *
 * @module
 */

import { EAGAIN, errorName, Libc, MAX_DESCRIPTORS } from "./libc.ts";
import { unixSockaddr } from "./sockaddr.ts";

const MAX_PATH = 107; // octets; unix(7): sun_path holds 108 with the NUL at its end

/** Descriptors that could not be passed on. */
export class DescriptorError extends Error {
  override readonly name = "DescriptorError";
}

/** The receiver's end. */
export class DescriptorSocket implements Disposable {
  readonly path: string;
  readonly #libc = new Libc();
  readonly #fd: number;

  /**
   * Makes the socket.
   *
   * @param path Where; in a folder that nobody else may enter, since whoever can write to it can pass on what he likes.
   * @throws {DescriptorError} If it cannot be made.
   */
  constructor(path: string) {
    this.path = path;
    this.#fd = check("socket", this.#libc.datagramSocket());
    try {
      check(`bind ${path}`, this.#libc.bind(this.#fd, sockaddrOf(path)));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Takes what was sent so far, which must be so many; they are this process's.
   *
   * @throws {DescriptorError} If it is not.
   */
  take(count: number): number[] {
    const fds: number[] = [];
    try {
      while (fds.length < count) {
        const received = this.#libc.receiveDescriptors(this.#fd);
        if (typeof received === "number") throw new DescriptorError(`recvmsg: ${errorName(-received)}`);
        fds.push(...received);
      }
      if (fds.length === count) return fds;
      throw new DescriptorError(`${fds.length} descriptors in place of ${count}`);
    } catch (error) {
      for (const fd of fds) this.#libc.close(fd);
      throw error;
    }
  }

  /** Closes it; its path stays. */
  [Symbol.dispose](): void {
    this.#libc.close(this.#fd);
  }
}

/**
 * Passes descriptors, in this order, to the process that has a {@linkcode DescriptorSocket} at `path`. They stay this
 * process's, too.
 *
 * @throws {DescriptorError} If they cannot be passed.
 */
export function sendDescriptors(libc: Libc, path: string, descriptors: readonly number[]): void {
  const sockaddr = sockaddrOf(path);
  const fd = check("socket", libc.datagramSocket());
  try {
    for (let i = 0; i < descriptors.length; i += MAX_DESCRIPTORS) {
      const sent = libc.sendDescriptors(fd, sockaddr, descriptors.slice(i, i + MAX_DESCRIPTORS));
      // unix(7) max_dgram_qlen, 10 by default: 2,783 descriptors fit.
      if (sent === -EAGAIN) {
        throw new DescriptorError(`${descriptors.length} descriptors are more than its queue holds`);
      }
      check(`sendmsg ${path}`, sent);
    }
  } finally {
    libc.close(fd);
  }
}

/** struct sockaddr_un. */
function sockaddrOf(path: string): Uint8Array<ArrayBuffer> {
  const octets = new TextEncoder().encode(path);
  if (octets.length > MAX_PATH) {
    throw new DescriptorError(`the path of a socket has ${MAX_PATH} octets at most: ${path}`);
  }
  return unixSockaddr(octets);
}

function check(call: string, result: number): number {
  if (result < 0) throw new DescriptorError(`${call}: ${errorName(-result)}`);
  return result;
}
