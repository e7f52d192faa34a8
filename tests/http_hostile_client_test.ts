import assert from "node:assert/strict";
import { once } from "node:events";
import { backendKeys, HttpBackend, type HttpPeer, L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import {
  block,
  CODES,
  END_HEADERS,
  END_STREAM,
  frame,
  headers,
  joined,
  PREFACE,
  pseudo,
  RawClient,
  RawHttp2Client,
  settings,
  TYPES,
  uint32,
} from "./harness/raw_http.ts";

// Clients that mean harm, each on connections of its own: those are ended, the others served as ever, and the proxy
// grows by what it may hold for a connection, not by what it is sent.

/** Connections of each kind of attack, one after the other. */
const CONNECTIONS = 2;

/** What the proxy may have grown by in the end. Each attack alone sends more on its connections, or asks for more. */
const MAX_GROWTH_MB = 64;

/** Heaps that leave no room for what an attacker can pile up. */
const SMALL_HEAPS = { DENO_V8_FLAGS: "--max-semi-space-size=1,--max-old-space-size=64" };

function residentMb(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Number(kb) / 1024;
}

/** Sends the same again and again until the proxy says that it ends the connection. */
async function flood(client: RawHttp2Client, one: Uint8Array | ((i: number) => Uint8Array)): Promise<void> {
  let over = false;
  const listening = (async () => { // who does not read what it asks for would be waited for
    while (!over) {
      const next = await client.next();
      over = next === undefined || (next.type === TYPES.GOAWAY && next.payload[7] !== CODES.NO_ERROR);
    }
  })();
  for (let i = 0; !over; i++) {
    const many = Array.from({ length: 100 }, (_, j) => typeof one === "function" ? one(i * 100 + j) : one);
    if (!await client.send(...many)) break;
    await new Promise((resolve) => setTimeout(resolve, 0)); // what is always taken at once would leave no turn to read in
  }
  await listening;
}

/** The stream that number `i` of a connection's requests has, behind one that was made before. */
function stream(i: number): number {
  return 2 * i + 3;
}

/** Ways to have a proxy work, or keep much, for little. */
const ATTACKS: Readonly<Record<string, (client: RawHttp2Client) => Promise<void>>> = {
  "rapid reset (CVE-2023-44487)": (client) =>
    flood(
      client,
      (i) => joined(headers(stream(i), pseudo({ ":path": "/endless" })), frame("RST_STREAM", 0, stream(i), uint32(8))),
    ),
  "resets that the proxy is made to send (CVE-2025-8671)": (client) =>
    flood(
      client,
      (i) =>
        joined(headers(stream(i), pseudo({ ":path": "/endless" })), frame("WINDOW_UPDATE", 0, stream(i), uint32(0))),
    ),
  "rapid reset, diluted: others' hosts, requests that are served, and then those that are reset": (client) =>
    flood(client, (i) => {
      const id = 6 * i + 3;
      return joined(
        headers(id, pseudo({ ":authority": "foreign.test" })),
        headers(id + 2, pseudo()),
        headers(id + 4, pseudo({ ":path": "/endless" })),
        frame("RST_STREAM", 0, id + 4, uint32(8)),
      );
    }),
  "streams beyond the limit": (client) => flood(client, (i) => headers(stream(i), pseudo({ ":path": "/endless" }))),
  "answers that are provoked, in spite of GOAWAY": (client) =>
    flood(client, (i) => headers(stream(i), pseudo({ ":authority": "foreign.test" }))),
  "CONTINUATION without end (CVE-2024-27316)": async (client) => {
    await client.send(frame("HEADERS", END_STREAM, 3, block(pseudo())));
    await flood(client, frame("CONTINUATION", 0, 3, block([["x", "y".repeat(100)]])));
  },
  "PING (CVE-2019-9512)": (client) => flood(client, frame("PING", 0, 0, "12345678")),
  "SETTINGS (CVE-2019-9515)": (client) => flood(client, settings({ 4: 65_535 })),
  "empty DATA (CVE-2019-9518)": async (client) => {
    await client.send(headers(3, pseudo({ ":method": "POST" }), END_HEADERS));
    await flood(client, frame("DATA", 0, 3));
  },
  "windows of one octet (CVE-2019-9511)": async (client) => {
    await client.send(settings({ 4: 0 }), headers(3, pseudo({ ":path": "/endless" })));
    await client.until(({ type }) => type === TYPES.HEADERS);
    await flood(client, frame("WINDOW_UPDATE", 0, 3, uint32(1)));
  },
  "heads that are refused": (client) => flood(client, (i) => headers(stream(i), [...pseudo(), ["X", "y"]])),
};

testEachEngine("HTTP/2: floods end their own connection, and the proxy keeps nothing of them", async () => {
  const endless = new Uint8Array(65_536);
  await using backend = await HttpBackend.start("h2c", async (request, response) => {
    if (request.url !== "/endless") return void response.end("ok");
    let over = false;
    const closed = once(response, "close").then(() => over = true);
    while (!over) if (!response.write(endless)) await Promise.race([once(response, "drain"), closed]);
  });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {}, {}, SMALL_HEAPS);
  using other = await l7.connect("h2", "a.test");
  await served(other, 300);
  const before = residentMb(l7.proxy.pid);
  for (const [name, attack] of Object.entries(ATTACKS)) {
    for (let i = 0; i < CONNECTIONS; i++) {
      using client = await RawHttp2Client.connect(l7);
      await client.send(headers(1, pseudo()));
      assert.equal(await client.outcome(1), "200");
      await Promise.all([attack(client), served(other, 10)]);
      const { detail } = await l7.proxy.end(client.conn);
      assert.match(String(detail), /^ENHANCE_YOUR_CALM: /, name);
    }
  }
  await served(other, 300);
  const growth = residentMb(l7.proxy.pid) - before;
  assert.ok(growth < MAX_GROWTH_MB, `the proxy grew by ${growth.toFixed(0)} MB`);
  assert.ok(!l7.proxy.log.seen.some(({ event }) => event === "internal_error" || event === "worker_failed"));
});

