/** What goes wrong easily in TLS on sockets that do not block, seen from outside. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { authority, bytesOf, HttpBackend, L7, type L7Route } from "./harness/http.ts";
import { LibsslClient } from "./harness/libssl_client.ts";
import { HalvingBackend } from "./harness/tls_states.ts";
import { writeAll } from "./harness/peers.ts";
import { testEachEngine as testEach } from "./harness/proxy.ts";
import { frame, headers, joined, octets, PREFACE, pseudo, settings } from "./harness/raw_http.ts";

/** The client is libssl's. */
function testEachEngine(name: string, test: (engine: "epoll" | "portable") => Promise<void>): void {
  if (Deno.build.os === "linux") testEach(name, test);
}

/** What holds with "epoll" alone: node:tls of Deno 2.9.6 tells nobody how a connection of TLS broke. */
function epollTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

const REQUEST = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n";
const BODY_LENGTH = 3_000_000;

/** A proxy with one worker, so that all clients are the same one's, before a backend. */
async function start(
  backend: { readonly addr: string },
  route: Partial<L7Route> = {},
  proxy: Readonly<Record<string, unknown>> = {},
): Promise<L7> {
  return await L7.start([{ hostname: "a.test", backend: backend.addr, backend_protocol: "http1", ...route }], {
    proxy: { workers: 1, hello_timeout: "5m", idle_timeout: "5m", ...proxy },
  });
}

const hello = () => HttpBackend.start("h1", (_, response) => void response.end("hello"));

function assertNoFault({ proxy }: L7): void {
  assert.deepEqual(proxy.log.seen.filter(({ level }) => level === "error"), []);
}

/** Asks once over a connection that stays open. */
async function ask(client: LibsslClient): Promise<void> {
  await client.send(REQUEST);
  assert.match(await client.readUntil("hello"), /^HTTP\/1\.1 200 /);
}

testEachEngine(
  "a request in the segment that ends the handshake is answered, with TLS 1.3 and a session of 1.2",
  async () => {
    await using backend = await hello();
    await using l7 = await start(backend);
    for (const version of ["1.3", "1.2"] as const) {
      using first = await LibsslClient.connect(l7, { version });
      await ask(first);
      const session = first.session();
      // In the handshake that goes on from a session of TLS 1.2, the client's Finished is the last message, as in 1.3.
      for (const from of version === "1.3" ? [undefined, session] : [session]) {
        using client = await LibsslClient.greeting(l7, { version, session: from });
        await client.inOneSegment(async () => {
          assert.equal(await client.handshake(), 1, client.tls.error);
          await client.send(REQUEST);
        });
        assert.match(await client.readUntil("hello"), /^HTTP\/1\.1 200 /);
      }
      session?.free();
    }
    assertNoFault(l7);
  },
);

testEachEngine("a preface of HTTP/2 and a request in the segment that ends the handshake are answered", async () => {
  await using backend = await hello();
  await using l7 = await start(backend);
  using client = await LibsslClient.greeting(l7, { protocols: ["h2"] });
  await client.inOneSegment(async () => {
    assert.equal(await client.handshake(), 1, client.tls.error);
    await client.send(PREFACE, settings(), headers(1, pseudo()));
  });
  await client.readUntil("hello");
});

testEachEngine(
  "a body that a slow backend holds up arrives whole, though its end is inside OpenSSL by then",
  async () => {
    let held = Promise.withResolvers<void>();
    await using backend = await HttpBackend.start("h1", async (request, response) => {
      await held.promise;
      const hash = createHash("sha256").update(await bytesOf(request)).digest("hex");
      response.end(`${hash}.`);
    });
    await using l7 = await start(backend);
    const body = crypto.getRandomValues(new Uint8Array(60_000));
    for (const length of [1_000, 20_000, 60_000, BODY_LENGTH]) {
      held = Promise.withResolvers();
      const sent = new Uint8Array(length).map((_, i) => body[i % body.length] ?? 0);
      using client = await LibsslClient.connect(l7);
      const sending = client.send(`POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: ${length}\r\n\r\n`, sent);
      if (length < BODY_LENGTH) await sending; // the largest fits no buffer
      held.resolve();
      await sending;
      assert.ok((await client.readUntil(".")).endsWith(`${createHash("sha256").update(sent).digest("hex")}.`));
    }
  },
);

testEachEngine("a client whose protocols are none of ours hears the alert of RFC 7301", async (engine) => {
  await using backend = await hello();
  await using l7 = await start(backend);
  using client = LibsslClient.open(l7, { protocols: ["spdy/3"] });
  assert.notEqual(await client.handshake(), 1);
  // node:tls of Deno 2.9.6 closes what is under it before an alert is sent.
  if (engine === "epoll") assert.match(client.tls.error, /no application protocol/);
  assert.equal((await l7.proxy.end(client))["end"], "tls_failed");
  using next = await LibsslClient.connect(l7);
  await ask(next);
});

