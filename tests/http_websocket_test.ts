import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { backendKeys, HttpBackend, L7, VERSIONS } from "./harness/http.ts";
import { connectTls, readExactly, writeAll } from "./harness/peers.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { RecordingBackend } from "./harness/raw_backend.ts";
import { RawClient } from "./harness/raw_http.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const KINDS = ["h1", "h2c"] as const;
const PROTOCOLS = { h1: "http/1.1", h2: "h2" } as const;

/** Echoes what comes through a tunnel to `/echo`; refuses others. */
async function echoing(kind: typeof KINDS[number]): Promise<HttpBackend> {
  const backend = await HttpBackend.start(
    kind,
    (_request, response) => void response.writeHead(400).end("no WebSocket here"),
    { settings: { enableConnectProtocol: true } },
  );
  backend.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const key = String(request.headers["sec-websocket-key"]);
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    if (request.url !== "/echo") {
      socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 17\r\nconnection: close\r\n\r\nno WebSocket here");
      return;
    }
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
        `sec-websocket-accept: ${accept}\r\nx-for: ${request.headers["x-forwarded-for"]}\r\n\r\n`,
    );
    socket.write(head);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  if (kind === "h2c") {
    backend.server.removeAllListeners("stream"); // node answers an extended CONNECT by itself where it has requests
    backend.server.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => {});
      if (headers[":method"] !== "CONNECT" || headers[":path"] !== "/echo") {
        stream.respond({ ":status": 400 });
        return void stream.end("no WebSocket here");
      }
      // The field is one of HTTP/1.1, and of another connection: whoever sends it here does so for nothing.
      stream.respond({ ":status": 200, "x-for": headers["x-forwarded-for"], "sec-websocket-accept": "of-the-backend" });
      stream.pipe(stream);
    });
  }
  return backend;
}

interface Tunnel {
  readonly status: number;
  readonly head: string;
  write(bytes: Uint8Array): void;
  read(length: number): Promise<Uint8Array>;
  /** Ends our half, and reads on to the end of the other. */
  finish(): Promise<void>;
}

async function open(l7: L7, version: typeof VERSIONS[number], name: string, path: string): Promise<Tunnel> {
  return await (version === "h1" ? upgrade(l7, name, path) : extendedConnect(l7, name, path));
}

function handshake(name: string, path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: ${name}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
    `sec-websocket-version: 13\r\nsec-websocket-key: ${KEY}\r\n\r\n`;
}

async function upgrade(l7: L7, name: string, path: string): Promise<Tunnel> {
  const conn = await connectTls(l7.proxy.address(), name, l7.authority.cert, ["http/1.1"]);
  await writeAll(conn, new TextEncoder().encode(handshake(name, path)));
  let head = "";
  while (!head.endsWith("\r\n\r\n")) head += new TextDecoder().decode(await readExactly(conn, 1));
  let writing = Promise.resolve();
  return {
    status: Number(head.split(" ")[1]),
    head,
    write: (bytes) => void (writing = writing.then(() => writeAll(conn, bytes))),
    read: (length) => readExactly(conn, length),
    async finish() {
      await writing;
      await conn.closeWrite();
      assert.equal(await conn.read(new Uint8Array(1)), null);
      conn.close();
    },
  };
}

async function extendedConnect(l7: L7, name: string, path: string): Promise<Tunnel> {
  const client = await l7.connect("h2", name);
  const headers = { ":protocol": "websocket", ":scheme": "https", "sec-websocket-version": "13" };
  const { stream, head } = client.begin({ method: "CONNECT", path, headers });
  const { status, headers: fields } = await head;
  const tunnel = stream as ClientHttp2Stream;
  let bytes = Buffer.alloc(0);
  let more = Promise.withResolvers<void>();
  tunnel.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    more.resolve();
    more = Promise.withResolvers();
  });
  const ended = once(tunnel, "end");
  return {
    status,
    head: JSON.stringify(fields),
    write: (chunk) => void tunnel.write(chunk),
    async read(length) {
      while (bytes.length < length) await more.promise;
      const taken = bytes.subarray(0, length);
      bytes = bytes.subarray(length);
      return taken;
    },
    async finish() {
      tunnel.end();
      await ended;
      client[Symbol.dispose]();
    },
  };
}

async function proxied() {
  const backends = await Promise.all(KINDS.map(echoing));
  const l7 = await L7.start(backends.map(({ addr: backend }, i) => {
    const kind = KINDS[i] ?? "h1";
    return { hostname: `${kind}.test`, backend, ...backendKeys(kind) };
  }));
  return {
    l7,
    async [Symbol.asyncDispose]() {
      await l7[Symbol.asyncDispose]();
      for (const backend of backends) await backend[Symbol.asyncDispose]();
    },
  };
}

