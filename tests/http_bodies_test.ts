import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import type { Readable, Writable } from "node:stream";
import {
  backendKeys,
  bytesOf,
  type Handler,
  HttpBackend,
  type HttpPeer,
  L7,
  type Version,
  VERSIONS,
} from "./harness/http.ts";
import { Backend, connectTls, readExactly, writeAll } from "./harness/peers.ts";
import { ByteWriter } from "../lib/wire/byte_writer.ts";
import { HpackEncoder } from "../lib/wire/hpack_encoder.ts";
import * as h2 from "../lib/wire/http2_frames.ts";
import { testEachEngine } from "./harness/proxy.ts";

const MB = 1024 * 1024;
const KINDS = ["h1", "h2c"] as const;

/** The largest body, in MB; `MC_PROXY_TEST_BODY_MB=1000` for the patient. */
const LARGE_MB = Number(Deno.env.get("MC_PROXY_TEST_BODY_MB") ?? 24);

/** What a sender that is held up may have sent: what the sockets of three programs hold, and the windows. */
const MAX_UNREAD_MB = 48;
/** What the proxy may have grown by meanwhile; most of it is the garbage of the requests beside. */
const MAX_GROWTH_MB = 48;

const CHUNK = crypto.getRandomValues(new Uint8Array(65_536));

/** Writes so many MB, as the receiver takes them. @returns Their checksum. */
async function writeBody(to: Writable, megabytes: number): Promise<string> {
  const hash = createHash("sha256");
  for (let i = 0; i < megabytes * 16; i++) {
    const chunk = CHUNK.slice();
    chunk[0] = i; // no two are alike
    hash.update(chunk);
    if (!to.write(chunk)) await once(to, "drain");
  }
  to.end();
  return hash.digest("hex");
}

async function checksumOf(body: Readable): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of body) hash.update(chunk);
  return hash.digest("hex");
}

async function withBackends(handler: Handler, use: (l7: L7, name: string, backend: HttpBackend) => Promise<void>) {
  const backends = await Promise.all(KINDS.map((kind) => HttpBackend.start(kind, handler)));
  const routes = backends.map(({ addr: backend }, i) => {
    const kind = KINDS[i] ?? "h1";
    return { hostname: `${kind}.test`, backend, ...backendKeys(kind) };
  });
  try {
    await using l7 = await L7.start(routes);
    for (const [i, backend] of backends.entries()) await use(l7, `${KINDS[i]}.test`, backend);
  } finally {
    for (const backend of backends) await backend[Symbol.asyncDispose]();
  }
}

testEachEngine("bodies of any length arrive as they were sent, both ways", async () => {
  const sums = new Map<string, string>();
  const handler: Handler = async (request, response) => {
    const megabytes = Number(request.url?.slice(1));
    if (request.method === "POST") return void response.end(await checksumOf(request));
    const id = String(request.headers["x-request-id"]);
    sums.set(id, await writeBody(response, megabytes));
  };
  await withBackends(handler, async (l7, name) => {
    for (const version of VERSIONS) {
      using client = await l7.connect(version, name);
      for (const megabytes of [1, LARGE_MB]) {
        const upload = client.begin({ method: "POST", path: `/${megabytes}` });
        const sum = await writeBody(upload.stream, megabytes);
        const { body } = await upload.head;
        assert.equal((await bytesOf(body)).toString(), sum, `${version} ${name} up`);

        const id = `${version}-${name}-${megabytes}`;
        const { head } = client.begin({ path: `/${megabytes}`, headers: { "x-request-id": id } }, true);
        assert.equal(await checksumOf((await head).body), sums.get(id), `${id} down`);
        const line = await l7.proxy.event("request", { request_id: id });
        assert.deepEqual([line["bytes_out"], line["bytes_in"], line["error"]], [megabytes * MB, 0, undefined]);
      }
    }
  });
});

function residentMb(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Number(kb) / 1024;
}

/** Time for the proxy to take in what it should not: other requests pass meanwhile. */
async function passOthers(client: HttpPeer): Promise<void> {
  for (let i = 0; i < 300; i++) assert.equal((await client.ask({ path: "/other" })).status, 200);
}

/** Asks for an endless answer and does not read it; node's client of HTTP/1.1 would. @returns How to break it off. */
async function askAndNotRead(l7: L7, version: Version, name: string): Promise<() => void> {
  if (version === "h2") {
    const client = await l7.connect("h2", name);
    await client.begin({ path: "/endless" }, true).head;
    return () => client[Symbol.dispose]();
  }
  const conn = await connectTls(l7.proxy.address(), name, l7.authority.cert, ["http/1.1"]);
  await writeAll(conn, new TextEncoder().encode(`GET /endless HTTP/1.1\r\nhost: ${name}\r\n\r\n`));
  await readExactly(conn, 100);
  return () => conn.close();
}