testEachEngine(
  "a certificate chain that fits no socket's buffer reaches a client that reads little at a time",
  async () => {
    await using backend = await hello();
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const { cert, key } = await (await authority()).issue({ hostnames: ["a.test"] });
    const other = await createAuthority("One of a long chain");
    Deno.writeTextFileSync(`${folder}/a.pem`, cert + other.cert.repeat(600));
    Deno.writeTextFileSync(`${folder}/a.key`, key);
    await using l7 = await start(backend, { tls_cert: `${folder}/a.pem`, tls_key: `${folder}/a.key` });
    for (const version of ["1.3", "1.2"] as const) {
      using slow = await LibsslClient.greeting(l7, { version, isSmall: true });
      await slow.arrival(); // its flight has begun, and stands still
      using other = await LibsslClient.connect(l7);
      await ask(other);
      assert.equal(await slow.handshake(), 1, slow.tls.error);
      await ask(slow);
    }
    Deno.removeSync(folder, { recursive: true });
    assertNoFault(l7);
  },
);

testEachEngine("a large answer reaches a client with the smallest buffer whole, record by record", async () => {
  const body = crypto.getRandomValues(new Uint8Array(60_000));
  const wanted = createHash("sha256").update(body).update(body).update(body).digest("hex");
  await using backend = await HttpBackend.start("h1", (_, response) => {
    response.setHeader("content-length", 3 * body.length);
    response.setHeader("connection", "close");
    for (let i = 0; i < 3; i++) response.write(body);
    response.end();
  });
  await using l7 = await start(backend);
  using client = await LibsslClient.connect(l7, { isSmall: true });
  await client.send("GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n");
  const { text, end } = await client.readToEnd();
  const got = octets(text.slice(text.indexOf("\r\n\r\n") + 4));
  assert.deepEqual([got.length, createHash("sha256").update(got).digest("hex"), end], [
    3 * body.length,
    wanted,
    "ended",
  ]);
});

epollTest("an answer whose length is its end is whole only where a backend of TLS says so", async () => {
  const tls = await (await authority()).issue({ hostnames: ["backend.test"] });
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  Deno.writeTextFileSync(`${folder}/ca.pem`, (await authority()).cert);
  using backend = new ClosingBackend(tls);
  await using l7 = await start(backend, {
    backend_tls: true,
    backend_ca: `${folder}/ca.pem`,
    backend_server_name: "backend.test",
  }, { engine: "epoll" });
  for (const says of [true, false]) {
    backend.saysCloseNotify = says;
    using client = await LibsslClient.connect(l7);
    await client.send(REQUEST);
    const text = await readWhile(client, says ? "\r\n0\r\n\r\n" : undefined);
    assert.match(text, /^HTTP\/1\.1 200 [^]*the answer/);
    assert.equal(text.endsWith("\r\n0\r\n\r\n"), says, `close_notify: ${says}`);
  }
  const ends = await l7.proxy.log.findAll(2, ({ event }) => event === "request");
  assert.deepEqual(ends.map(({ error }) => error === undefined), [true, false]);
  Deno.removeSync(folder, { recursive: true });
});

/** What comes up to a text, or to the end of the connection. */
async function readWhile(client: LibsslClient, end: string | undefined): Promise<string> {
  return end === undefined ? (await client.readToEnd()).text : await client.readUntil(end);
}

/** The record of an alert of TLS 1.3: header, alert, type and tag (RFC 8446 §5.2). */
const ALERT_RECORD = 5 + 2 + 1 + 16;

/** A backend over TLS that ends its answers with FIN, and says close_notify before it or not. */
class ClosingBackend implements Disposable {
  saysCloseNotify = true;
  /** What comes from now on is an answer, and no handshake. */
  #isAnswering = false;
  readonly #front = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #tls: Deno.TlsListener;

  constructor({ cert, key }: { readonly cert: string; readonly key: string }) {
    this.#tls = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    void this.#pass();
    void this.#answer();
  }

  get addr(): string {
    return `127.0.0.1:${this.#front.addr.port}`;
  }

