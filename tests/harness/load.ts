import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { helloFor, readExactly, writeAll } from "./peers.ts";

/** How long each client rests between two connections: the load is bounded, whatever the machine can do. */
const REST_MS = 10;

/** Clients that connect again and again, and are counted: how many were served, and what became of the others. */
export class Load {
  /** Served from the first byte to the last. */
  served = 0;
  /** Why each of the others was not. */
  readonly failures: string[] = [];
  readonly #clients: Promise<void>[];
  #stopped = false;
  #changed = Promise.withResolvers<void>();

  /**
   * @param count How many clients there are at a time.
   * @param client Makes a connection, and checks that it is served; throws where it is not.
   */
  constructor(count: number, client: () => Promise<void>) {
    this.#clients = Array.from({ length: count }, () => this.#run(client));
  }

  /** Resolves when so many more were served. */
  async more(count: number): Promise<void> {
    const wanted = this.served + this.failures.length + count;
    while (this.served + this.failures.length < wanted) await this.#changed.promise;
  }

  /** Resolves when the last client is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #run(client: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      try {
        await client();
        this.served++;
      } catch (error) {
        this.failures.push(String(error));
      }
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
  }
}

/** One connection of L4 to an echoing backend, from the handshake to the end of both sides. */
export async function echoOnce({ hostname, port }: Deno.NetAddr, serverName: string): Promise<void> {
  using conn = await Deno.connect({ hostname, port });
  const hello = helloFor(serverName);
  await writeAll(conn, hello);
  assert.deepEqual(await readExactly(conn, hello.length), hello);
  await conn.closeWrite();
  assert.equal(await conn.read(new Uint8Array(1)), null);
}

/** A connection of L4 to an echoing backend that lasts until it is ended; what comes back is compared. */
export class LongEcho {
  /** Octets that came back. */
  octets = 0;
  /** Rejects where it did not last, or an octet was not the one that was sent. */
  readonly over: Promise<void>;
  #ending = false;

  private constructor(conn: Deno.TcpConn) {
    this.over = this.#run(conn);
    this.over.catch(() => {}); // `end` tells
  }

  static async start({ hostname, port }: Deno.NetAddr, serverName: string): Promise<LongEcho> {
    const conn = await Deno.connect({ hostname, port });
    const hello = helloFor(serverName);
    await writeAll(conn, hello);
    await readExactly(conn, hello.length);
    return new LongEcho(conn);
  }

  /** Ends it in good order. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.over;
  }

  async #run(conn: Deno.TcpConn): Promise<void> {
    try {
      while (!this.#ending) {
        const block = crypto.getRandomValues(new Uint8Array(32 * 1024));
        const [received] = await Promise.all([readExactly(conn, block.length), writeAll(conn, block)]);
        assert.ok(Buffer.from(received).equals(block), "what came back is not what was sent");
        this.octets += block.length;
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
      }
      await conn.closeWrite();
      assert.equal(await conn.read(new Uint8Array(1)), null);
    } finally {
      conn.close();
    }
  }
}

/**
 * One request on a connection of its own.
 *
 * By `fetch`, since node's HTTP/2 on Deno 2.9.6 now and then ends the process when it is sent GOAWAY. It repeats nothing
 * that failed on a new connection.
 */
export async function requestOnce(url: string, authority: string, version: "h2" | "h1"): Promise<void> {
  using client = httpClient(authority, version);
  const response = await fetch(url, { client });
  assert.deepEqual([response.status, await response.text()], [200, "hello"]);
}

/** A client for one connection of that version. */
export function httpClient(authority: string, version: "h2" | "h1"): Deno.HttpClient {
  return Deno.createHttpClient({ caCerts: [authority], http1: version === "h1", http2: version === "h2" });
}