testEachEngine("a client that does not read holds up the backend, and not the proxy's memory", async () => {
  let sent = 0;
  let stalled: Promise<unknown> = Promise.resolve();
  const handler: Handler = async (request, response) => {
    if (request.url === "/other") return void response.end("ok");
    let over = false;
    stalled = once(response, "close").then(() => over = true);
    while (!over) {
      sent += CHUNK.length;
      if (!response.write(CHUNK)) await Promise.race([once(response, "drain"), stalled]);
    }
  };
  await withBackends(handler, async (l7, name) => {
    for (const version of VERSIONS) {
      using other = await l7.connect("h2", name);
      await passOthers(other);
      const before = residentMb(l7.proxy.pid);
      sent = 0;
      const abort = await askAndNotRead(l7, version, name);
      await passOthers(other);
      assert.ok(sent < MAX_UNREAD_MB * MB, `${version} ${name}: the backend could send ${sent / MB} MB`);
      const growth = residentMb(l7.proxy.pid) - before;
      assert.ok(growth < MAX_GROWTH_MB, `${version} ${name}: the proxy grew by ${growth} MB`);
      abort();
      await stalled; // the backend is told that nobody reads
    }
  });
});

/** Uploads without end, as the proxy takes it. */
async function uploadEndlessly(l7: L7, version: Version, name: string, sent: (bytes: number) => void) {
  const conn = await connectTls(l7.proxy.address(), name, l7.authority.cert, ["http/1.1"]);
  if (version === "h1") {
    const head = `POST /unread HTTP/1.1\r\nhost: ${name}\r\ncontent-length: ${10 ** 12}\r\n\r\n`;
    await writeAll(conn, new TextEncoder().encode(head));
    const sending = (async () => {
      for (;;) {
        await writeAll(conn, CHUNK);
        sent(CHUNK.length);
      }
    })().catch(() => {});
    return { abort: () => conn.close(), sending };
  }
  conn.close();
  const client = await l7.connect("h2", name);
  const { stream } = client.begin({ method: "POST", path: "/unread" });
  stream.on("error", () => {});
  let over = false;
  const closed = once(stream, "close").then(() => over = true);
  const sending = (async () => {
    while (!over) {
      sent(CHUNK.length);
      if (!stream.write(CHUNK)) await Promise.race([once(stream, "drain"), closed]);
    }
  })().catch(() => {});
  return { abort: () => client[Symbol.dispose](), sending };
}

/** Backends that take a request and read no more of it. node's server of HTTP/1.1 would. */
async function notReading(kind: typeof KINDS[number]) {
  const arrived = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  if (kind === "h2c") {
    let release = () => {};
    const backend = await HttpBackend.start("h2c", (request) => {
      request.once("close", gone.resolve);
      release = () => request.resume();
      arrived.resolve();
    });
    return { addr: backend.addr, arrived, gone, close: () => backend.stop(), release: () => release() };
  }
  const backend = new Backend();
  const released = Promise.withResolvers<void>();
  const serving = (async () => {
    const conn = await backend.accept();
    await readExactly(conn, 100);
    arrived.resolve();
    await released.promise;
    const buffer = new Uint8Array(65_536);
    while (await conn.read(buffer) !== null);
    conn.close();
  })().catch(() => {}).then(() => gone.resolve());
  const close = async () => {
    backend[Symbol.dispose]();
    await serving;
  };
  return { addr: backend.addr, arrived, gone, close, release: released.resolve };
}

testEachEngine("a backend that does not read holds up the client, and not the proxy's memory", async () => {
  await using quick = await HttpBackend.start("h2c", (_request, response) => void response.end("ok"));
  for (const kind of KINDS) {
    for (const version of VERSIONS) {
      const backend = await notReading(kind);
      await using l7 = await L7.start([
        { hostname: "slow.test", backend: backend.addr, ...backendKeys(kind) },
        { hostname: "quick.test", backend: quick.addr },
      ]);
      using other = await l7.connect("h2", "quick.test");
      await passOthers(other);
      const before = residentMb(l7.proxy.pid);
      let sent = 0;
      const { abort, sending } = await uploadEndlessly(l7, version, "slow.test", (bytes) => sent += bytes);
      await backend.arrived.promise;
      await passOthers(other);
      assert.ok(sent < MAX_UNREAD_MB * MB, `${version} ${kind}: the client could send ${sent / MB} MB`);
      const growth = residentMb(l7.proxy.pid) - before;
      assert.ok(growth < MAX_GROWTH_MB, `${version} ${kind}: the proxy grew by ${growth} MB`);
      abort();
      backend.release(); // who does not read does not hear of the end either
      await Promise.all([sending, backend.gone.promise]);
      await backend.close();
    }
  }
});

