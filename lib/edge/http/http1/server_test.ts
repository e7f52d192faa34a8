import assert from "node:assert/strict";
import fc from "fast-check";
import { Http1ServerConnection } from "./server.ts";
import { FakeTransport, octets, turn } from "../testdata/fake_transport.ts";
import { answer, ServerPeer, type ServerPeerOptions } from "../testdata/server_peer.ts";

const GET = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const ANSWERING: ServerPeerOptions = { onEnd: (request) => answer(request) };

Deno.test("a request is passed on without what belongs to the connection", () => {
  const peer = new ServerPeer();
  peer.transport.receive(
    "POST /a?b HTTP/1.1\r\nHost: A.example:8443\r\nConnection: close, X-Hop, content-length, host, te\r\nX-Hop: 1\r\n" +
      "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n" +
      "TE: trailers, gzip;q=0.5\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\nExpect: 100-Continue\r\nConnection: X-Jump\r\nX-Jump: 2\r\nAccept: */*\r\n\r\n",
  );
  const { head, end } = peer.last;
  assert.deepEqual(head, {
    method: "POST",
    authority: "A.example:8443",
    path: "/a?b",
    protocol: undefined,
    fields: ["content-length", "3", "expect", "100-Continue", "accept", "*/*", "te", "trailers"],
    neverIndexed: undefined,
    contentLength: 3,
  });
  assert.equal(end, false);
  assert.deepEqual(peer.log, ["activity 1"]);
  assert.equal(peer.connection.active, 1);
});

Deno.test("bodies come by length, in chunks with trailers, or not at all", () => {
  const peer = new ServerPeer(ANSWERING);
  peer.transport.receive(
    "POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello" +
      "POST /2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" +
      "POST /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 7\r\nhost: b\r\n\r\n" +
      "POST /4 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n" + GET,
  );
  assert.deepEqual(peer.requests.map(({ head, end, events }) => [head.path, head.contentLength, end, events]), [
    ["/1", 5, false, ["data hello", "end"]],
    ["/2", undefined, false, ["data abcde", "end"]],
    ["/3", undefined, false, ["data a", "trailers x-sum,7"]],
    ["/4", 0, true, []],
    ["/", 0, true, []],
  ]);
  assert.equal(peer.transport.written, OK.repeat(5));
});

const CONVERSATION = "POST /1 HTTP/1.1\r\nHost: a\r\nTE: trailers\r\ntransfer-encoding: chunked\r\n\r\n" +
  "3;x=y\r\nabc\r\n002\r\nde\r\n0\r\nx-sum: 7\r\n\r\n\r\n" +
  "PUT /2 HTTP/1.1\r\nHost: a\r\ncontent-length: 6\r\n\r\nsix..." +
  "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nraw octets";

function converse(pieces: Iterable<string>): unknown {
  const peer = new ServerPeer({
    onRequest({ head, stream }) {
      if (head.protocol !== undefined) stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
    },
    onEnd: (request) => answer(request, "ok"),
  });
  for (const piece of pieces) peer.transport.receive(piece);
  const { requests, transport } = peer;
  return [
    requests.map(({ head, end, events }) => [head, end, events]),
    transport.written,
    peer.log.filter((line) => !line.startsWith("head ")),
  ];
}

Deno.test("however the octets are split, the requests are the same", () => {
  const whole = converse([CONVERSATION]);
  assert.equal((whole as [unknown[]])[0].length, 3);
  for (let at = 1; at < CONVERSATION.length; at++) {
    assert.deepEqual(converse([CONVERSATION.slice(0, at), CONVERSATION.slice(at)]), whole, `split at ${at}`);
  }
  assert.deepEqual(converse(CONVERSATION), whole);
  fc.assert(fc.property(fc.array(fc.nat(CONVERSATION.length), { maxLength: 12 }), (places) => {
    const cuts = [0, ...places.sort((a, b) => a - b), CONVERSATION.length];
    assert.deepEqual(converse(cuts.slice(1).map((cut, i) => CONVERSATION.slice(cuts[i], cut))), whole);
  }));
});

