import assert from "node:assert/strict";
import { connect as connectNodeSocket, type Socket } from "node:net";
import { accept, incoming } from "../../lib/edge/listen.ts";
import { buildClientHello } from "../../lib/wire/testdata/build_client_hello.ts";

/** A backend that refuses: a port that was free a moment ago would not do, since another test may have it by now. */
export const REFUSING = "127.0.0.1:1";

/** A TCP server whose connections a test takes one by one. */
export class Backend implements Disposable {
  readonly #listener: Deno.TcpListener;

  constructor(hostname = "127.0.0.1") {
    this.#listener = Deno.listen({ hostname, port: 0 });
  }

  /** `host:port`, as a route names it. */
  get addr(): string {
    const { hostname, port } = this.#listener.addr;
    return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  }

  accept(): Promise<Deno.TcpConn> {
    return accept(this.#listener);
  }

  /** Accepts until it is closed and sends back what it gets, half-close for half-close. */
  async echo(): Promise<void> {
    for await (const conn of incoming(this.#listener)) void echo(conn);
  }

  [Symbol.dispose](): void {
    try {
      this.#listener.close();
    } catch {
      // The test closed it to wait for the end of `echo`.
    }
  }
}

async function echo(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      await writeAll(conn, buffer.subarray(0, n));
    }
    await conn.closeWrite();
  } catch {
    // Broken off: some tests do.
  } finally {
    conn.close();
  }
}

/** Writes all of `bytes`. */
export async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

/** Reads exactly `length` bytes. */
export async function readExactly(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const n = await conn.read(bytes.subarray(at));
    assert.notEqual(n, null, `the stream ended after ${at} of ${length} bytes`);
    at += n ?? 0;
  }
  return bytes;
}

/** What a client sees of the end of its connection: the server's bytes are not expected to come first. */
export async function endSeen(conn: Deno.Conn): Promise<"closed" | "reset"> {
  try {
    const n = await conn.read(new Uint8Array(1));
    assert.equal(n, null, "a byte was sent to a client that must get none");
    return "closed";
  } catch (error) {
    assert.ok(error instanceof Deno.errors.ConnectionReset, String(error));
    return "reset";
  }
}

/**
 * Connects, and sees the end of it: a client that is refused as it is accepted may be reset before it knows that it was
 * connected.
 */
export async function connectRefused({ hostname, port }: Deno.NetAddr): Promise<"closed" | "reset"> {
  try {
    using conn = await Deno.connect({ hostname, port });
    return await endSeen(conn);
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return "reset";
    throw error;
  }
}

/** Opens a connection and sends a ClientHello for `serverName`, and no more. */
export async function sayHello(to: Deno.NetAddr, serverName?: string): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: to.hostname, port: to.port });
  await writeAll(conn, helloFor(serverName));
  return conn;
}

/** The bytes of a ClientHello for `serverName`. */
export function helloFor(serverName?: string): Uint8Array {
  return buildClientHello(serverName === undefined ? {} : { serverName });
}

/** Opens a connection that can be reset: `resetAndDestroy` sends a true RST, which a `Deno.Conn` cannot. */
export async function connectResettable(to: Deno.NetAddr): Promise<Socket> {
  const socket = connectNodeSocket(to.port, to.hostname);
  socket.on("error", () => {}); // a reset by the other side is no fault of the test
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

/** A TLS session over the proxy, its server name and trust as given. */
export async function connectTls(
  to: Deno.NetAddr,
  serverName: string,
  authority: string,
  alpnProtocols: string[] = [],
): Promise<Deno.TlsConn> {
  const conn = await Deno.connect({ hostname: to.hostname, port: to.port });
  conn.setNoDelay(true); // what follows the handshake would wait for its acknowledgement
  const tls = await Deno.startTls(conn, { hostname: serverName, caCerts: [authority], alpnProtocols });
  try {
    await tls.handshake();
  } catch (error) {
    tls.close();
    throw error;
  }
  return tls;
}