async function served(client: HttpPeer, times: number): Promise<void> {
  for (let i = 0; i < times; i++) assert.equal((await client.ask()).status, 200);
}

testEachEngine("HTTP/2: a header bomb is answered with 431, and its connection goes on", async () => {
  await using backend = await HttpBackend.start("h2c", (_request, response) => void response.end("ok"));
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {}, {}, SMALL_HEAPS);
  using client = await RawHttp2Client.connect(l7);
  const name = joined(Uint8Array.of(0x40, 1), "x"); // enters the table (RFC 7541 §6.2.1)
  const value = joined(Uint8Array.of(0x7f, 0xbd, 0x1d), "y".repeat(3900)); // 3,900 octets: 127 + 61 + 29 * 128
  await client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, joined(block(pseudo()), name, value)));
  assert.equal(await client.outcome(1), "200");
  const again = new Uint8Array(16_000).fill(0xbe); // each of them the whole field, by its index
  for (let id = 3; id < 200; id += 2) {
    await client.send(frame("HEADERS", END_STREAM | END_HEADERS, id, joined(block(pseudo()), again)));
    assert.equal(await client.outcome(id), "431");
  }
  await client.send(headers(201, pseudo()));
  assert.equal(await client.outcome(201), "200");
  assert.equal(backend.requests, 2);
});

testEachEngine("HTTP/2: a head that is too large is answered with 431, and the other streams go on", async () => {
  await using backend = await HttpBackend.start("h1", (request, response) => {
    request.resume().on("end", () => response.end("ok"));
  });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys("h1") }]);
  const tooLarge: readonly (readonly [error: string, fields: [string, string][]])[] = [
    ["header_list_too_large", [["x", "y".repeat(100_000)]]],
    ["header_list_too_large", Array.from({ length: 50 }, () => ["x", "y".repeat(4_000)])],
    ["too_many_fields", Array.from({ length: 300 }, (_, i) => [`x-${i}`, "y"])],
  ];
  using client = await RawHttp2Client.connect(l7);
  await client.send(headers(1, pseudo({ ":method": "POST" }), END_HEADERS)); // under way all the time
  let id = 3;
  for (const [error, fields] of tooLarge) {
    await client.send(continued(id, [...pseudo(), ...fields]));
    assert.equal(await client.outcome(id), "431", error);
    await l7.proxy.event("request", { status: 431, error });
    id += 2;
  }
  const crumbs = Array.from({ length: 400 }, (): [string, string] => ["cookie", "a=b"]);
  await client.send(continued(id, [...pseudo(), ...crumbs]));
  assert.equal(await client.outcome(id), "200", "the crumbs of a cookie are one field");
  await client.send(frame("DATA", END_STREAM, 1, "body"));
  assert.equal(await client.outcome(1), "200");
});

/** A head in as many frames as it takes. */
function continued(id: number, fields: readonly (readonly [string, string])[]): Uint8Array {
  const bytes = block(fields);
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 16_384) {
    const last = at + 16_384 >= bytes.length ? END_HEADERS : 0;
    const part = bytes.subarray(at, at + 16_384);
    frames.push(at === 0 ? frame("HEADERS", END_STREAM | last, id, part) : frame("CONTINUATION", last, id, part));
  }
  return joined(...frames);
}

testEachEngine("HTTP/2: streams beyond the limit are refused, and come to nothing", async () => {
  const asked: (() => void)[] = [];
  await using backend = await HttpBackend.start("h2c", (_request, response) => {
    asked.push(() => response.end("ok"));
    if (asked.length === 128) { for (const answer of asked) answer(); }
  });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  using client = await RawHttp2Client.connect(l7);
  const requests = Array.from({ length: 200 }, (_, i) => headers(1 + 2 * i, pseudo()));
  await client.send(...requests);
  const outcomes = { answered: 0, refused: 0 };
  while (outcomes.answered + outcomes.refused < 200) {
    const { type, flags } = await client.until(({ stream }) => stream > 0);
    if (type === TYPES.RST_STREAM) outcomes.refused++;
    else if ((flags & END_STREAM) !== 0) outcomes.answered++;
  }
  assert.deepEqual([outcomes, backend.requests], [{ answered: 128, refused: 72 }, 128]);
});

