import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { authority, backendKeys, type Handler, HttpBackend, type HttpPeer, L7, VERSIONS } from "./harness/http.ts";
import { accept } from "../lib/edge/listen.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { ACK, END_STREAM, frame, headers, pseudo, RawHttp2Client, TYPES } from "./harness/raw_http.ts";

const KINDS = ["h1", "h2c"] as const;

/** Makes new connections of both versions, and asks on each, until it is told to stop. @returns How many there were. */
function connecting(l7: L7): { stop(): Promise<number> } {
  let over = false;
  const loads = VERSIONS.map(async (version) => {
    let connections = 0;
    while (!over) {
      using client = await l7.connect(version, "a.test");
      assert.equal((await client.ask()).status, 200);
      connections++;
    }
    return connections;
  });
  return {
    async stop() {
      over = true;
      return (await Promise.all(loads)).reduce((sum, connections) => sum + connections);
    },
  };
}

testEachEngine(
  "certificate files that are replaced bit by bit cost no connection, and are used once they match",
  async () => {
    await using backend = await HttpBackend.start("h2c", (_request, response) => void response.end("ok"));
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
    const { hostname: host, port } = l7.proxy.address();
    const serial = async () => {
      const socket = connectTls({ host, port, servername: "a.test", ca: l7.authority.cert });
      await once(socket, "secureConnect");
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const failures = async (count: number) => {
      l7.proxy.signal("SIGHUP"); // instead of the seconds until the next look
      await l7.proxy.log.findAll(count, ({ event }) => event === "certificate_reload_failed");
    };
    const load = connecting(l7);
    const first = await serial();
    const cert = `${l7.proxy.folder}/a.test.pem`;
    const key = `${l7.proxy.folder}/a.test.key`;
    const renewed = await (await authority()).issue({ hostnames: ["a.test"] });

    Deno.writeTextFileSync(cert, renewed.cert.slice(0, 200)); // half-written
    await failures(1);
    assert.equal(await serial(), first);
    Deno.writeTextFileSync(cert, renewed.cert); // with the key of the one before
    await failures(2);
    assert.equal(await serial(), first);
    Deno.removeSync(key);
    await failures(3);
    assert.equal(await serial(), first);
    Deno.writeTextFileSync(key, renewed.key);
    await l7.proxy.event("certificate_reloaded"); // with no signal
    while (await serial() === first); // each thread takes it in its turn
    assert.ok(await load.stop() > 0);
  },
);

/** Counts how often each request came, by its path. */
function counting(): { readonly handler: Handler; readonly counts: Map<string, number> } {
  const counts = new Map<string, number>();
  const handler: Handler = (request, response) => {
    const path = String(request.url);
    counts.set(path, (counts.get(path) ?? 0) + 1);
    response.end("ok");
  };
  return { handler, counts };
}

testEachEngine("while a backend restarts again and again, no POST comes twice, and what is answered came", async () => {
  for (const kind of KINDS) {
    const { handler, counts } = counting();
    let backend = await HttpBackend.start(kind, handler);
    const { port } = backend;
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys(kind) }]);
    let over = false;
    const statuses = new Map<string, number | "cut">();
    const post = async (client: HttpPeer, name: string) => {
      for (let i = 0; !over; i++) {
        const path = `/${name}/${i}`;
        const body = i % 2 === 0 ? {} : { body: "x" };
        const answer = client.ask({ method: "POST", path, ...body });
        statuses.set(path, await answer.then(({ status }) => status, () => "cut" as const));
      }
    };
    const clients = await Promise.all([...VERSIONS, ...VERSIONS].map((version) => l7.connect(version, "a.test")));
    const posting = clients.map((client, i) => post(client, `${client.version}-${i}`));
    for (let i = 0; i < 5; i++) {
      const seen = counts.size;
      using probe = await l7.connect("h2", "a.test");
      while (counts.size < seen + 20) await probe.ask({ path: "/probe" });
      await backend.stop();
      backend = await HttpBackend.start(kind, handler, { port });
    }
    over = true;
    await Promise.all(posting);
    counts.delete("/probe");
    assert.deepEqual([...counts].filter(([, count]) => count > 1), [], kind);
    assert.deepEqual([...new Set(statuses.values())].filter((status) => ![200, 502, "cut"].includes(status)), []);
    for (const [path, status] of statuses) if (status === 200) assert.equal(counts.get(path), 1, path);
    for (const client of clients) {
      assert.equal((await client.ask({ method: "POST" })).status, 200, "the backend is back");
      client[Symbol.dispose]();
    }
    await backend.stop();
  }
});