testEachEngine("WebSockets pass, however either side asks for them", async () => {
  await using test = await proxied();
  const large = crypto.getRandomValues(new Uint8Array(65_536));
  for (const version of VERSIONS) {
    for (const kind of KINDS) {
      const tunnel = await open(test.l7, version, `${kind}.test`, "/echo");
      assert.equal(tunnel.status, version === "h1" ? 101 : 200, `${version} ${kind}: ${tunnel.head}`);
      assert.match(tunnel.head, /127\.0\.0\.1/);
      const accepts = tunnel.head.match(/sec-websocket-accept[^\r]*/gi) ?? [];
      const wanted = version === "h1" ? ["sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] : [];
      assert.deepEqual(accepts, wanted, `${version} ${kind}: ${tunnel.head}`);
      for (let i = 0; i < 20; i++) {
        tunnel.write(Uint8Array.of(i));
        assert.deepEqual([...await tunnel.read(1)], [i]);
      }
      for (let i = 0; i < 32; i++) tunnel.write(large);
      for (let i = 0; i < 32; i++) assert.ok(Buffer.from(large).equals(await tunnel.read(large.length)));
      await tunnel.finish();
      await test.l7.proxy.event("request", {
        host: `${kind}.test`,
        path: "/echo",
        status: version === "h1" ? 101 : 200,
      });
    }
  }
});

testEachEngine("a WebSocket that the backend refuses is refused", async () => {
  await using test = await proxied();
  for (const version of VERSIONS) {
    for (const kind of KINDS) {
      const { status } = await open(test.l7, version, `${kind}.test`, "/other");
      assert.equal(status, 400, `${version} ${kind}`);
      // The client has closed nothing, and idle_timeout is far: an exchange that stayed open would not be told of.
      await test.l7.proxy.event("request", {
        host: `${kind}.test`,
        path: "/other",
        status,
        protocol: PROTOCOLS[version],
      });
    }
  }
});

testEachEngine("a connection of HTTP/1.1 carries the next request behind a handshake that was refused", async () => {
  await using test = await proxied();
  for (const kind of KINDS) {
    using client = await RawClient.open(test.l7, `${kind}.test`);
    for (let i = 0; i < 3; i++) {
      await client.send(handshake(`${kind}.test`, "/other"));
      assert.match(await client.readUntil("no WebSocket here"), /^HTTP\/1\.1 400 /);
    }
  }
});

testEachEngine("a 2xx of a backend that ignores the handshake reaches a client of HTTP/1.1, and no other", async () => {
  const ANSWERS = [
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain", 200, "plain"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nplain\r\n0\r\n\r\n", 200, "plain"],
    ["HTTP/1.1 204 No Content\r\n\r\n", 204, ""],
    ["HTTP/1.1 204 No Content\r\nSec-WebSocket-Accept: x\r\n\r\n", 204, ""],
  ] as const;
  await using backend = new RecordingBackend("h1");
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, backend_protocol: "http1" }]);
  for (const [octets, status, body] of ANSWERS) {
    backend.answer = () => ({ octets });
    using client = await RawClient.open(l7);
    for (let i = 0; i < 2; i++) {
      await client.send(handshake("a.test", "/ignored"));
      const answer = await client.readUntil(
        body === "" ? "\r\n\r\n" : octets.endsWith("plain") ? "plain" : "\r\n0\r\n\r\n",
      );
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(answer.includes("plain"), body !== "");
      await l7.proxy.event("request", { path: "/ignored", status, method: "GET" });
    }
    const tunnel = await open(l7, "h2", "a.test", "/refused");
    assert.equal(tunnel.status, 502, octets);
    await l7.proxy.event("request", { path: "/refused", status: 502 });
  }
});

testEachEngine("server-sent events arrive one by one", async () => {
  for (const kind of KINDS) {
    const next: (() => void)[] = [];
    await using backend = await HttpBackend.start(kind, async (_request, response) => {
      response.setHeader("content-type", "text/event-stream");
      for (let i = 0; i < 5; i++) {
        response.write(`data: ${i}\n\n`);
        await new Promise<void>((resolve) => next.push(resolve)); // until the client has it
      }
      response.end();
    });
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys(kind) }]);
    for (const version of VERSIONS) {
      using client = await l7.connect(version, "a.test");
      const { body } = await client.begin({ headers: { accept: "text/event-stream" } }, true).head;
      let i = 0;
      for await (const event of body) {
        assert.equal(String(event), `data: ${i++}\n\n`);
        next.shift()?.();
      }
      assert.equal(i, 5);
    }
  }
});