/** Clients that take their time, and how their connection ends for it. */
const SLOW: Readonly<Record<string, (l7: L7) => Promise<RawClient>>> = {
  async "no request, HTTP/1.1"(l7) {
    return await RawClient.open(l7);
  },
  async "no request, HTTP/2"(l7) {
    return await RawHttp2Client.connect(l7);
  },
  async "no preface"(l7) {
    return await RawClient.open(l7, "a.test", ["h2"]);
  },
  async "a head without end, HTTP/1.1"(l7) {
    const client = await RawClient.open(l7);
    await client.send("GET / HTTP/1.1\r\nHost: a.test\r\n");
    void drip(client, "x: y\r\n");
    return client;
  },
  async "a second head without end, HTTP/1.1"(l7) {
    const client = await RawClient.open(l7);
    await client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    await client.readUntil("ok");
    void drip(client, "x");
    return client;
  },
  async "a head without end, HTTP/2"(l7) {
    const client = await RawHttp2Client.connect(l7);
    await client.send(headers(1, pseudo()));
    assert.equal(await client.outcome(1), "200");
    await client.send(frame("HEADERS", END_STREAM, 3, block(pseudo())).subarray(0, 12));
    return client;
  },
  async "a block without end, HTTP/2"(l7) {
    const client = await RawHttp2Client.connect(l7);
    await client.send(headers(1, pseudo()));
    assert.equal(await client.outcome(1), "200");
    await client.send(frame("HEADERS", END_STREAM, 3, block(pseudo())));
    return client;
  },
};

/** Sends the same again and again, as long as the other side takes it. */
async function drip(client: RawClient, text: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => void client.send(text).then((sent) => sent || resolve()), 20);
  await promise;
  clearInterval(timer);
}

testEachEngine("clients that keep a connection without a request are ended after hello_timeout", async () => {
  await using backend = await HttpBackend.start("h2c", (_request, response) => void response.end("ok"));
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { hello_timeout: "500ms", idle_timeout: "60s" },
  });
  const slow = Object.values(SLOW).flatMap((open) => [open, open, open]);
  const clients = await Promise.all(slow.map((open) => open(l7)));
  using other = await l7.connect("h2", "a.test");
  await Promise.all([served(other, 50), ...clients.map((client) => client.readToEnd())]);
  const ends = await l7.proxy.log.findAll(slow.length, ({ event }) => event === "connection");
  assert.deepEqual([...new Set(ends.map(({ end }) => end))], ["idle_timeout"]);
  for (const client of clients) client[Symbol.dispose]();
});

testEachEngine("clients that do not read are given up after idle_timeout, and so is what they asked for", async () => {
  const endless = new Uint8Array(65_536);
  for (const kind of ["h1", "h2c"] as const) {
    let open = 0;
    let closed = 0;
    await using backend = await HttpBackend.start(kind, async (request, response) => {
      if (request.url === "/") return void response.end("ok");
      open++;
      let over = false;
      const end = once(response, "close").then(() => over = true);
      while (!over) if (!response.write(endless)) await Promise.race([once(response, "drain"), end]);
      closed++;
    });
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys(kind) }], {
      proxy: { idle_timeout: "500ms" },
    });
    const window0 = await RawHttp2Client.connect(l7, { 4: 0 });
    for (let id = 1; id < 100; id += 2) await window0.send(headers(id, pseudo({ ":path": "/endless" })));
    const wide = await RawHttp2Client.connect(l7, { 4: 2 ** 31 - 1 });
    await wide.send(frame("WINDOW_UPDATE", 0, 0, uint32(2 ** 30)));
    for (let id = 1; id < 100; id += 2) await wide.send(headers(id, pseudo({ ":path": "/endless" })));
    const h1 = await RawClient.open(l7);
    await h1.send("GET /endless HTTP/1.1\r\nHost: a.test\r\n\r\n");
    const errors = await l7.proxy.log.findAll(101, ({ event, path }) => event === "request" && path === "/endless");
    assert.deepEqual([...new Set(errors.map(({ error }) => error))], ["nothing has moved for idle_timeout"]);
    using other = await l7.connect("h1", "a.test");
    while (closed < 101) assert.equal((await other.ask()).status, 200);
    assert.equal(open, 101);
    for (const client of [window0, wide, h1]) client[Symbol.dispose]();
  }
});

testEachEngine("what follows a preface of HTTP/2 and is none ends the connection", async () => {
  await using backend = await HttpBackend.start("h2c", (_request, response) => void response.end("ok"));
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  for (
    const [octets, end] of [
      ["GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "GOAWAY PROTOCOL_ERROR"],
      [joined(PREFACE, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), "GOAWAY FRAME_SIZE_ERROR"],
      [joined(PREFACE, headers(1, pseudo())), "GOAWAY PROTOCOL_ERROR"],
    ] as const
  ) {
    using client = await RawHttp2Client.bare(l7);
    await client.send(octets);
    assert.equal(await client.end(), end);
  }
  assert.equal(backend.requests, 0);
});