testEachEngine("an upload that is broken off is broken off for an HTTP/2 backend", async () => {
  let arrived = Promise.withResolvers<void>();
  let aborted: Promise<unknown> = Promise.resolve();
  await using backend = await HttpBackend.start("h2c", (request) => {
    request.once("data", () => arrived.resolve());
    aborted = once(request, "aborted");
  });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  for (const version of VERSIONS) {
    arrived = Promise.withResolvers();
    await breakOff(l7, version, async () => await arrived.promise);
    await aborted;
  }
});

testEachEngine("an upload that is broken off is cut for an HTTP/1.1 backend, and no last chunk is sent", async () => {
  using backend = new Backend();
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys("h1") }]);
  for (const version of VERSIONS) {
    let text = "";
    const buffer = new Uint8Array(10_000);
    let conn: Deno.TcpConn | undefined;
    const read = async () => {
      const length = await conn?.read(buffer).catch(() => null) ?? null;
      if (length !== null) text += new TextDecoder().decode(buffer.subarray(0, length));
      return length !== null;
    };
    await breakOff(l7, version, async () => {
      conn = await backend.accept();
      while (!text.endsWith("a part\r\n")) assert.ok(await read());
    });
    while (await read());
    assert.ok(text.endsWith("\r\n\r\n6\r\na part\r\n"), text);
    conn?.close();
  }
});

/** Uploads a part by hand, and breaks it off once it has come; node's HTTP/2 client may end the body before its reset. */
async function breakOff(l7: L7, version: Version, arrived: () => Promise<void>): Promise<void> {
  const alpn = version === "h2" ? "h2" : "http/1.1";
  const conn = await connectTls(l7.proxy.address(), "a.test", l7.authority.cert, [alpn]);
  await writeAll(conn, version === "h2" ? http2Part() : http1Part());
  await arrived();
  if (version === "h2") await writeAll(conn, http2Reset());
  else conn.close();
  assert.equal((await l7.proxy.event("request", { request_id: `upload-${version}` }))["status"], 499);
  if (version === "h2") conn.close();
}

function http1Part(): Uint8Array {
  const head = "POST / HTTP/1.1\r\nhost: a.test\r\nx-request-id: upload-h1\r\ntransfer-encoding: chunked\r\n\r\n";
  return new TextEncoder().encode(`${head}6\r\na part\r\n`);
}

function http2Part(): Uint8Array {
  const fields = [":method", "POST", ":scheme", "https", ":authority", "a.test", ":path", "/"];
  const block = new ByteWriter();
  new HpackEncoder().encode([...fields, "x-request-id", "upload-h2"], block);
  const out = new ByteWriter();
  out.put(h2.PREFACE);
  h2.writeSettings(out, []);
  h2.writeFrameHeader(out, block.length, h2.HEADERS, h2.END_HEADERS, 1);
  out.put(block.written);
  h2.writeFrameHeader(out, 6, h2.DATA, 0, 1);
  out.latin1("a part");
  return out.taken();
}

function http2Reset(): Uint8Array {
  const out = new ByteWriter();
  h2.writeFrameHeader(out, 4, h2.RST_STREAM, 0, 1);
  h2.writeUint32(out, h2.ERROR_CODES.CANCEL);
  return out.taken();
}

testEachEngine("an answer that breaks off is seen to: no part passes for the whole", async () => {
  const handler: Handler = (request, response) => {
    response.write("a part");
    dying.push(() => request.socket.destroy());
  };
  const dying: (() => void)[] = [];
  await withBackends(handler, async (l7, name) => {
    for (const version of VERSIONS) {
      using client = await l7.connect(version, name);
      const id = `download-${version}-${name}`;
      const { stream, head } = client.begin({ headers: { "x-request-id": id } }, true);
      const { body } = await head;
      await once(body, "data");
      const failed = new Promise((resolve) => {
        body.on("error", resolve);
        body.on("aborted", resolve);
      });
      dying.at(-1)?.();
      await failed;
      assert.equal((body as IncomingMessage).complete ?? false, false);
      if (version === "h2") assert.equal((stream as ClientHttp2Stream).rstCode, 2, "INTERNAL_ERROR");
      const line = await l7.proxy.event("request", { request_id: id });
      assert.deepEqual([line["status"], line["bytes_out"]], [200, 6]);
      assert.match(String(line["error"]), /clos|reset/i);
    }
  });
});
