import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Backend } from "./backend.ts";
import { startEchoBackend, startPageBackend } from "./backends.ts";
import { createAuthority } from "./certificates.ts";

const authority = await createAuthority("Test authority");
const pair = await authority.issue({ hostnames: ["pass.localhost", "127.0.0.1"] });
const trust = { hostname: "pass.localhost", caCerts: [authority.cert] };

/** A PROXY v2 header, command PROXY, TCP over IPv4, from 192.0.2.`host`:`port` to 127.0.0.1:443. */
function proxyHeader(host: number, port: number): Uint8Array<ArrayBuffer> {
  const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
  return Uint8Array.of(
    ...signature,
    0x21,
    0x11,
    0,
    12,
    192,
    0,
    2,
    host,
    127,
    0,
    0,
    1,
    port >> 8,
    port & 0xff,
    443 >> 8,
    443 & 0xff,
  );
}

function portOf(backend: Backend): number {
  return Number(backend.addr.split(":")[1]);
}

async function connect(backend: Backend, header: Uint8Array): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(backend) });
  await writeAll(conn, header);
  return conn;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Sends one HTTP/1.1 request and reads one response, of which `end` is the last that is read. */
async function ask(conn: Deno.Conn, request: string, end: RegExp): Promise<string> {
  await writeAll(conn, new TextEncoder().encode(request));
  const buffer = new Uint8Array(16384);
  let response = "";
  while (!end.test(response)) {
    const count = await conn.read(buffer);
    assert.ok(count !== null, `the connection ended after ${JSON.stringify(response)}`);
    response += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return response;
}

const LAST_CHUNK = /\r\n0\r\n\r\n$/;

async function withPage(test: (backend: Backend) => Promise<void>): Promise<void> {
  const backend = await startPageBackend(pair);
  try {
    await test(backend);
  } finally {
    await backend.close();
  }
}

Deno.test("the page shows the client of the PROXY header, the host name and the versions", () =>
  withPage(async (backend) => {
    using tcp = await connect(backend, proxyHeader(7, 51000));
    using tls = await Deno.startTls(tcp, trust);
    const response = await ask(tls, "GET /a?b HTTP/1.1\r\nHost: x\r\nX-Mark: here\r\n\r\n", LAST_CHUNK);
    assert.match(response, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(response, /^content-type: text\/plain; charset=utf-8\r$/im);
    assert.match(response, /^Client: +192\.0\.2\.7:51000$/m);
    assert.match(response, /^Reached through: +127\.0\.0\.1:\d+$/m);
    assert.match(response, /^SNI: +pass\.localhost$/m);
    assert.match(response, /^TLS: +TLSv1\.3$/m);
    assert.match(response, /^HTTP: +1\.1$/m);
    assert.match(response, /^Request: +GET \/a\?b$/m);
    assert.match(response, /^ {2}X-Mark: here$/m);
  }));

Deno.test("a browser gets a page in which what it sent is escaped", () =>
  withPage(async (backend) => {
    using tcp = await connect(backend, proxyHeader(7, 51000));
    using tls = await Deno.startTls(tcp, trust);
    const headers = "Host: x\r\nAccept: text/html,*/*;q=0.8\r\nX-Mark: <script>&\"'\r\n";
    const response = await ask(tls, `GET /<i> HTTP/1.1\r\n${headers}\r\n`, LAST_CHUNK);
    assert.match(response, /^content-type: text\/html; charset=utf-8\r$/im);
    assert.match(response, /<div class="client">192\.0\.2\.7:51000<\/div>/);
    assert.match(response, /<dd>&lt;script&gt;&amp;&quot;&#39;<\/dd>/);
    assert.match(response, /<dd>GET \/&lt;i&gt;<\/dd>/);
    assert.doesNotMatch(response, /<script>|<i>/);
  }));

Deno.test("one HTTP/1.1 connection serves request after request, bodies that nobody reads included", () =>
  withPage(async (backend) => {
    using tcp = await connect(backend, proxyHeader(7, 51000));
    using tls = await Deno.startTls(tcp, trust);
    const body = "b".repeat(50_000);
    for (let i = 0; i < 5; i++) {
      const request = `POST /${i} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      assert.match(await ask(tls, request, LAST_CHUNK), new RegExp(`^Request: +POST /${i}$`, "m"));
    }
  }));

Deno.test("an HTTP/2 client is served, and its pseudo-headers are not shown as headers", () =>
  withPage(async (backend) => {
    const tcp = connectTcp(portOf(backend), "127.0.0.1");
    tcp.write(proxyHeader(9, 52000));
    const tls = connectTls({ socket: tcp, servername: "pass.localhost", ca: authority.cert, ALPNProtocols: ["h2"] });
    const session = connectHttp2("https://pass.localhost", { createConnection: () => tls });
    try {
      for (const path of ["/first", "/second"]) {
        const response = await session.request({ ":path": path }).setEncoding("utf8").toArray();
        const text = response.join("");
        assert.match(text, /^Client: +192\.0\.2\.9:52000$/m);
        assert.match(text, /^HTTP: +2\.0$/m);
        assert.match(text, new RegExp(`^Request: +GET ${path}$`, "m"));
        assert.doesNotMatch(text, /:path|:authority/);
      }
    } finally {
      session.destroy();
      tcp.destroy();
    }
  }));

Deno.test("a ClientHello that shares a segment with the PROXY header is not lost", () =>
  withPage(async (backend) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const forward = async () => {
      using client = await listener.accept();
      const hello = new Uint8Array(16384);
      const length = await client.read(hello) ?? 0;
      using server = await connect(backend, Uint8Array.of(...proxyHeader(7, 51000), ...hello.subarray(0, length)));
      const toServer = client.readable.pipeTo(server.writable);
      await Promise.allSettled([toServer, server.readable.pipeTo(client.writable)]);
    };
    const forwarded = forward();
    {
      using tcp = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
      using tls = await Deno.startTls(tcp, trust);
      const response = await ask(tls, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", LAST_CHUNK);
      assert.match(response, /^Client: +192\.0\.2\.7:51000$/m);
    }
    await forwarded;
  }));

Deno.test("clients served at the same time each see their own address", () =>
  withPage(async (backend) => {
    const askOne = async (client: number) => {
      using tcp = await connect(backend, proxyHeader(client, 50000 + client));
      using tls = await Deno.startTls(tcp, trust);
      for (let i = 0; i < 3; i++) {
        const response = await ask(tls, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", LAST_CHUNK);
        assert.match(response, new RegExp(`^Client: +192\\.0\\.2\\.${client}:${50000 + client}$`, "m"));
      }
    };
    await Promise.all(Array.from({ length: 20 }, (_, i) => askOne(i + 1)));
  }));

Deno.test("a connection without a PROXY header is cut", () =>
  withPage(async (backend) => {
    using tcp = await connect(backend, new Uint8Array(0));
    await assert.rejects(Deno.startTls(tcp, trust).then((tls) => tls.handshake()));
  }));

Deno.test("clients that vanish in the middle do not keep the page from serving others, or from closing", () =>
  withPage(async (backend) => {
    for (const bytes of [new Uint8Array(0), proxyHeader(7, 51000).subarray(0, 20), proxyHeader(7, 51000)]) {
      (await connect(backend, bytes)).close();
    }
    using early = await Deno.startTls(await connect(backend, proxyHeader(7, 51000)), trust);
    await writeAll(early, new TextEncoder().encode("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"));
    early.close();
    using tls = await Deno.startTls(await connect(backend, proxyHeader(8, 51000)), trust);
    assert.match(await ask(tls, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", LAST_CHUNK), /192\.0\.2\.8/);
    await connect(backend, proxyHeader(7, 51000)); // left open on purpose
  }));

Deno.test("the echo returns every byte, and ends when the client has ended", async () => {
  const backend = startEchoBackend(pair);
  const { hostname, caCerts } = trust;
  using tcp = await Deno.connect({ hostname: "127.0.0.1", port: portOf(backend) });
  using tls = await Deno.startTls(tcp, { hostname, caCerts });
  const sent = Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 31) >> 3);
  const send = async () => {
    await writeAll(tls, sent);
    await tls.closeWrite();
  };
  const [received] = await Promise.all([new Response(tls.readable).bytes(), send()]);
  assert.deepEqual(received, sent);
  await backend.close();
});

Deno.test("the echo serves on after clients that do not speak TLS, and closes while others are connected", async () => {
  const backend = startEchoBackend(pair);
  const { hostname, caCerts } = trust;
  for (const text of ["", "GET / HTTP/1.1\r\n\r\n"]) (await connect(backend, new TextEncoder().encode(text))).close();
  using tls = await Deno.startTls(await connect(backend, new Uint8Array(0)), { hostname, caCerts });
  await writeAll(tls, Uint8Array.of(7));
  const received = new Uint8Array(2);
  assert.equal(await tls.read(received), 1);
  assert.equal(received[0], 7);
  await backend.close();
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: portOf(backend) }), Deno.errors.ConnectionRefused);
});
