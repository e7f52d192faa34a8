/**
 * An address and a port, kept for the life of a connection.
 *
 * @module
 */

import type { IpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";

/**
 * By its fields it takes some 64 octets, where an {@linkcode Endpoint} takes about 300, most of them its typed array, and
 * the text of one about 100: of an idle connection either would be a good part. The text is made only where it is wanted.
 */
export class CompactEndpoint {
  // V8 keeps integers of 32 bits in the object itself.
  readonly #word0: number;
  readonly #word1: number;
  readonly #word2: number;
  readonly #word3: number;
  readonly port: number;

  /** @param address Is read, not kept. @param port 0 to 65535. */
  constructor(address: IpAddress, port: number) {
    this.#word0 = word(address, 0);
    this.#word1 = word(address, 4);
    this.#word2 = word(address, 8);
    this.#word3 = word(address, 12);
    this.port = port;
  }

  /** The endpoint in its usual form, made anew. */
  get endpoint(): Endpoint {
    const address = new Uint8Array(16);
    const view = new DataView(address.buffer);
    view.setInt32(0, this.#word0);
    view.setInt32(4, this.#word1);
    view.setInt32(8, this.#word2);
    view.setInt32(12, this.#word3);
    return { address, port: this.port };
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) << 24 | (bytes[at + 1] ?? 0) << 16 | (bytes[at + 2] ?? 0) << 8 | (bytes[at + 3] ?? 0);
}
