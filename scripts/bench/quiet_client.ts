/**
 * Connections of HTTP/2 over TLS on which nothing is asked for: the handshake, SETTINGS both ways, and no more.
 *
 * @module
 */

import { FRAME_HEADER_LENGTH, setFrameHeader } from "../../lib/wire/http2_frames.ts";
import { ACK, frameLength, GOAWAY, HTTP_HOST, PREFACE, SETTINGS } from "./http_protocol.ts";
import { close, connect, Poller, READABLE, WOULD_BLOCK } from "./libc.ts";
import { type TlsConnection, TlsContext } from "./libssl.ts";
import { type Load, measureIdle, type Measurement, poll } from "./measurement.ts";

const BUFFER = new Uint8Array(64 * 1024);
const OPENING = new Uint8Array(PREFACE.length + FRAME_HEADER_LENGTH); // and SETTINGS that say nothing
OPENING.set(PREFACE);
setFrameHeader(OPENING, PREFACE.length, 0, SETTINGS, 0, 0);
const SETTINGS_ACK = new Uint8Array(FRAME_HEADER_LENGTH);
setFrameHeader(SETTINGS_ACK, 0, 0, SETTINGS, ACK, 0);

/** Such connections to a port, which are told apart by their descriptors. */
export class QuietClient {
  readonly poller = new Poller();
  readonly onReady: (fd: number) => void;
  readonly #port: number;
  readonly #context = new TlsContext(HTTP_HOST, "h2");
  readonly #connections: (QuietConnection | undefined)[] = []; // by descriptor
  #opened = 0;
  #described: string | undefined;

  /** @param onSettled Called once a connection is idle. */
  constructor(port: number, onSettled: (fd: number) => void) {
    this.#port = port;
    this.onReady = (fd) => {
      const connection = this.#connections[fd];
      if (connection === undefined || !connection.advance()) return;
      this.#described ??= connection.tls.describe();
      onSettled(fd);
    };
  }

  /** What the first handshake led to, once there was one. */
  get described(): string | undefined {
    return this.#described;
  }

  open(): number {
    // Other source addresses, one after the other: those of closed connections are not to be had again at once.
    const fd = connect(this.#port, 0x7f010000 + this.#opened++ % 65536);
    const connection = new QuietConnection(this.#context.connect(fd));
    this.#connections[fd] = connection;
    connection.tls.handshake();
    this.poller.add(fd, READABLE);
    return fd;
  }

  close(fd: number): void {
    this.#connections[fd]?.tls.free();
    this.#connections[fd] = undefined;
    close(fd);
  }
}

class QuietConnection {
  readonly tls: TlsConnection;
  #begun = false;
  #theirs = false;
  #acknowledged = false;
  #settled = false;

  constructor(tls: TlsConnection) {
    this.tls = tls;
  }

  /** Takes what is there. @returns Whether it is idle from now on. */
  advance(): boolean {
    if (!this.#begun) {
      if (!this.tls.handshake()) return false;
      this.#begun = true;
      this.tls.write(OPENING);
    }
    for (let n = this.tls.read(BUFFER); n !== WOULD_BLOCK; n = this.tls.read(BUFFER)) {
      if (n <= 0) throw new Error("the proxy ended a connection");
      this.#take(n);
    }
    const settles = this.#theirs && this.#acknowledged && !this.#settled;
    this.#settled ||= settles;
    return settles;
  }

  /** What comes before the first request are a few small frames, each whole within its record. */
  #take(end: number): void {
    for (let at = 0; at + FRAME_HEADER_LENGTH <= end; at += FRAME_HEADER_LENGTH + frameLength(BUFFER, at)) {
      if (BUFFER[at + 3] === GOAWAY) throw new Error("the proxy is going away");
      if (BUFFER[at + 3] !== SETTINGS) continue;
      if (((BUFFER[at + 4] ?? 0) & ACK) !== 0) this.#acknowledged = true;
      else {
        this.#theirs = true;
        this.tls.write(SETTINGS_ACK);
      }
    }
  }
}

/** Runs the load `idle-tls`. */
export function runIdleTls(load: Load): Measurement {
  let settled = 0;
  const client = new QuietClient(load.port, () => void settled++);
  const open = () => {
    const wanted = settled + 1;
    const fd = client.open();
    while (settled < wanted) poll(client.poller, client.onReady);
    return fd;
  };
  const measurement = measureIdle(load, { open, close: (fd) => client.close(fd) });
  const { described } = client;
  return { ...measurement, ...(described === undefined ? {} : { tls: described }) };
}
