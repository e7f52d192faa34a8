/**
 * An address and a port, kept for the life of a connection.
 *
 * @module
 */

import type { IpAddress } from "../../wire/ip_address.ts";
import { type Endpoint, formatEndpoint } from "../../wire/socket_address.ts";

/** The third word of an IPv4 address in its mapped form, whose first two are 0. */
const MAPPED = 0xffff;

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
    const address = new Uint8Array(16); // its `buffer`, for a DataView, would cost another allocation outside the heap
    setWord(address, 0, this.#word0);
    setWord(address, 4, this.#word1);
    setWord(address, 8, this.#word2);
    setWord(address, 12, this.#word3);
    return { address, port: this.port };
  }

  /** `host:port` as `formatEndpoint` writes it: of IPv4 without the address in between, for each connection has a line. */
  get text(): string {
    if (this.#word0 !== 0 || this.#word1 !== 0 || this.#word2 !== MAPPED) return formatEndpoint(this.endpoint);
    const ip = this.#word3;
    return `${ip >>> 24}.${ip >>> 16 & 0xff}.${ip >>> 8 & 0xff}.${ip & 0xff}:${this.port}`;
  }
}

function setWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) << 24 | (bytes[at + 1] ?? 0) << 16 | (bytes[at + 2] ?? 0) << 8 | (bytes[at + 3] ?? 0);
}