Deno.test("requests that are sent ahead wait, with the client once one read is full of them", async () => {
  const peer = new ServerPeer();
  for (let i = 0; i < 1000; i++) peer.transport.receive(GET);
  assert.equal(peer.requests.length, 1);
  assert.ok(peer.transport.isPaused);
  assert.equal(peer.transport.unread, 998 * GET.length, "one is being answered, one was read, the others were not");
  for (let i = 0; i < 1000; i++) {
    answer(peer.last);
    await Promise.resolve();
    await Promise.resolve();
  }
  assert.equal(peer.requests.length, 1000);
  assert.equal(peer.transport.written, OK.repeat(1000));
  assert.ok(!peer.transport.isPaused);
});

Deno.test("a client that does not read its answers gets no more of them", async () => {
  const peer = new ServerPeer({ onEnd: (request) => answer(request, "x".repeat(100_000)) });
  peer.transport.stall();
  peer.transport.receive(GET.repeat(100));
  assert.equal(peer.requests.length, 2, "128 KiB wait to leave");
  assert.equal(peer.last.sent, 0);
  peer.transport.drain();
  assert.equal(peer.requests[1]?.sent, 100_000);
  await turn();
  assert.equal(peer.requests.length, 4);
});

Deno.test("how long the connection stays is as the client and its version say", () => {
  const cases = [
    ["1.1", "", OK, false],
    ["1.1", "connection: Close\r\n", OK.replace("0\r\n", "0\r\nconnection: close\r\n"), true],
    ["1.0", "", OK.replace("0\r\n", "0\r\nconnection: close\r\n"), true],
    ["1.0", "connection: keep-alive\r\n", OK.replace("0\r\n", "0\r\nconnection: keep-alive\r\n"), false],
    ["1.0", "connection: keep-alive, close\r\n", OK.replace("0\r\n", "0\r\nconnection: close\r\n"), true],
  ] as const;
  for (const [version, field, expected, closes] of cases) {
    const peer = new ServerPeer(ANSWERING);
    peer.transport.receive(`GET / HTTP/${version}\r\nhost: a\r\n${field}\r\n`);
    assert.equal(peer.transport.written, expected);
    assert.equal(peer.transport.isEnded, closes, `${version} ${field}`);
    peer.connection.abort();
  }
});

Deno.test("what is no request is answered with what is wrong, logged, and ends the connection", () => {
  const cases = [
    ["GET / HTTP/1.1\r\n\r\n", "host_missing", 400],
    ["GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "host", 400],
    ["GET / HTTP/2.0\r\nhost: a\r\n\r\n", "version_unsupported", 505],
    ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "two_lengths", 400],
    ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "content_length", 400],
    ["POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n", "transfer_coding", 501],
    ["GET / HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\n\r\n", "expectation", 417],
    [`GET / HTTP/1.1\r\nhost: a\r\n${"a: b\r\n".repeat(256)}\r\n`, "too_many_fields", 431],
    [`GET / HTTP/1.1\r\nhost: a\r\na: ${"b".repeat(65536)}`, "head_too_large", 431],
  ] as const;
  for (const [bytes, rule, status] of cases) {
    const peer = new ServerPeer();
    peer.transport.receive(bytes + GET);
    assert.match(
      peer.transport.written,
      new RegExp(
        `^HTTP/1\\.1 ${status} [^]*\r\nx-request-id: id-1\r\nconnection: close\r\n\r\n${status}\nrequest id: id-1\n$`,
      ),
    );
    assert.deepEqual(peer.log, [`malformed ${rule} ${status}`]);
    assert.deepEqual(peer.requests, [], "nothing behind it is a request");
    assert.ok(peer.transport.isEnded);
    peer.connection.abort();
  }
});

Deno.test("a head that never ends is refused, however small its pieces", () => {
  const peer = new ServerPeer();
  peer.transport.receive("GET / HTTP/1.1\r\nhost: a\r\n");
  for (let i = 0; i < 70 && !peer.transport.isEnded; i++) peer.transport.receive("a".repeat(1000));
  assert.deepEqual(peer.log, ["head begun", "head ended", "malformed head_too_large 431"]);
  peer.connection.abort();
});

Deno.test("a malformed chunk is answered where no answer has begun, else the connection is broken off", () => {
  const chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
  const early = new ServerPeer();
  early.transport.receive(chunked);
  early.transport.receive(`1;${"x".repeat(100_000)}`);
  assert.deepEqual(early.last.events, ["data a", "failed malformed: chunk_extension_too_long"]);
  assert.match(early.transport.written, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.ok(early.transport.isEnded);
  early.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, true);
  assert.doesNotMatch(early.transport.written, /200/);
  early.connection.abort();

  const late = new ServerPeer();
  late.transport.receive(chunked);
  late.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
  late.transport.receive("x\r\n");
  assert.deepEqual(late.last.events, ["data a", "failed malformed: chunk_size"]);
  assert.ok(late.transport.isDestroyed);
  assert.deepEqual(late.log, ["activity 1", "activity 0", "closed chunk_size"]);
});

