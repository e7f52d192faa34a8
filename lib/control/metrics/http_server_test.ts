import assert from "node:assert/strict";
import { HttpServer, MAX_CONNECTIONS, type Question } from "./http_server.ts";

/** A server on a free port, and what it was asked. */
class Served implements Disposable {
  readonly asked: Question[] = [];
  readonly port: number;
  /** Until when answers wait. */
  readonly gate = Promise.withResolvers<void>();
  readonly #server: HttpServer;
  readonly #conns: Deno.TcpConn[] = [];

  constructor(isOpen = true) {
    if (isOpen) this.gate.resolve();
    this.#server = new HttpServer({
      answer: async (question) => {
        this.asked.push(question);
        await this.gate.promise;
        return { status: 200, headers: { "content-type": "text/plain" }, body: `${question.path}\n` };
      },
      acceptFailed: assert.fail,
      acceptRecovered: assert.fail,
    });
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = listener.addr.port;
    this.#server.listen(listener);
  }

  async connect(): Promise<Deno.TcpConn> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    this.#conns.push(conn);
    return conn;
  }

  close(): void {
    this.#server.close();
  }

  [Symbol.dispose](): void {
    this.gate.resolve();
    this.close();
    for (const conn of this.#conns) conn.close();
  }
}

async function send(conn: Deno.TcpConn, target: string, { method = "GET", host = "a.test" } = {}): Promise<void> {
  await conn.write(new TextEncoder().encode(`${method} ${target} HTTP/1.1\r\n${host && `host: ${host}\r\n`}\r\n`));
}

/** Reads until `end` is there, or the connection is over; what there is. */
async function read(conn: Deno.TcpConn, end: string): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!text.includes(end)) {
    const length = await conn.read(buffer).catch(() => null);
    if (length === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, length));
  }
  return text;
}

Deno.test("requests of a connection are answered one after the other, whatever Host they name", async () => {
  using served = new Served();
  const conn = await served.connect();
  await send(conn, "/a?query");
  assert.match(await read(conn, "/a\n"), /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*content-length: 3\r\n(.*\r\n)*\r\n\/a\n$/i);
  await send(conn, "http://b.test/b", { host: "[::bad" });
  assert.match(await read(conn, "/b\n"), /200 OK/);
  await send(conn, "http://b.test");
  assert.match(await read(conn, "\r\n\r\n/\n"), /200 OK/);
  assert.deepEqual(served.asked.map(({ path }) => path), ["/a", "/b", "/"]);
});

Deno.test("HEAD has the length of the body, and no body", async () => {
  using served = new Served();
  const conn = await served.connect();
  await send(conn, "/long", { method: "HEAD" });
  assert.match(await read(conn, "\r\n\r\n"), /content-length: 6\r\n(.*\r\n)*\r\n$/i);
  await send(conn, "/next");
  assert.match(await read(conn, "/next\n"), /^HTTP\/1\.1 200/);
});

Deno.test("what is no request is refused, and the next connection served", async () => {
  using served = new Served();
  const bad = await served.connect();
  await bad.write(new TextEncoder().encode("\x16\x03\x01 no request\r\n\r\n"));
  assert.doesNotMatch(await read(bad, "never"), /200 OK/);
  const without = await served.connect();
  await send(without, "/", { host: "" });
  assert.match(await read(without, "\r\n\r\n"), /^HTTP\/1\.1 400 /);
  const good = await served.connect();
  await send(good, "/good");
  assert.match(await read(good, "/good\n"), /200 OK/);
});

Deno.test("beyond the bound, the connection that was idle for the longest time is ended, and no busy one", async () => {
  using served = new Served(false);
  const busy = await served.connect();
  await send(busy, "/busy");
  while (served.asked.length === 0) await new Promise((resolve) => setTimeout(resolve));
  const idle: Deno.TcpConn[] = [];
  for (let i = 0; i < MAX_CONNECTIONS; i++) idle.push(await served.connect());
  const [first, second] = idle;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(await read(first, "never"), "");
  served.gate.resolve();
  assert.match(await read(busy, "/busy\n"), /200 OK/);
  await send(second, "/second");
  assert.match(await read(second, "/second\n"), /200 OK/);
});

Deno.test("when it is closed, idle connections end and what is being answered is finished", async () => {
  using served = new Served(false);
  const [busy, idle] = [await served.connect(), await served.connect()];
  await send(busy, "/busy");
  while (served.asked.length === 0) await new Promise((resolve) => setTimeout(resolve));
  served.close();
  assert.equal(await read(idle, "never"), "");
  served.gate.resolve();
  assert.match(await read(busy, "never"), /200 OK[^]*\/busy\n$/);
});
