import { writeAll } from "./peers.ts";

/** How much of what a client says first passes a gate by itself: the rest waits until it is released. */
export type Passing =
  | "half_hello"
  | "hello"
  | "all";

/** Bytes of the ClientHello that make no whole one: they end within its random number. */
const HALF_HELLO = 20;

/** Of a record of TLS (RFC 8446 §5.1). */
const RECORD_HEADER = 5;

/**
 * A way to the proxy for one connection. It can hold back what the client says, and tells what became of the proxy's end
 * of it, whatever the client's own library makes of that.
 */
export class Gate implements Disposable {
  /** Where the client connects to. */
  readonly address: Deno.NetAddr;
  /** The connection as the proxy has it. */
  readonly upstream: Deno.TcpConn;
  /** Resolves when something is held back. */
  readonly held: Promise<void>;
  /** How the proxy ended the connection, once it has. */
  ended: "closed" | "reset" | undefined;
  readonly #listener: Deno.TcpListener;
  readonly #passing: Passing;
  readonly #holding = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  readonly #over: Promise<void>;
  #downstream: Deno.TcpConn | undefined;

  private constructor(upstream: Deno.TcpConn, passing: Passing) {
    this.upstream = upstream;
    this.#passing = passing;
    this.held = this.#holding.promise;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.address = this.#listener.addr;
    this.#over = this.#run();
  }

  /** Connects to the proxy. */
  static async open({ hostname, port }: Deno.NetAddr, passing: Passing = "all"): Promise<Gate> {
    const upstream = await Deno.connect({ hostname, port });
    upstream.setNoDelay(true);
    return new Gate(upstream, passing);
  }

  /** Lets everything pass. */
  release(): void {
    this.#released.resolve();
  }

  /** Closes both connections; resolves when nothing is left of them. */
  async close(): Promise<void> {
    this[Symbol.dispose]();
    await this.#over;
  }

  [Symbol.dispose](): void {
    this.release();
    closeQuietly(this.#listener);
    closeQuietly(this.upstream);
    if (this.#downstream !== undefined) closeQuietly(this.#downstream);
  }

  async #run(): Promise<void> {
    try {
      const downstream = await this.#listener.accept();
      this.#downstream = downstream;
      downstream.setNoDelay(true);
      await Promise.all([this.#passUp(downstream), this.#passDown(downstream)]);
    } catch {
      // One of the sides is gone, which `ended` tells where it was the proxy's.
    }
    this[Symbol.dispose]();
  }

  async #passUp(downstream: Deno.TcpConn): Promise<void> {
    let limit: number | undefined;
    let passed = 0;
    for (let bytes = await readSome(downstream); bytes !== undefined; bytes = await readSome(downstream)) {
      limit ??= limitOf(bytes, this.#passing);
      const now = Math.max(0, Math.min(bytes.length, limit - passed));
      await writeAll(this.upstream, bytes.subarray(0, now));
      passed += now;
      if (now === bytes.length) continue;
      this.#holding.resolve();
      await this.#released.promise;
      limit = Infinity;
      await writeAll(this.upstream, bytes.subarray(now));
    }
    await this.upstream.closeWrite();
  }

  async #passDown(downstream: Deno.TcpConn): Promise<void> {
    try {
      for (let bytes = await readSome(this.upstream); bytes !== undefined; bytes = await readSome(this.upstream)) {
        await writeAll(downstream, bytes).catch(() => {}); // a client that has left reads no more
      }
      this.ended = "closed";
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) this.ended = "reset";
      throw error;
    } finally {
      await downstream.closeWrite().catch(() => {});
    }
  }
}

/** How many bytes pass, by the first that came. */
function limitOf(first: Uint8Array, passing: Passing): number {
  switch (passing) {
    case "half_hello":
      return HALF_HELLO;
    case "hello":
      return RECORD_HEADER + ((first[3] ?? 0) << 8 | (first[4] ?? 0));
    case "all":
      return Infinity;
  }
}

async function readSome(conn: Deno.Conn): Promise<Uint8Array | undefined> {
  const buffer = new Uint8Array(64 * 1024);
  const length = await conn.read(buffer);
  return length === null ? undefined : buffer.subarray(0, length);
}

function closeQuietly(closable: { close(): void }): void {
  try {
    closable.close();
  } catch {
    // It is closed already.
  }
}
