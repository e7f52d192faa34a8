/**
 * A backend in the thread of a test, and a dial to it.
 *
 * @module
 */

import { ipv4 } from "../../../wire/ip_address.ts";
import type { Endpoint } from "../../../wire/socket_address.ts";
import type { Dialled, DialOptions } from "../../http/backend/dial.ts";
import { loopDial } from "../backend_dial.ts";
import type { BackendTls } from "../backend_tls.ts";
import { AF_INET } from "../libc.ts";
import type { ServerContext } from "../libssl/server_context.ts";
import { type Tls, WANT_READ } from "../libssl/connection.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_LENGTH } from "../sockaddr.ts";
import type { TestThread } from "./test_thread.ts";

const BUFFER = 65_536;

/** A socket on a free port of the loopback interface. */
export class TestBackend implements Disposable {
  readonly endpoint: Endpoint;
  readonly #thread: TestThread;
  readonly #fd: number;
  readonly #accepted: number[] = [];

  /** @param backlog How many connections may wait, less one; -1: it refuses them. */
  constructor(thread: TestThread, backlog = 16) {
    const { libc } = thread;
    this.#thread = thread;
    this.#fd = libc.socket(AF_INET);
    const sockaddr = encodeSockaddr({ address: ipv4(127, 0, 0, 1), port: 0 });
    if (libc.bind(this.#fd, sockaddr) < 0) throw new Error("no address is free");
    if (backlog >= 0 && libc.listen(this.#fd, backlog) < 0) throw new Error("it cannot be listened on");
    const bound = new Uint8Array(SOCKADDR_LENGTH);
    libc.getsockname(this.#fd, bound);
    this.endpoint = decodeSockaddr(bound);
  }

  /** Takes the next connection, which it closes in the end. @returns Its descriptor. */
  accept(): number {
    let fd = -1;
    this.#thread.until(() => fd >= 0, () => fd = this.#thread.libc.accept(this.#fd, new Uint8Array(SOCKADDR_LENGTH)));
    this.#accepted.push(fd);
    return fd;
  }

  /** Takes the next connection, and begins TLS on it. @param skipped Bytes before it. */
  secure(context: ServerContext, skipped = 0): Secured {
    const fd = this.accept();
    const head = skipped === 0 ? "" : this.hear(fd, skipped);
    return new Secured(this.#thread, context.accept(fd), fd, head);
  }

  /** Reads `length` bytes; fewer where the stream ends before. */
  hear(fd: number, length: number): string {
    let text = "";
    let result = -1;
    this.#thread.until(() => text.length === length || result === 0, () => {
      const buffer = new Uint8Array(new ArrayBuffer(length - text.length));
      result = this.#thread.libc.recv(fd, buffer, buffer.length);
      if (result > 0) text += new TextDecoder().decode(buffer.subarray(0, result));
    });
    return text;
  }

  /** Closes a connection. */
  hangUp(fd: number, how: "close" | "reset"): void {
    const at = this.#accepted.indexOf(fd);
    if (at < 0) throw new Error(`${fd} is none of its connections`);
    this.#accepted.splice(at, 1); // another thread may have the number soon
    this.#thread.libc[how](fd);
  }

  [Symbol.dispose](): void {
    for (const fd of [this.#fd, ...this.#accepted]) this.#thread.libc.close(fd);
  }
}

/** TLS of a backend with the proxy. */
export class Secured implements Disposable {
  readonly tls: Tls;
  readonly fd: number;
  /** What came before TLS. */
  readonly head: string;
  readonly #thread: TestThread;
  handshake = WANT_READ;

  constructor(thread: TestThread, tls: Tls, fd: number, head: string) {
    this.#thread = thread;
    this.tls = tls;
    this.fd = fd;
    this.head = head;
  }

  /** Goes on with the handshake until it is over, well or not. */
  shake(): this {
    this.#thread.until(() => this.handshake === 1 || this.handshake < -2, () => this.greet());
    return this;
  }

  /** Takes one step of the handshake. */
  greet(): void {
    if (this.handshake !== 1) this.handshake = this.tls.handshake();
  }

  say(text: string): void {
    const bytes = new TextEncoder().encode(text);
    if (this.tls.write(bytes, bytes.length) !== bytes.length) throw new Error(`it was not sent: ${this.tls.error}`);
  }

  /** Reads until this text has come. */
  hear(text: string): void {
    let heard = "";
    const buffer = new Uint8Array(new ArrayBuffer(BUFFER));
    this.#thread.until(() => heard === text, () => {
      const length = this.tls.read(buffer, buffer.length);
      if (length > 0) heard += new TextDecoder().decode(buffer.subarray(0, length));
    });
  }

  [Symbol.dispose](): void {
    this.tls.free();
  }
}

/** One dial, and all that came of it. */
export class TestDial implements Disposable {
  readonly results: (Dialled | Error)[] = [];
  readonly faults: unknown[] = [];

  /** @param done What else is done about the result. */
  constructor(
    thread: TestThread,
    backends: BackendTls,
    options: Omit<DialOptions, "fault">,
    done: (result: Dialled | Error) => void = () => {},
  ) {
    loopDial(thread, { backends })({ ...options, fault: (thrown) => this.faults.push(thrown) }, (result) => {
      this.results.push(result);
      done(result);
    });
  }

  get isOver(): boolean {
    return this.results.length > 0;
  }

  /** The connection that there is. */
  get dialled(): Dialled {
    const [result] = this.results;
    if (result === undefined || result instanceof Error) throw new Error(`there is no connection: ${result}`);
    return result;
  }

  /** `kind: message` of the error that it ended with. */
  get failure(): string {
    const [result] = this.results;
    if (!(result instanceof Error)) throw new Error("it has not failed");
    return `${"kind" in result ? result.kind : result.name}: ${result.message}`;
  }

  [Symbol.dispose](): void {
    const [result] = this.results;
    if (result !== undefined && !(result instanceof Error)) result.transport.destroy();
  }
}
