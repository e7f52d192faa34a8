/**
 * The thread of a worker, turn by turn in the hands of a test, and connected sockets to give to it.
 *
 * @module
 */

import { ipv4 } from "../../../wire/ip_address.ts";
import type { Endpoint } from "../../../wire/socket_address.ts";
import type { HttpEnd } from "../../http/client_connection.ts";
import type { TransportEvents } from "../../http/transport.ts";
import { Handshakes } from "../handshakes.ts";
import { AF_INET, IPPROTO_TCP, type Libc, SOL_SOCKET, TCP_NODELAY } from "../libc.ts";
import type { ServedConnection, ServerTransportOwner } from "../server_transport.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_LENGTH } from "../sockaddr.ts";
import { Thread } from "../thread.ts";

const DESCRIPTORS = 4_096;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;

/** What is asked for comes within far fewer turns, or never. */
const MOST_TURNS = 200_000;

/** See the module. */
export class TestThread extends Thread implements ServerTransportOwner {
  readonly handshakes = new Handshakes(this.libc);
  readonly ends: HttpEnd[] = [];

  constructor() {
    super(new SharedArrayBuffer(2 * DESCRIPTORS), 1);
  }

  override ownAddress(): Endpoint {
    return { address: ipv4(127, 0, 0, 1), port: 443 };
  }

  servedEnded(_connection: ServedConnection, end: HttpEnd): void {
    this.ends.push(end);
  }

  /** One turn, as `EdgeWorker` has it, which waits for nothing. @returns How many events there were. */
  step(): number {
    const count = this.loop.wait(0);
    this.turn.begin();
    this.deadlines.advance(this.libc.now());
    this.loop.dispatch(count);
    if (this.handshakes.areWaiting) this.handshakes.run();
    this.turn.end();
    return count;
  }

  /** Turns until it is so, with what a peer does in between. */
  until(isSo: () => boolean, between: () => void = () => {}): void {
    for (let turns = 0; !isSo(); turns++) {
      if (turns > MOST_TURNS) throw new Error(`it has not come to be so: ${isSo}`);
      between();
      this.step();
    }
  }

  [Symbol.dispose](): void {
    this.libc.close(this.loop.fd);
  }
}

/** Two connected sockets of TCP that do not block. @param isSmall With the smallest buffers there are. */
export function socketPair(libc: Libc, isSmall = false): [number, number] {
  const listening = libc.socket(AF_INET);
  const sockaddr = encodeSockaddr({ address: ipv4(127, 0, 0, 1), port: 0 });
  if (isSmall) { for (const option of [SO_SNDBUF, SO_RCVBUF]) libc.disable(listening, SOL_SOCKET, option); }
  if (libc.bind(listening, sockaddr) < 0 || libc.listen(listening, 1) < 0) throw new Error("it cannot be listened on");
  const bound = new Uint8Array(SOCKADDR_LENGTH);
  libc.getsockname(listening, bound);
  const connecting = libc.socket(AF_INET);
  if (isSmall) { for (const option of [SO_SNDBUF, SO_RCVBUF]) libc.disable(connecting, SOL_SOCKET, option); }
  libc.enable(connecting, IPPROTO_TCP, TCP_NODELAY); // what is sent is there at once
  libc.connect(connecting, encodeSockaddr(decodeSockaddr(bound)));
  let accepted = libc.accept(listening, new Uint8Array(SOCKADDR_LENGTH));
  while (accepted < 0) accepted = libc.accept(listening, new Uint8Array(SOCKADDR_LENGTH));
  libc.enable(accepted, IPPROTO_TCP, TCP_NODELAY);
  libc.close(listening);
  return [connecting, accepted];
}

/** Writes down what a transport tells. */
export class Told implements TransportEvents {
  readonly events: string[] = [];
  readonly #chunks: Uint8Array[] = [];
  /** What else is done about bytes that came. */
  onReceived: (bytes: Uint8Array) => void = () => {};

  received(bytes: Uint8Array): void {
    this.#chunks.push(bytes.slice());
    this.events.push("received");
    this.onReceived(bytes);
  }

  ended(): void {
    this.events.push("ended");
  }

  drained(): void {
    this.events.push("drained");
  }

  closed(error: string | undefined): void {
    this.events.push(error === undefined ? "closed" : `closed: ${error}`);
  }

  get length(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0);
  }

  /** All that came, as text. */
  get text(): string {
    return this.#chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
  }

  has(event: string): boolean {
    return this.events.includes(event);
  }
}
