import assert from "node:assert/strict";
import { L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { RecordingBackend } from "./harness/raw_backend.ts";
import {
  block,
  type CODES,
  END_HEADERS,
  END_STREAM,
  frame,
  headers,
  joined,
  pseudo,
  RawClient,
  RawHttp2Client,
  uint32,
} from "./harness/raw_http.ts";

// Each octet here is sent as it stands: what a client's library would mend, an attacker's does not.

/** What attacks want the backend to see as a request of its own. */
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

/** Heads that are refused; behind each comes a request that must not be taken for one. */
const HEADS: readonly (readonly [status: number, octets: string])[] = [
  // Two lengths, or one that can be read in two ways.
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"],
  ...["1, 2", "+1", "-1", "0x1", "1 1", "1;", "1\x0b", "1e1", "", "99999999999999999999", "1,", "\xb2"].map((length) =>
    [400, `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${length}\r\n\r\nx`] as const
  ),
  // Transfer-Encoding, disguised.
  ...["xchunked", "identity", "chunked, identity", "chunked, chunked", "chunked, gzip"].map((coding) =>
    [400, `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`] as const
  ),
  ...["gzip, chunked", "identity, chunked"].map((coding) =>
    [501, `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`] as const
  ),
  ...['"chunked"', "chunked;q=1", "\x0bchunked", "chunked\0", "chun\rked", ",chunked", "", "\xa0chunked"].map((
    coding,
  ) => [400, `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`] as const),
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.1\r\nHost: a.test\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  [400, "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  // Lines that end, or go on, where others see no end.
  [400, "GET / HTTP/1.1\nHost: a.test\n\n"],
  [400, "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\n\r\n"],
  [400, "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n folded\r\n\r\n"],
  [400, "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\tfolded\r\n\r\n"],
  [400, "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n"],
  ...["\0", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x7f", "\r", "\n"].map((control) =>
    [400, `GET / HTTP/1.1\r\nHost: a.test\r\nX: a${control}b\r\n\r\n`] as const
  ),
  // Names that are none.
  ...["X ", "", "X Y", "X\0", "X(", "\xe9", "X\x0b", "X,"].map((name) =>
    [400, `GET / HTTP/1.1\r\nHost: a.test\r\n${name}: y\r\n\r\n`] as const
  ),
  [400, "GET / HTTP/1.1\r\nHost: a.test\r\nno colon\r\n\r\n"],
  // Whom it is for.
  [400, "GET / HTTP/1.1\r\n\r\n"],
  [400, "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n"],
  ...["a.test, b.test", "user@a.test", "a.test/x", "a.test x", "a.test:x", "a.test:99999", "a.test#", "a.test?", ""]
    .map((host) => [400, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`] as const),
  [400, "GET http://user@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
  // Start lines.
  ...["GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET /\tHTTP/1.1", "GET /a b HTTP/1.1", "GET / http/1.1"]
    .map((line) => [400, `${line}\r\nHost: a.test\r\n\r\n`] as const),
  ...["GET /", "GET x HTTP/1.1", "GET /\0 HTTP/1.1", "GET /\xe9 HTTP/1.1", "GET /#f HTTP/1.1", "G(T / HTTP/1.1"].map(
    (line) => [400, `${line}\r\nHost: a.test\r\n\r\n`] as const,
  ),
  [400, "GET / HTTP/1.10\r\nHost: a.test\r\n\r\n"],
  [505, "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n"],
  [505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  // Switches of protocols.
  [400, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"],
  [417, "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: a-miracle\r\nContent-Length: 1\r\n\r\nx"],
];

/** Bodies of a chunked request that break off; the head, and what was sound, may have gone to the backend. */
const CHUNKED: readonly string[] = [
  ...["g", "0x5", " 5", "5 ", "-1", "+5", "", "5\0", "00000000000000005", "ffffffffffffffff", "5,5", "５"].map((size) =>
    `${size}\r\nhello\r\n0\r\n\r\n`
  ),
  "5\nhello\r\n0\r\n\r\n",
  "5\rhello\r\n0\r\n\r\n",
  "5;a\x01b\r\nhello\r\n0\r\n\r\n",
  "5;a\nb\r\nhello\r\n0\r\n\r\n",
  `5;${"x".repeat(300)}\r\nhello\r\n0\r\n\r\n`,
  "5\r\nhello0\r\n\r\n",
  "5\r\nhello\n0\r\n\r\n",
  "5\r\nhello!\r\n0\r\n\r\n",
  "0\r\nX : y\r\n\r\n",
  "0\r\nX: y\r\n z\r\n\r\n",
  "0\r\nX: y\n\r\n",
  "0\r\nX: \0\r\n\r\n",
  "0\n\n",
];

/** Two backends, one of each protocol, behind a proxy of one worker. */
async function stand(test: (l7: L7, backends: readonly (readonly [string, RecordingBackend])[]) => Promise<void>) {
  await using h1 = new RecordingBackend("h1");
  await using h2c = new RecordingBackend("h2c");
  await using l7 = await L7.start([
    { hostname: "a.test", backend: h1.addr, backend_protocol: "http1" },
    { hostname: "b.test", backend: h2c.addr },
  ], { proxy: { workers: 1 } });
  await test(l7, [["a.test", h1], ["b.test", h2c]]);
  for (const backend of [h1, h2c]) assert.ok(!backend.octets.includes("smuggled"), backend.octets);
}

/** A sound request, so that what came before it has had its time to reach the backend. */
async function ask(l7: L7, host: string): Promise<void> {
  using client = await RawHttp2Client.connect(l7, {}, host);
  await client.send(headers(1, pseudo({ ":authority": host })));
  assert.equal(await client.outcome(1), "200");
}

function statuses(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d\d\d)/g)].map(([, status]) => status ?? "");
}

testEachEngine(
  "HTTP/1.1: heads that could be read in two ways are refused, and nothing of them is passed on",
  () =>
    stand(async (l7, backends) => {
      for (const [host, backend] of backends) {
        for (const [status, octets] of HEADS) {
          using client = await RawClient.open(l7, host);
          await client.send((octets + SMUGGLED).replaceAll("a.test", host));
          assert.deepEqual(statuses(await client.readToEnd()), [String(status)], JSON.stringify(octets));
        }
        await ask(l7, host);
        assert.deepEqual([backend.begun, backend.whole], [1, 1]);
      }
    }),
);

testEachEngine(
  "HTTP/1.1: a body that breaks its framing never comes to its end, nor does what hides in it",
  () =>
    stand(async (l7, backends) => {
      for (const [host, backend] of backends) {
        for (const octets of CHUNKED) {
          using client = await RawClient.open(l7, host);
          const head = `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`;
          await client.send(head + octets + SMUGGLED);
          assert.deepEqual(statuses(await client.readToEnd()), ["400"], JSON.stringify(octets));
        }
        await ask(l7, host);
        assert.equal(backend.whole, 1);
      }
    }),
);

testEachEngine(
  "HTTP/1.1: what follows a request is another one only where the framing says so",
  () =>
    stand(async (l7, [[host, backend] = failed(), [hostH2, backendH2] = failed()]) => {
      const hidden = "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n";
      const close = "GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
      const requests = [
        `POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
        `POST /2 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: Chunked\r\n\r\n` +
        `${
          hidden.length.toString(16)
        };ext="a;b"\r\n${hidden}\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n` +
        `Host: evil\r\nX-Kept: 1\r\n\r\n`,
        `POST /3 HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${hidden.length}, ${hidden.length}\r\n` +
        `Connection: content-length, host, transfer-encoding\r\n\r\n${hidden}`,
        `GET http://a.test/4 HTTP/1.1\r\nHost: evil.test\r\n\r\n`,
        `GET /5 HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
        close,
      ];
      for (const name of [host, hostH2]) {
        using client = await RawClient.open(l7, name);
        await client.send(requests.join("").replaceAll("a.test", name));
        assert.deepEqual(statuses(await client.readToEnd()), requests.map(() => "200"));
      }
      assert.deepEqual([backend.whole, backendH2.whole], [requests.length, requests.length]);
      const heard = backend.octets.split(hidden).join("(hidden)");
      assert.ok(!/hidden HTTP|evil|h2c|http2-settings|upgrade/i.test(heard), heard);
      assert.equal(heard.match(/content-length: 38\r\n/g)?.length, 2, heard);
      assert.equal(heard.match(/content-length/gi)?.length, 2, heard);
      assert.equal(heard.match(/transfer-encoding: chunked\r\n/g)?.length, 1, heard);
      assert.equal(heard.match(/host: a\.test\r\n/g)?.length, requests.length * 2, "host, and x-forwarded-host");
      assert.match(heard, /0\r\nx-kept: 1\r\n\r\n/);
    }),
);

type Fields = [name: string, value: string][];

/** What a field list of HTTP/2 must not be, and so has its stream reset. */
const LISTS: readonly Fields[] = [
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map((name) =>
    [...pseudo(), [name, "chunked"]] as Fields
  ),
  ...["gzip", "trailers, gzip", "Trailers"].map((te) => [...pseudo(), ["te", te]] as Fields),
  ...[
    "a\r\nTransfer-Encoding: chunked",
    `a\r\n\r\n${SMUGGLED}`,
    "a\nb",
    "a\rb",
    "a\0b",
    "\x01",
    "a\x7f",
    " a",
    "a ",
    "\ta",
  ]
    .map((value) => [...pseudo(), ["x", value]] as Fields),
  ...["X", "x:y", "x y", "", "x\r\ny", "x\0", "\xe9", "x: a\r\ny", ":x", "content-Length", '"x"'].map((name) =>
    [...pseudo(), [name, "y"]] as Fields
  ),
  ...[
    "",
    "x",
    "/a b",
    "/ HTTP/1.1\r\nHost: a.test\r\n\r\nGET /smuggled",
    "/\r\nX: y",
    "/\0",
    "/\x7f",
    "/\xe9",
    "/#f",
    "*",
    "http://a.test/",
    "/a\tb",
  ].map((path) => pseudo({ ":path": path })),
  ...["", "G T", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET", "GET\0", "GET:", "M".repeat(33)].map((method) =>
    pseudo({ ":method": method })
  ),
  ...[
    "",
    "a.test\r\nX: y",
    "a.test b.test",
    "user@a.test",
    "a.test/",
    "a.test?",
    "a.test#",
    "a.test,b.test",
    "a.test:x",
  ]
    .map((authority) => pseudo({ ":authority": authority })),
  ...["", "https\r\nX: y", "https://a.test/ HTTP/1.1", "h ttp"].map((scheme) => pseudo({ ":scheme": scheme })),
  ...["x", "+1", "-1", "1 1", "0x1", "", "1, 2", "99999999999999999999"].map((length) =>
    [...pseudo({ ":method": "POST" }), ["content-length", length]] as Fields
  ),
  [...pseudo({ ":method": "POST" }), ["content-length", "1"], ["content-length", "2"]],
  [...pseudo({ ":method": "POST" }), ["content-length", "1"]], // and no body
  [...pseudo(), ["host", "c.test"]],
  [...pseudo(), ["host", "a.test"], ["host", "a.test"]],
  [...pseudo(), ["host", "a.test\r\nX: y"]],
  [["x", "y"], ...pseudo()],
  [...pseudo(), [":path", "/"]],
  [...pseudo(), [":status", "200"]],
  pseudo({ ":protocol": "websocket" }),
  pseudo({ ":method": "CONNECT" }),
  pseudo().filter(([name]) => name !== ":path"),
  pseudo().filter(([name]) => name !== ":method"),
  pseudo().filter(([name]) => name !== ":scheme"),
  pseudo().filter(([name]) => name !== ":authority"),
];

testEachEngine(
  "HTTP/2: field lists that HTTP/1.1 could read otherwise are refused, and nothing of them is passed on",
  () =>
    stand(async (l7, backends) => {
      for (const [host, backend] of backends) {
        using client = await RawHttp2Client.connect(l7, {}, host);
        for (const [i, list] of LISTS.entries()) {
          const fields = list.map(([name, value]) => [name, value.replaceAll("a.test", host)] as const);
          const stream = 1 + 2 * i;
          await client.send(headers(stream, fields));
          assert.equal(await client.outcome(stream), "RST_STREAM PROTOCOL_ERROR", JSON.stringify(list));
        }
        await ask(l7, host);
        assert.deepEqual([backend.begun, backend.whole], [1, 1]);
      }
    }),
);

testEachEngine(
  "HTTP/2: a body that is not as long as was said, and trailers that break rules, never come to an end",
  () =>
    stand(async (l7, backends) => {
      const post = (host: string, length: string) =>
        [...pseudo({ ":method": "POST", ":authority": host }), ["content-length", length]] as const;
      const trailers = (fields: Fields, flags = END_STREAM | END_HEADERS) => (stream: number) =>
        joined(frame("DATA", 0, stream, "hello"), headers(stream, fields, flags));
      const bodies: readonly ((stream: number) => Uint8Array)[] = [
        (stream) => frame("DATA", END_STREAM, stream, "hell"),
        (stream) => frame("DATA", END_STREAM, stream, `hello${SMUGGLED}`),
        (stream) => joined(frame("DATA", 0, stream, "hello"), frame("DATA", END_STREAM, stream, SMUGGLED)),
        (stream) => headers(stream, [["x", "y"]]), // no body at all
        trailers([[":path", "/smuggled"]]),
        trailers([["x", "y\r\n\r\nGET /smuggled HTTP/1.1"]]),
        trailers([["X", "y"]]),
        trailers([["transfer-encoding", "chunked"]]),
        trailers([["x", "y"]], END_HEADERS),
      ];
      for (const [host, backend] of backends) {
        using client = await RawHttp2Client.connect(l7, {}, host);
        for (const [i, body] of bodies.entries()) {
          const stream = 1 + 2 * i;
          await client.send(headers(stream, post(host, "5"), END_HEADERS), body(stream));
          assert.equal(await client.outcome(stream), "RST_STREAM PROTOCOL_ERROR", `body ${i}`);
        }
        await ask(l7, host);
        assert.equal(backend.whole, 1);
      }
    }),
);

testEachEngine(
  "HTTP/2: frames that no request can be read from end the connection",
  () =>
    stand(async (l7, backends) => {
      const start = headers(1, pseudo(), END_STREAM); // no END_HEADERS
      const breaches: readonly (readonly [end: keyof typeof CODES, octets: Uint8Array])[] = [
        ["PROTOCOL_ERROR", frame("DATA", END_STREAM, 1, "x")],
        ["PROTOCOL_ERROR", headers(2, pseudo())],
        ["PROTOCOL_ERROR", headers(0, pseudo())],
        ["PROTOCOL_ERROR", frame("CONTINUATION", END_HEADERS, 1, block(pseudo()))],
        ["PROTOCOL_ERROR", joined(start, frame("DATA", 0, 1, "x"))],
        ["PROTOCOL_ERROR", joined(start, frame("CONTINUATION", END_HEADERS, 3))],
        ["PROTOCOL_ERROR", frame("PUSH_PROMISE", END_HEADERS, 1, joined(uint32(2), block(pseudo())))],
        ["COMPRESSION_ERROR", frame("HEADERS", END_STREAM | END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff")],
        ["COMPRESSION_ERROR", frame("HEADERS", END_STREAM | END_HEADERS, 1, "\x00\x7f")],
        ["COMPRESSION_ERROR", frame("HEADERS", END_STREAM | END_HEADERS, 1, "\xfe")],
        ["FRAME_SIZE_ERROR", frame("DATA", 0, 1, "x".repeat(16_385))],
        ["FRAME_SIZE_ERROR", frame("PING", 0, 0, "x")],
        ["FRAME_SIZE_ERROR", frame("SETTINGS", 0, 0, "x")],
        ["PROTOCOL_ERROR", frame("SETTINGS", 0, 1)],
        ["FLOW_CONTROL_ERROR", frame("SETTINGS", 0, 0, joined("\0\x04", uint32(2 ** 31)))],
        ["FLOW_CONTROL_ERROR", frame("WINDOW_UPDATE", 0, 0, uint32(2 ** 31 - 1))],
      ];
      for (const [host, backend] of backends) {
        for (const [end, octets] of breaches) {
          using client = await RawHttp2Client.connect(l7, {}, host);
          await client.send(octets);
          assert.equal(await client.end(), `GOAWAY ${end}`);
        }
        await ask(l7, host);
        assert.deepEqual([backend.begun, backend.whole], [1, 1]);
      }
    }),
);

function failed(): never {
  throw new Error("there are two backends");
}