  /** In front of TLS stands what can cut off its last record. */
  async #pass(): Promise<void> {
    for await (const conn of this.#front) {
      const inner = await Deno.connect({ hostname: "127.0.0.1", port: (this.#tls.addr as Deno.NetAddr).port });
      void conn.readable.pipeTo(inner.writable).catch(() => {});
      void this.#back(inner, conn).catch(() => {});
    }
  }

  /** Passes an answer back, whose last record is the alert. */
  async #back(inner: Deno.TcpConn, conn: Deno.TcpConn): Promise<void> {
    this.#isAnswering = false;
    let held: Uint8Array = new Uint8Array(0);
    for await (const chunk of inner.readable) {
      const all = joined(held, chunk);
      held = all.subarray(this.#isAnswering ? Math.max(0, all.length - ALERT_RECORD) : all.length);
      await writeAll(conn, all.subarray(0, all.length - held.length));
    }
    if (this.saysCloseNotify) await writeAll(conn, held);
    await conn.closeWrite();
  }

  async #answer(): Promise<void> {
    for await (const conn of this.#tls) {
      void (async () => {
        await conn.read(new Uint8Array(10_000));
        this.#isAnswering = true;
        await writeAll(conn, octets("HTTP/1.1 200 OK\r\n\r\nthe answer"));
        await conn.closeWrite();
      })().catch(() => {});
    }
  }

  [Symbol.dispose](): void {
    this.#front.close();
    this.#tls.close();
  }
}

const GARBAGE = octets(`${"not TLS at all ".repeat(30)}`);

epollTest("a client that speaks nonsense at any stage of TLS costs no other of its worker anything", async () => {
  await using backend = await hello();
  await using l7 = await start(backend, {}, { engine: "epoll" });
  using good = await LibsslClient.connect(l7);
  for (
    const stage of ["after the ClientHello", "in place of Finished", "after the handshake", "within a request"] as const
  ) {
    for (const version of ["1.3", "1.2"] as const) {
      using bad = await LibsslClient.greeting(l7, { version });
      if (stage === "in place of Finished") await bad.arrival();
      if (stage === "after the handshake" || stage === "within a request") {
        assert.equal(await bad.handshake(), 1);
        if (stage === "within a request") await bad.send(REQUEST.slice(0, 20));
      }
      bad.sendRaw(GARBAGE);
      await ask(good); // perhaps before what is bad was read, and once more behind it
      await l7.proxy.end(bad);
      await ask(good);
      using next = await LibsslClient.connect(l7, { version });
      await ask(next);
    }
  }
  assertNoFault(l7);
});

testEachEngine(
  "a connection that ends as it is read has nothing more read, however much has come with it",
  async () => {
    await using backend = await hello();
    await using l7 = await start(backend);
    const more = REQUEST.repeat(2_000);
    const cases: readonly (readonly [protocol: string, sent: readonly (Uint8Array | string)[]])[] = [
      ["http/1.1", ["GET / HTTP/9.9\r\n\r\n", more]],
      ["http/1.1", ["GET / HTTP/1.1\r\nhost: a.test\r\ncontent-length: x\r\n\r\n", more]],
      ["h2", [more]],
      ["h2", [PREFACE, headers(1, pseudo()), more]],
      ["h2", [PREFACE, settings(), frame("DATA", 0, 0, "x"), more]],
    ];
    for (const [protocol, sent] of cases) {
      using client = await LibsslClient.greeting(l7, { protocols: [protocol] });
      await client.inOneSegment(async () => {
        assert.equal(await client.handshake(), 1);
        await client.send(...sent).catch(() => {}); // it may be over by then
      });
      await client.readToEnd();
      client.close();
      await l7.proxy.end(client);
    }
    using next = await LibsslClient.connect(l7);
    await ask(next);
    assert.equal(backend.requests, 1);
    assertNoFault(l7);
  },
);

testEachEngine(
  "a client that resets its connection while a large answer is written to it is no fault of the proxy's",
  async () => {
    const chunk = new Uint8Array(65_536);
    await using backend = await HttpBackend.start("h1", (request, response) => {
      if (request.url === "/") return void response.end("hello");
      const write = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", write);
      write();
    });
    await using l7 = await start(backend);
    for (const how of ["reset", "close"] as const) {
      for (const reads of [false, true]) {
        const client = await LibsslClient.connect(l7);
        await client.send("GET /endless HTTP/1.1\r\nhost: a.test\r\n\r\n");
        if (reads) await client.readUntil("\0\0\0\0");
        else await client.arrival();
        client.close(how);
        await l7.proxy.end(client);
      }
    }
    using next = await LibsslClient.connect(l7);
    await ask(next);
    assertNoFault(l7);
  },
);

testEachEngine("a client that ends its half before it is answered has given up its request", async () => {
  const given = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await using backend = await HttpBackend.start("h1", (_, response) => {
    response.on("close", () => given.resolve());
    asked.resolve();
  });
  await using l7 = await start(backend);
  using client = await LibsslClient.connect(l7);
  await client.send(REQUEST);
  await asked.promise;
  client.shut();
  await given.promise;
  assert.equal((await client.readToEnd()).text, "");
  await l7.proxy.end(client);
});

testEachEngine(
  "a client that ends its half of a WebSocket, with close_notify or without, hears the other to its end",
  async () => {
    await using backend = await HalvingBackend.start();
    await using l7 = await start({ addr: backend.http.addr });
    for (const says of ["close_notify", "nothing"] as const) {
      using client = await LibsslClient.connect(l7);
      await client.send(
        "GET /tunnel HTTP/1.1\r\nhost: a.test\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
          "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nfirst",
      );
      await client.readUntil("\r\n\r\nfirst");
      await client.send("second");
      client.shut(says);
      assert.equal((await client.readToEnd()).text, "second", says);
      await l7.proxy.end(client);
    }
    assertNoFault(l7);
  },
);