testEachEngine(
  "SIGTERM: a client hears twice of the end, what comes in between is served, and what comes after is not",
  async () => {
    const held: (() => void)[] = [];
    await using backend = await HttpBackend.start("h2c", (request, response) => {
      if (request.url !== "/held") return void response.end("ok");
      held.push(() => response.end("held"));
    });
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
    using client = await RawHttp2Client.connect(l7);
    await client.send(headers(1, pseudo({ ":path": "/held" })), headers(3, pseudo()));
    assert.equal(await client.outcome(3), "200");
    l7.proxy.signal("SIGTERM");

    const first = await client.frame(TYPES.GOAWAY);
    assert.deepEqual([...first.payload], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    const ping = await client.frame(TYPES.PING);
    await client.send(headers(5, pseudo())); // was on its way
    assert.equal(await client.outcome(5), "200");
    await client.send(frame("PING", ACK, 0, ping.payload));
    const last = await client.frame(TYPES.GOAWAY);
    assert.deepEqual([...last.payload], [0, 0, 0, 5, 0, 0, 0, 0]);
    await client.send(headers(7, pseudo()));
    assert.equal(await client.outcome(7), "RST_STREAM REFUSED_STREAM");
    const { hostname, port } = l7.proxy.address();
    await assert.rejects(Deno.connect({ hostname, port }), Deno.errors.ConnectionRefused);

    for (const answer of held) answer();
    // The end may come in a frame of its own.
    for (let ended = false; !ended;) {
      const { stream, flags } = await client.frame(TYPES.DATA);
      ended = stream === 1 && (flags & END_STREAM) !== 0;
    }
    assert.equal(await client.end(), "closed");
    assert.equal((await l7.proxy.exit()).code, 0);
    assert.equal(backend.requests, 3);
  },
);

testEachEngine("a backend that answers while it is still sent to ends the upload", async () => {
  for (const kind of KINDS) {
    await using backend = await HttpBackend.start(kind, (_request, response) => {
      response.writeHead(413).end("too large");
    });
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys(kind) }]);
    for (const version of VERSIONS) {
      using client = await l7.connect(version, "a.test");
      const { stream, head } = client.begin({ method: "POST", headers: { "content-length": "1000000000" } });
      stream.on("error", () => {});
      stream.write(new Uint8Array(100_000));
      assert.equal((await head).status, 413, `${version} ${kind}`);
    }
  }
});

/** How often a backend closes upon an upload: whether its answer is read before the write fails is a matter of chance. */
const CLOSES = 15;

testEachEngine("the answer of a backend that closes with an upload unread reaches the client", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    try {
      for (;;) void refuseUpload(await accept(listener));
    } catch {
      // The test has closed it.
    }
  })();
  await using l7 = await L7.start([{
    hostname: "a.test",
    backend: `127.0.0.1:${listener.addr.port}`,
    backend_protocol: "http1",
  }]);
  for (const version of VERSIONS) {
    for (let i = 0; i < CLOSES; i++) {
      using client = await l7.connect(version, "a.test");
      const { stream, head } = client.begin({ method: "POST", headers: { "content-length": "1000000000" } });
      stream.on("error", () => {});
      const more = () => {
        while (!stream.destroyed && !stream.writableEnded && stream.write(PIECE));
      };
      stream.on("drain", more);
      more();
      const { status } = await head;
      assert.equal(status, 413, `${version} ${i}`);
    }
  }
  listener.close();
  await serving;
});

const PIECE = new Uint8Array(64 * 1024);

/** Answers 413 to what has begun to come, and closes with the rest unread, which is a reset. */
async function refuseUpload(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (let read = 0; read < 512 * 1024;) {
    const length = await conn.read(buffer);
    if (length === null) break;
    read += length;
  }
  await conn.write(new TextEncoder().encode("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n"));
  conn.close();
}