Deno.test("100-continue is passed on and back, to HTTP/1.1 alone", async () => {
  const peer = new ServerPeer();
  const interim = { status: 100, fields: [], neverIndexed: undefined };
  peer.transport.receive("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n");
  assert.ok(peer.last.head.fields.includes("expect"));
  peer.last.stream.inform(interim);
  peer.last.stream.inform({ status: 101, fields: [], neverIndexed: undefined });
  await turn();
  assert.equal(peer.transport.written, "HTTP/1.1 100 Continue\r\n\r\n");
  peer.transport.receive("x");
  answer(peer.last);
  peer.last.stream.inform(interim);
  await turn();
  assert.equal(peer.transport.written, "HTTP/1.1 100 Continue\r\n\r\n" + OK);

  peer.transport.receive("POST / HTTP/1.0\r\nexpect: 100-continue\r\nconnection: keep-alive\r\n\r\n");
  assert.deepEqual(peer.last.head.fields, []);
  assert.equal(peer.last.head.authority, "");
  peer.last.stream.inform(interim);
  await turn();
  assert.equal(peer.transport.written, "HTTP/1.1 100 Continue\r\n\r\n" + OK);
});

Deno.test("no more than 64 KiB of a body are handed on before they are credited", () => {
  for (const framing of ["content-length: 300000", "transfer-encoding: chunked"]) {
    const peer = new ServerPeer({ credits: false });
    peer.transport.receive(`POST / HTTP/1.1\r\nhost: a\r\n${framing}\r\n\r\n`);
    const body = "x".repeat(300_000);
    peer.transport.receive(framing.startsWith("c") ? body : `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    const { last, transport } = peer;
    assert.ok(last.received <= 65536 && last.received > 65500);
    assert.ok(transport.isPaused);
    let credited = 0;
    for (; credited < 300_000 && last.events.at(-1) !== "end"; credited += 1000) {
      last.stream.credit(1000);
      assert.ok(last.received - credited - 1000 <= 65536);
    }
    assert.deepEqual([last.received, last.events.length, last.events[1]], [300_000, 2, "end"]);
    assert.ok(!transport.isPaused, framing);
  }
});

Deno.test("the framing of an answer is what client, method and status allow", () => {
  const body = octets("body");
  const cases = [
    ["GET", "1.1", 200, ["content-length", "4"], "content-length: 4\r\n\r\nbody"],
    ["GET", "1.1", 200, ["content-length", "4", "content-length", "4"], "content-length: 4\r\n\r\nbody"],
    ["GET", "1.1", 200, [], "transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"],
    ["GET", "1.0", 200, [], "connection: close\r\n\r\nbody"],
    ["HEAD", "1.1", 200, ["content-length", "9"], "content-length: 9\r\n\r\n"],
    ["HEAD", "1.1", 200, [], "\r\n"],
    ["GET", "1.1", 204, ["content-length", "4"], "\r\n"],
    ["GET", "1.1", 304, ["content-length", "4"], "content-length: 4\r\n\r\n"],
  ] as const;
  for (const [method, version, status, fields, expected] of cases) {
    const peer = new ServerPeer();
    peer.transport.receive(`${method} / HTTP/${version}\r\nhost: a\r\n\r\n`);
    const { stream } = peer.last;
    stream.respond({ status, fields: [...fields], neverIndexed: undefined }, false);
    stream.sendData(body);
    stream.sendData(new Uint8Array(0));
    stream.sendEnd();
    const { written } = peer.transport;
    assert.equal(written.slice(written.indexOf("\r\n") + 2), expected, `${method} ${status} ${fields}`);
    assert.equal(peer.transport.writes.length, 1, "all that is written in one turn leaves at once");
    assert.equal(peer.last.sent, 4);
    peer.connection.abort();
  }
});

Deno.test("an answer that ends with its head says that it has no body", () => {
  const peer = new ServerPeer();
  peer.transport.receive(GET);
  peer.last.stream.respond({ status: 404, fields: ["server", "demo"], neverIndexed: undefined }, true);
  assert.equal(peer.transport.written, "HTTP/1.1 404 Not Found\r\nserver: demo\r\ncontent-length: 0\r\n\r\n");
});

Deno.test("an answer that does not keep to its framing is cut, never written wrong", () => {
  const length = ["content-length", "3"];
  const cases: [string, (peer: ServerPeer) => void][] = [
    ["longer", ({ last: { stream } }) => {
      stream.respond({ status: 200, fields: length, neverIndexed: undefined }, false);
      stream.sendData(octets("four"));
    }],
    ["shorter", ({ last: { stream } }) => {
      stream.respond({ status: 200, fields: length, neverIndexed: undefined }, false);
      stream.sendData(octets("on"));
      stream.sendEnd();
    }],
    [
      "without the body",
      ({ last: { stream } }) => stream.respond({ status: 200, fields: length, neverIndexed: undefined }, true),
    ],
    [
      "malformed",
      ({ last: { stream } }) =>
        stream.respond({ status: 200, fields: ["content-length", "x"], neverIndexed: undefined }, true),
    ],
    [
      "without control characters",
      ({ last: { stream } }) =>
        stream.respond({ status: 200, fields: ["a", "b\r\nc: d"], neverIndexed: undefined }, true),
    ],
    [
      "not a final one",
      ({ last: { stream } }) => stream.respond({ status: 103, fields: [], neverIndexed: undefined }, true),
    ],
  ];
  for (const [detail, respond] of cases) {
    const peer = new ServerPeer();
    peer.transport.receive(GET);
    respond(peer);
    assert.match(peer.last.events.join(), new RegExp(`^failed reset: .*${detail}`));
    assert.ok(peer.transport.isDestroyed);
    assert.doesNotMatch(peer.transport.written, /four/);
    assert.deepEqual(peer.log, ["activity 1", "activity 0", "closed"]);
  }
});

Deno.test("trailers go to a client that takes them, and nobody gets what may not be one", () => {
  for (const [te, end] of [["te: trailers\r\n", "0\r\ngrpc-status: 0\r\n\r\n"], ["", "0\r\n\r\n"]] as const) {
    const peer = new ServerPeer();
    peer.transport.receive(`GET / HTTP/1.1\r\nhost: a\r\n${te}\r\n`);
    peer.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
    peer.last.stream.sendTrailers(["grpc-status", "0", "content-length", "7"]);
    assert.ok(peer.transport.written.endsWith(`chunked\r\n\r\n${end}`));
  }
});

Deno.test("a stream that is reset cuts the connection, before the answer and within it", () => {
  for (const begins of [false, true]) {
    const peer = new ServerPeer();
    peer.transport.receive(GET);
    const { stream, events } = peer.last;
    if (begins) stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
    stream.reset("refused");
    assert.ok(peer.transport.isDestroyed && !peer.transport.isEnded);
    assert.deepEqual(events, []);
    assert.deepEqual(peer.log, ["activity 1", "activity 0", "closed"]);
    stream.sendData(octets("x"));
    stream.sendEnd();
    stream.credit(1);
    assert.equal(peer.log.length, 3);
  }
});

Deno.test("a body without a length ends with the connection of HTTP/1.0, whatever the client wished", () => {
  const peer = new ServerPeer();
  peer.transport.receive("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  peer.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
  peer.last.stream.sendData(octets("body"));
  peer.last.stream.sendEnd();
  assert.equal(peer.transport.written, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody");
  assert.ok(peer.transport.isEnded);
  peer.connection.abort();
});

Deno.test("a client that is refused within its request is told that the connection closes", () => {
  const peer = new ServerPeer();
  peer.transport.receive("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n");
  peer.last.stream.respond({ status: 413, fields: ["content-length", "2"], neverIndexed: undefined }, false);
  peer.last.stream.sendData(octets("no"));
  peer.last.stream.sendEnd();
  const head = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n";
  assert.equal(peer.transport.written, head + "no");
  peer.connection.abort();
});

Deno.test("small parts leave together, before they are too many", () => {
  const peer = new ServerPeer();
  peer.transport.receive(GET);
  peer.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
  for (let i = 0; i < 100; i++) peer.last.stream.sendData(new Uint8Array(1000));
  assert.ok(peer.transport.writes.length >= 5 && peer.transport.writes.every((write) => write.length < 18_000));
});

Deno.test("a request that nobody credits any more does not hold up the next", async () => {
  const peer = new ServerPeer({ credits: false, onEnd: (request) => answer(request) });
  const post = `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 65536\r\n\r\n${"x".repeat(65536)}`;
  peer.transport.receive(post);
  peer.transport.receive(post);
  await turn();
  assert.equal(peer.transport.written, OK.repeat(2));
});

Deno.test("sent octets are told at once, or when the client has read", async () => {
  const peer = new ServerPeer();
  peer.transport.receive(GET);
  const { stream } = peer.last;
  stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
  stream.sendData(octets("small"));
  assert.equal(peer.last.sent, 0);
  await turn();
  assert.equal(peer.last.sent, 5);
  stream.sendData(new Uint8Array(20_000));
  assert.equal(peer.last.sent, 20_005, "a large part leaves at once");
  peer.transport.stall();
  stream.sendData(new Uint8Array(200_000));
  await turn();
  assert.equal(peer.last.sent, 20_005);
  peer.transport.drain();
  assert.equal(peer.last.sent, 220_005);
  stream.sendEnd();
  const body = peer.transport.written.slice(peer.transport.written.indexOf("\r\n\r\n") + 4);
  assert.ok(body.startsWith("5\r\nsmall\r\n4e20\r\n\0"));
  assert.ok(body.endsWith("\0\r\n0\r\n\r\n"));
});

Deno.test("what was sent is not what the handler writes over later", async () => {
  const peer = new ServerPeer();
  peer.transport.receive(GET);
  peer.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
  const [small, large] = [octets("small"), octets("L".repeat(20_000))];
  peer.last.stream.sendData(small);
  small.fill(0);
  peer.last.stream.sendData(large);
  large.fill(0);
  await turn();
  assert.ok(peer.transport.written.includes("small"));
  assert.doesNotMatch(peer.transport.written, /\0/);
});

Deno.test("an answer that is complete before the request can still be read by the client", async () => {
  const peer = new ServerPeer({ lingerMs: 1 });
  peer.transport.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nx");
  peer.last.stream.respond({ status: 413, fields: [], neverIndexed: undefined }, true);
  assert.match(peer.transport.written, /^HTTP\/1\.1 413 [^]*connection: close\r\n\r\n$/);
  assert.ok(peer.transport.isEnded && !peer.transport.isDestroyed);
  const { events } = peer.last;
  peer.transport.receive("y".repeat(1000) + GET);
  assert.deepEqual(events, ["data x"], "what comes behind is dropped");
  assert.equal(peer.requests.length, 1);
  while (!peer.transport.isDestroyed) await turn();
  assert.deepEqual(peer.log, ["activity 1", "activity 0", "closed"]);
});

Deno.test("an answer that is complete before the request is told as sent, or as broken", async () => {
  const post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nx";
  const slow = new ServerPeer({ lingerMs: 1 });
  slow.transport.stall();
  slow.transport.receive(post);
  answer(slow.last, "x".repeat(200_000));
  assert.ok(slow.transport.isEnded, "the end stands behind what waits");
  slow.transport.receive("more");
  assert.deepEqual([slow.last.received, slow.last.sent, slow.connection.active], [1, 0, 1]);
  slow.transport.drain();
  assert.equal(slow.last.sent, 200_000);
  assert.deepEqual(slow.log, ["activity 1", "activity 0"]);
  slow.transport.receiveEnd();
  assert.deepEqual(slow.log, ["activity 1", "activity 0", "closed"]);

  const stuck = new ServerPeer({ lingerMs: 1 });
  stuck.transport.stall();
  stuck.transport.receive(post);
  answer(stuck.last, "x".repeat(200_000));
  while (!stuck.transport.isDestroyed) await turn();
  assert.equal(stuck.last.events.at(-1), "failed reset: the client did not read the answer");
  assert.deepEqual(stuck.log, ["activity 1", "activity 0", "closed"]);
});

Deno.test("a slow reader has time to read the last answer as long as it reads", async () => {
  const peer = new ServerPeer({ lingerMs: 1 });
  peer.transport.receive("GET / HTTP/1.0\r\n\r\n");
  let backlog = 20; // whoever looks finds less of it
  Object.defineProperty(peer.transport, "backlog", { get: () => Math.max(0, --backlog) });
  answer(peer.last, "x");
  while (!peer.transport.isDestroyed) await turn();
  assert.ok(backlog <= 0);
});

Deno.test("a client that goes on sending to a connection that has ended is cut off", () => {
  const peer = new ServerPeer();
  peer.transport.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\nx");
  answer(peer.last);
  const piece = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 16; i++) peer.transport.receive(piece);
  assert.ok(!peer.transport.isDestroyed);
  peer.transport.receive(piece);
  assert.ok(peer.transport.isDestroyed);
});

Deno.test("a client that closes in its turn ends the connection in order", async () => {
  const peer = new ServerPeer(ANSWERING);
  peer.transport.receive("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  peer.transport.receiveEnd();
  assert.deepEqual(peer.log, ["activity 1", "activity 0", "closed"]);

  const idle = new ServerPeer(ANSWERING);
  idle.transport.receive(GET);
  idle.transport.receiveEnd();
  assert.ok(idle.transport.isEnded);
  await turn();
  assert.deepEqual(idle.log, ["activity 1", "activity 0", "closed"]);
  assert.ok(!idle.transport.isDestroyed);
});

Deno.test("a client that closes early has given up its request", () => {
  const head = new ServerPeer();
  head.transport.receive("GET / HT");
  head.transport.receiveEnd();
  assert.deepEqual(head.log, ["head begun", "closed the client closed the connection within the head of a request"]);

  const body = new ServerPeer();
  body.transport.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nx");
  body.transport.receiveEnd();
  const text = "the client closed the connection within the body of a request";
  assert.deepEqual(body.last.events, ["data x", `failed reset: ${text}`]);
  assert.deepEqual(body.log, ["activity 1", "activity 0", `closed ${text}`]);

  const waiting = new ServerPeer();
  waiting.transport.receive(GET);
  waiting.transport.receiveEnd();
  assert.deepEqual(waiting.last.events, ["failed reset: the client closed the connection"]);
  assert.ok(waiting.transport.isDestroyed);

  const lost = new ServerPeer();
  lost.transport.receive(GET);
  lost.transport.lose("Connection reset by peer");
  assert.deepEqual(lost.last.events, ["failed reset: Connection reset by peer"]);
  assert.deepEqual(lost.log, ["activity 1", "activity 0", "closed Connection reset by peer"]);
});

Deno.test("draining ends an idle connection, and one at work behind its answer", () => {
  const idle = new ServerPeer();
  idle.connection.drain();
  assert.ok(idle.transport.isEnded);
  idle.connection.abort();

  const busy = new ServerPeer();
  busy.transport.receive(GET + GET);
  busy.connection.drain();
  assert.ok(!busy.transport.isEnded);
  answer(busy.last);
  assert.match(busy.transport.written, /connection: close/);
  assert.ok(busy.transport.isEnded);
  assert.equal(busy.requests.length, 1, "the one sent ahead is not answered");
  busy.connection.abort();

  const begun = new ServerPeer(ANSWERING);
  begun.transport.receive(GET.slice(0, 10));
  begun.connection.drain();
  begun.transport.receive(GET.slice(10));
  assert.match(begun.transport.written, /connection: close/);
  assert.ok(begun.transport.isEnded);
  begun.connection.abort();
});

Deno.test("a client that has its answer may end while it reads, and so may we", () => {
  const client = new ServerPeer({ onEnd: (request) => answer(request, "x".repeat(200_000)) });
  client.transport.stall();
  client.transport.receive(GET);
  client.transport.receiveEnd();
  assert.ok(client.transport.isEnded && !client.transport.isDestroyed);
  client.transport.drain();
  assert.equal(client.last.sent, 200_000);
  assert.deepEqual(client.last.events, []);
  client.connection.abort();

  const ours = new ServerPeer({ onEnd: (request) => answer(request, "x".repeat(200_000)) });
  ours.transport.stall();
  ours.transport.receive(GET);
  ours.connection.drain();
  assert.ok(!ours.transport.isEnded);
  ours.transport.drain();
  assert.equal(ours.last.sent, 200_000);
  assert.ok(ours.transport.isEnded);
  ours.connection.abort();
});

Deno.test("no request is handed on where the owner aborts as it begins", () => {
  const transport = new FakeTransport();
  const told: string[] = [];
  let abort = () => {};
  const connection = new Http1ServerConnection(
    transport,
    { request: () => told.push("request"), malformed: () => String(told.push("malformed")) },
    {
      headBegun: () => {},
      headEnded: () => {},
      activity(active) {
        told.push(`activity ${active}`);
        if (active > 0) abort();
      },
      closed: () => told.push("closed"),
    },
    { limits: { maxLength: 65536, maxFields: 256 } },
  );
  abort = () => connection.abort();
  transport.receive(GET);
  assert.deepEqual(told, ["activity 1", "activity 0", "closed"]);
});

Deno.test({
  name: "a connection that is over leaves no timer",
  sanitizeOps: true,
  fn() {
    const peer = new ServerPeer();
    peer.connection.drain();
    peer.transport.receiveEnd();
    assert.deepEqual(peer.log, ["closed"]);
  },
});

Deno.test("aborting ends everything, once", () => {
  const peer = new ServerPeer();
  peer.transport.receive(GET);
  peer.connection.abort();
  peer.connection.abort();
  peer.connection.drain();
  assert.ok(peer.transport.isDestroyed);
  assert.deepEqual(peer.last.events, ["failed reset: the connection was ended"]);
  assert.deepEqual(peer.log, ["activity 1", "activity 0", "closed"]);
  assert.equal(peer.connection.active, 0);
});

Deno.test("a CONNECT is passed on, but nothing comes through it", () => {
  const request = "CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n";
  const refused = new ServerPeer();
  refused.transport.receive(request + "for the tunnel");
  const { method, authority, path, protocol } = refused.last.head;
  assert.deepEqual([method, authority, path, protocol], ["CONNECT", "a.example:443", "", undefined]);
  refused.last.stream.respond({ status: 405, fields: [], neverIndexed: undefined }, true);
  assert.match(refused.transport.written, /^HTTP\/1\.1 405 [^]*connection: close\r\n/);
  assert.deepEqual(refused.log, ["activity 1", "activity 0"]);
  refused.connection.abort();

  const accepted = new ServerPeer();
  accepted.transport.receive(request);
  accepted.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
  assert.ok(accepted.transport.isDestroyed);
  assert.equal(accepted.transport.written, "");
});

Deno.test("trailers that cannot be written cut the connection", () => {
  const peer = new ServerPeer();
  peer.transport.receive("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n");
  peer.last.stream.respond({ status: 200, fields: [], neverIndexed: undefined }, false);
  peer.last.stream.sendTrailers(["grpc-message", "a\r\nb"]);
  assert.match(peer.last.events.join(), /^failed reset: the value of field \S*grpc-message/);
  assert.ok(peer.transport.isDestroyed);
});

Deno.test("a request that is given up within a piece of its body hears no more of it", () => {
  const peer = new ServerPeer({
    onRequest: ({ stream }) => {
      const { data } = stream.events;
      stream.events.data = (bytes) => {
        data(bytes);
        stream.reset("cancelled");
      };
    },
  });
  peer.transport.receive(
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n" + GET,
  );
  assert.deepEqual(peer.last.events, ["data a"]);
  assert.equal(peer.requests.length, 1);
});

Deno.test("a request that is answered within a piece of its body hears no more of it", () => {
  for (const body of ["", "x".repeat(200_000)]) {
    const peer = new ServerPeer({
      onRequest: (request) => {
        const { data } = request.stream.events;
        request.stream.events.data = (bytes) => {
          data(bytes);
          answer(request, body);
        };
      },
    });
    peer.transport.stall();
    peer.transport.receive(
      "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n" + GET,
    );
    assert.deepEqual(peer.last.events, ["data a"]);
    assert.equal(peer.requests.length, 1);
    assert.ok(peer.transport.isEnded);
    peer.connection.abort();
  }
});

Deno.test("a client that brings about answers of ours without end is told that its connection closes", async () => {
  const peer = new ServerPeer({
    onRequest: (request) => {
      request.stream.provoked();
      answer(request);
    },
  });
  peer.transport.turn.pass(0);
  for (let i = 0; i < 1_000 && !peer.transport.isEnded; i++) {
    peer.transport.receive("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    await turn();
  }
  assert.equal(peer.requests.length, 501);
  assert.equal(peer.transport.written.match(/connection: close/g)?.length, 1);
  peer.connection.abort();
});
