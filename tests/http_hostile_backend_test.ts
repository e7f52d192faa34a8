import assert from "node:assert/strict";
import { L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { RecordingBackend, type Script } from "./harness/raw_backend.ts";
import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  headers,
  joined,
  octets,
  pseudo,
  RawClient,
  RawHttp2Client,
  uint32,
} from "./harness/raw_http.ts";

/** What a backend, or who writes through it, wants a client to take for the answer to another request. */
const INJECTED = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected";

/** What a client gets of an answer: its status, `502` of the proxy, or a part of it and then a cut. */
type Outcome = "200" | "502" | "cut";

const HTTP1: readonly (readonly [outcome: Outcome, octets: string, close?: boolean])[] = [
  // Two lengths, or one that can be read in two ways.
  ["502", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["502", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"],
  ["502", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"],
  ...["5, 6", "+5", "-1", "0x5", "5 5", "", "99999999999999999999"].map((length) =>
    ["502", `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\nhello`] as const
  ),
  ...["gzip, chunked", "identity", "xchunked", "chunked, chunked", "\x0bchunked", ""].map((coding) =>
    ["502", `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`] as const
  ),
  ["502", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  // Heads.
  ...["\0", "\x01", "\x0b", "\x1b", "\x7f", "\r", "\n"].map((control) =>
    ["502", `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a${control}b\r\n\r\nok`] as const
  ),
  ["502", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\r\n b\r\n\r\nok"],
  ["502", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"],
  ["502", "HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok"],
  ["502", "HTTP/1.1 200 OK\r\nX Y: z\r\nContent-Length: 2\r\n\r\nok"],
  ["502", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
  ...[
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 999 OK",
    "HTTP/1.1 099 OK",
    "HTTP/2 200 OK",
    "ICY 200 OK",
    "",
    "hello",
  ]
    .map((line) => ["502", `${line}\r\nContent-Length: 2\r\n\r\nok`] as const),
  ["502", `HTTP/1.1 200 OK\r\nX: ${"y".repeat(70_000)}\r\nContent-Length: 2\r\n\r\nok`],
  ["502", "HTTP/1.1 200 OK\r\n" + "X: y\r\n".repeat(300) + "Content-Length: 2\r\n\r\nok"],
  // Answers that are none.
  ["502", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"],
  ["502", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
  ["502", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(150)],
  ["502", "HTTP/1.1 100 Continue\r\n\r\n", true],
  ["502", "", true],
  // Bodies.
  ...[
    "g\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "5;\x01\r\nhello\r\n0\r\n\r\n",
  ]
    .map((body) => ["cut", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`] as const),
  ["cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: \0\r\n\r\n"],
  ["cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true],
  ["cut", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", true],
  // More than an answer.
  ["200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["200", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"],
  ["200", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"],
];

/** Takes a request to its end. @returns The outcome. */
type Asking = (l7: L7, host: string) => Promise<string>;

async function askHttp1(l7: L7, host: string): Promise<string> {
  using client = await RawClient.open(l7, host);
  await client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const text = await client.readToEnd();
  assert.ok(!text.includes("injected"), text);
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d\d\d)/g)].map(([, status]) => status)
    .filter((status) => !status?.startsWith("1"));
  if (text === "") return "cut"; // so soon that its head had not left
  assert.equal(statuses.length, 1, text);
  const body = text.slice(text.lastIndexOf("\r\n\r\n", text.endsWith("0\r\n\r\n") ? text.length - 6 : undefined) + 4);
  const length = /\r\ncontent-length: (\d+)\r\n/.exec(text)?.[1];
  const isWhole = length === undefined ? text.endsWith("0\r\n\r\n") : Number(length) === body.length;
  return isWhole ? statuses[0] ?? "" : "cut";
}

async function askHttp2(l7: L7, host: string): Promise<string> {
  using client = await RawHttp2Client.connect(l7, {}, host);
  await client.send(headers(1, pseudo({ ":authority": host })));
  const outcome = (await client.outcome(1)).replace(/^(1\d\d )+/, "");
  return outcome === "200 RST_STREAM INTERNAL_ERROR" ? "cut" : outcome.replace(/ trailers$/, "");
}

const ASKING: readonly Asking[] = [askHttp1, askHttp2];

testEachEngine(
  "HTTP/1.1: an answer that could be read in two ways is a bad gateway, or cut, and never two answers",
  async () => {
    await using backend = new RecordingBackend("h1");
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, backend_protocol: "http1" }]);
    for (const ask of ASKING) {
      for (const [outcome, octets, close = false] of HTTP1) {
        backend.answer = () => ({ octets: close ? octets : octets + INJECTED, close });
        assert.equal(await ask(l7, "a.test"), outcome, JSON.stringify(octets.slice(0, 300)));
      }
    }
  },
);

testEachEngine("HTTP/1.1: what comes behind an answer, or before a request, answers nothing", async () => {
  await using backend = new RecordingBackend("h1");
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, backend_protocol: "http1" }], {
    proxy: { workers: 1 },
  });
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const odd: readonly string[] = [
    "HTTP/1.1 204 No Content\r\n\r\nhello" + INJECTED,
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello" + INJECTED,
    "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + INJECTED,
    answer + INJECTED,
  ];
  for (const first of odd) {
    using client = await RawHttp2Client.connect(l7);
    let count = 0;
    backend.answer = () => ({ octets: count++ === 0 ? first : answer });
    for (const stream of [1, 3]) {
      await client.send(headers(stream, pseudo()));
      assert.match(await client.outcome(stream), stream === 1 ? /^(200|204|304)$/ : /^200$/, first);
    }
    await client.send(headers(5, pseudo({ ":method": "HEAD" })));
    backend.answer = () => ({ octets: answer + INJECTED }); // a body, which no answer to HEAD has
    assert.equal(await client.outcome(5), "200");
  }
  const spoken = backend.heard.length;
  assert.ok(spoken >= odd.length * 2, `${spoken} connections: none was used again behind such an answer`);
});

const STATUS_200 = Uint8Array.of(0x88);

function http2Head(fields: readonly (readonly [string, string])[], flags = END_HEADERS) {
  return (stream: number) => headers(stream, fields, flags);
}

const OK: [string, string] = [":status", "200"];
const HTTP2: readonly (readonly [outcome: Outcome, answer: (stream: number) => Uint8Array])[] = [
  ...["x\r\nContent-Length: 0\r\n\r\n" + INJECTED, "a\nb", "a\rb", "a\0b", "\x7f", " a", "a "].map((value) =>
    ["502", http2Head([OK, ["x", value]])] as const
  ),
  ...["X", "x y", "", "x:", "x\r\n", ":x", "\xe9"].map((name) => ["502", http2Head([OK, [name, "y"]])] as const),
  ...["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"].map((name) =>
    ["502", http2Head([OK, [name, "chunked"]])] as const
  ),
  ...["abc", "20", "2000", "000", "600", "101", " 200", "200 OK\r\nX: y", ""].map((status) =>
    ["502", http2Head([[":status", status]])] as const
  ),
  ["502", http2Head([["x", "y"]])],
  ["502", http2Head([OK, OK])],
  ["502", http2Head([["x", "y"], OK])],
  ["502", http2Head([OK, [":path", "/"]])],
  ...["x", "+5", "5, 6", "-1"].map((length) => ["502", http2Head([OK, ["content-length", length]])] as const),
  ["502", http2Head([OK, ["content-length", "5"]], END_HEADERS | END_STREAM)],
  ["502", http2Head([[":status", "103"]], END_HEADERS | END_STREAM)],
  ["502", http2Head([OK, ...Array.from({ length: 300 }, (_, i): [string, string] => [`x-${i}`, "y"])])],
  ["502", (stream) => frame("DATA", END_STREAM, stream, "hello")],
  ["502", (stream) => frame("HEADERS", END_HEADERS, stream, "\xff\xff\xff\xff\xff\xff")],
  ["502", (stream) => headers(stream + 2, [OK])],
  ["502", (stream) => frame("PUSH_PROMISE", END_HEADERS, stream, joined(uint32(2), block(pseudo())))],
  ["502", (stream) => joined(frame("HEADERS", 0, stream, STATUS_200), frame("DATA", END_STREAM, stream, "x"))],
  ["502", (stream) => frame("DATA", 0, stream, "x".repeat(16_385))],
  ["502", (stream) => frame("RST_STREAM", 0, stream, uint32(2))],
  ["502", () => octets(INJECTED)],
  ["cut", (stream) => body(stream, [OK, ["content-length", "6"]], "hello")],
  ["cut", (stream) => body(stream, [OK, ["content-length", "4"]], "hello")],
  ["cut", (stream) => body(stream, [OK], "hello", headers(stream, [[":status", "200"]]))],
  ["cut", (stream) => body(stream, [OK], "hello", headers(stream, [["x", "y\r\nz"]]))],
  ["cut", (stream) => body(stream, [OK], "hello", headers(stream, [["X", "y"]]))],
  ["cut", (stream) => body(stream, [OK], "hello", headers(stream, [["x", "y"]], END_HEADERS))],
  ["cut", (stream) => body(stream, [OK], "hello", frame("RST_STREAM", 0, stream, uint32(0)))],
  ["200", (stream) => body(stream, [OK, ["content-length", "5"]], "hello")],
];

/** An answer with a body. @param rest What comes in place of its end. */
function body(stream: number, head: readonly (readonly [string, string])[], data: string, rest?: Uint8Array) {
  return joined(
    headers(stream, head, END_HEADERS),
    frame("DATA", rest === undefined ? END_STREAM : 0, stream, data),
    rest ?? "",
  );
}

testEachEngine("HTTP/2: an answer that HTTP/1.1 could read otherwise is a bad gateway, or cut", async () => {
  await using backend = new RecordingBackend("h2c");
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  for (const ask of ASKING) {
    for (const [i, [outcome, answer]] of HTTP2.entries()) {
      backend.answer = (stream): Script => ({ octets: answer(stream) });
      assert.equal(await ask(l7, "a.test"), outcome, `answer ${i}`);
    }
  }
});
