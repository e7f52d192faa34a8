import assert from "node:assert/strict";
import fc from "fast-check";
import { ClientPeer, requestHead } from "../testdata/client_peer.ts";
import { octets, turn } from "../testdata/fake_transport.ts";
import type { RequestHead } from "../message.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

Deno.test("the head of a request has host first, one cookie and the framing of the body", async () => {
  const cases: [Partial<RequestHead>, boolean, string][] = [
    [{ path: "/a?b", fields: ["accept", "*/*"] }, true, "GET /a?b HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n\r\n"],
    [{ fields: ["host", "b", "sec-websocket-key", "x"] }, true, "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"],
    [{ method: "OPTIONS", path: "*" }, true, "OPTIONS * HTTP/1.1\r\nhost: a.example\r\n\r\n"],
    [
      { fields: ["cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3"] },
      true,
      "GET / HTTP/1.1\r\nhost: a.example\r\ncookie: a=1; b=2; c=3\r\nx: y\r\n\r\n",
    ],
    [
      { fields: ["te", "trailers"] },
      true,
      "GET / HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\nconnection: te\r\n\r\n",
    ],
    [
      { method: "POST", fields: ["content-length", "5", "content-length", "5"], contentLength: 5 },
      false,
      "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n",
    ],
    [{ method: "POST" }, false, "POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n"],
    [{ method: "POST" }, true, "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 0\r\n\r\n"],
    [
      { method: "DELETE", fields: ["content-length", "0"], contentLength: 0 },
      true,
      "DELETE / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 0\r\n\r\n",
    ],
  ];
  for (const [head, end, expected] of cases) {
    const peer = new ClientPeer();
    peer.request(head, end);
    await turn();
    assert.equal(peer.transport.written, expected);
  }
});

Deno.test("a request that HTTP/1.1 cannot write fails, and the connection is as before", async () => {
  const cases: Partial<RequestHead>[] = [
    { path: "/ HTTP/1.1\r\n\r\n" },
    { path: "" },
    { method: "G T" },
    { fields: ["a", "b\nc"] },
    { fields: ["a b", "c"] },
    { authority: "a\r\nb: c" },
    { method: "CONNECT", path: "/" },
    { method: "CONNECT", protocol: "connect-udp" },
    { method: "CONNECT", protocol: "websocket", path: "/ " },
  ];
  for (const head of cases) {
    const peer = new ClientPeer();
    const { stream, events } = peer.request(head, false);
    stream.sendData(octets("x"));
    stream.sendEnd();
    assert.deepEqual(events, []);
    await turn();
    assert.match(events.join("; "), /^failed malformed: [^;]*$/);
    assert.equal(peer.transport.written, "");
    assert.deepEqual(peer.log, ["changed"]);
    peer.request();
    peer.transport.receive(OK);
    assert.deepEqual(peer.log, ["changed", "changed"]);
  }

  const closed = new ClientPeer();
  closed.request({ path: "" });
  closed.connection.close();
  await turn();
  assert.deepEqual(closed.log, ["closed"]);
  const reset = new ClientPeer();
  reset.request({ path: "" }).stream.reset("cancelled");
  await turn();
  assert.deepEqual(reset.log, ["closed"]);
});

Deno.test("it carries one request at a time", () => {
  const peer = new ClientPeer();
  assert.deepEqual([peer.connection.available, peer.connection.active, peer.connection.used], [true, 0, false]);
  const first = peer.request();
  assert.deepEqual([peer.connection.available, peer.connection.active], [false, 1]);
  assert.throws(() => peer.request(), /not available/);
  peer.transport.receive(OK);
  assert.deepEqual(first.events, ["response 200 content-length,2", "data ok", "end"]);
  assert.deepEqual([peer.connection.available, peer.connection.active, peer.connection.used], [true, 0, true]);
  assert.deepEqual(peer.log, ["changed"]);
  const second = peer.request();
  peer.transport.receive(OK);
  assert.equal(second.events.length, 3);
});

Deno.test("answers end as their framing says, and the connection stays where it can", () => {
  const cases: [string, string, string[], boolean][] = [
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n", ["response 204  end"], true],
    ["GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 9, 9\r\n\r\n", ["response 304 content-length,9 end"], true],
    ["HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", ["response 200 content-length,9 end"], true],
    ["HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", ["response 200  end"], true],
    ["GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ["response 200 content-length,0 end"], true],
    ["GET", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", [
      "response 200 content-length,0 end",
    ], false],
    ["GET", "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", ["response 200 content-length,1", "data x", "end"], false],
    ["GET", "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx", [
      "response 200 content-length,1",
      "data x",
      "end",
    ], true],
    ["GET", "HTTP/1.1 200\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", [
      "response 200 ",
      "data ok",
      "end",
    ], true],
    [
      "GET",
      "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n" +
      "2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n",
      ["response 200 trailer,grpc-status", "data ok", "trailers grpc-status,0"],
      true,
    ],
    ["GET", "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\ncontent-length: 1\r\n\r\n" + OK, [
      "informational 103 link,<a>",
      "informational 100 ",
      "response 200 content-length,2",
      "data ok",
      "end",
    ], true],
  ];
  for (const [method, bytes, expected, stays] of cases) {
    for (const pieces of [[bytes], Array.from(bytes)]) {
      const peer = new ClientPeer();
      const { events } = peer.request({ method });
      for (const piece of pieces) peer.transport.receive(piece);
      assert.deepEqual(events, expected, bytes);
      assert.deepEqual(peer.log, [stays ? "changed" : "closed"], bytes);
      assert.equal(peer.transport.isDestroyed, !stays);
      assert.equal(peer.connection.available, stays);
    }
  }
});

const ANSWERS = "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" +
  "Keep-Alive: timeout=5, max=9\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 7\r\n\r\n";

function hear(pieces: Iterable<string>): unknown {
  const peer = new ClientPeer();
  const { events } = peer.request();
  for (const piece of pieces) peer.transport.receive(piece);
  return [events, peer.log, peer.connection.idleLimitMs];
}

Deno.test("however the octets are split, the answer is the same", () => {
  const whole = hear([ANSWERS]);
  assert.deepEqual(whole, [
    ["informational 103 link,<a>", "response 200 ", "data abcde", "trailers x-sum,7"],
    ["changed"],
    5000,
  ]);
  for (let at = 1; at < ANSWERS.length; at++) {
    assert.deepEqual(hear([ANSWERS.slice(0, at), ANSWERS.slice(at)]), whole, `split at ${at}`);
  }
  fc.assert(fc.property(fc.array(fc.nat(ANSWERS.length), { maxLength: 12 }), (places) => {
    const cuts = [0, ...places.sort((a, b) => a - b), ANSWERS.length];
    assert.deepEqual(hear(cuts.slice(1).map((cut, i) => ANSWERS.slice(cuts[i], cut))), whole);
  }));
});

Deno.test("an answer without a length ends with the connection, however late it is read", () => {
  const peer = new ClientPeer();
  const { events } = peer.request();
  peer.transport.receive("HTTP/1.1 200 OK\r\n\r\nall that ");
  peer.transport.receive("comes");
  peer.transport.receiveEnd();
  assert.deepEqual(events, ["response 200 ", "data all that comes", "end"]);
  assert.deepEqual(peer.log, ["closed"]);

  const slow = new ClientPeer();
  const request = slow.request({}, true, false);
  slow.transport.receive("HTTP/1.1 200 OK\r\n\r\n" + "x".repeat(100_000));
  slow.transport.receiveEnd();
  assert.equal(request.received, 65536);
  assert.deepEqual(slow.log, []);
  request.stream.credit(65536);
  assert.deepEqual([request.received, request.events.at(-1)], [100_000, "end"]);
  assert.deepEqual(slow.log, ["closed"]);
});

Deno.test("no more than 64 KiB of an answer are handed on before they are credited", () => {
  const peer = new ClientPeer();
  const request = peer.request({}, true, false);
  peer.transport.receive(`HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n`);
  for (let i = 0; i < 10; i++) peer.transport.receive("x".repeat(30_000));
  assert.equal(request.received, 65536);
  assert.ok(peer.transport.isPaused);
  assert.equal(peer.transport.unread, 210_000, "the backend has to wait");
  request.stream.credit(32767);
  assert.equal(request.received, 65536);
  request.stream.credit(1);
  assert.equal(request.received, 90_000);
  assert.ok(!peer.transport.isPaused);
});

Deno.test("an answer that nobody credits any more does not hold up the next", async () => {
  const peer = new ClientPeer();
  peer.request({}, true, false);
  peer.transport.receive(`HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n${"x".repeat(65536)}`);
  const next = peer.request({}, true, false);
  peer.transport.receive(OK);
  await turn();
  assert.equal(next.events.at(-1), "end");
});

Deno.test("a body goes out as the head has said, with its trailers where there is a place for them", async () => {
  const chunked = new ClientPeer();
  const upload = chunked.request({ method: "POST" }, false);
  upload.stream.sendData(octets("abc"));
  upload.stream.sendTrailers(["x-sum", "7", "host", "b"]);
  await turn();
  assert.ok(chunked.transport.written.endsWith("\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n"));
  assert.equal(upload.sent, 3);
  assert.equal(chunked.transport.writes.length, 1);

  const sized = new ClientPeer();
  const known = sized.request({ method: "POST", contentLength: 3 }, false);
  known.stream.sendData(octets("abc"));
  known.stream.sendTrailers(["x-sum", "7"]);
  await turn();
  assert.ok(sized.transport.written.endsWith("\r\n\r\nabc"));
});

Deno.test("a backend that reads slowly is waited for", async () => {
  const peer = new ClientPeer();
  const upload = peer.request({ method: "POST" }, false);
  peer.transport.stall();
  upload.stream.sendData(new Uint8Array(200_000));
  upload.stream.sendData(new Uint8Array(10));
  await turn();
  assert.equal(upload.sent, 0);
  peer.transport.drain();
  assert.equal(upload.sent, 200_010);
});

Deno.test("a request that does not keep to its content-length is cut", () => {
  for (const [length, detail] of [[3, "longer"], [5, "shorter"]] as const) {
    const peer = new ClientPeer();
    const { stream, events } = peer.request({ method: "POST", contentLength: length }, false);
    stream.sendData(octets("four"));
    stream.sendEnd();
    assert.deepEqual(events, [`failed reset: the body of the request is ${detail} than its content-length`]);
    assert.ok(peer.transport.isDestroyed);
    assert.deepEqual(peer.log, ["closed"]);
  }
});

Deno.test("what is no answer breaks the request off", () => {
  const cases = [
    ["GET / HTTP/1.1\r\n\r\n", "version"],
    ["HTTP/1.1 200 OK\n\n", "bare_lf"],
    ["HTTP/1.1 200 OK\r\na : b\r\n\r\n", "space_before_colon"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "content_length"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "two_lengths"],
    ["HTTP/1.1 700 Odd\r\n\r\n", "a status beyond 599"],
    [`HTTP/1.1 200 OK\r\na: ${"b".repeat(65536)}`, "head_too_large"],
    ["HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", /not asked for/],
    ["HTTP/1.1 103 Early Hints\r\n\r\n".repeat(101), "too many interim answers"],
  ] as const;
  for (const [bytes, detail] of cases) {
    const peer = new ClientPeer();
    const { events } = peer.request();
    peer.transport.receive(bytes);
    const failure = events.at(-1) ?? "";
    if (typeof detail === "string") assert.equal(failure, `failed malformed: ${detail}`);
    else assert.match(failure, detail);
    assert.ok(peer.transport.isDestroyed);
    assert.deepEqual(peer.log, ["closed"]);
  }
});

Deno.test("interim answers are counted for each request", () => {
  const peer = new ClientPeer();
  for (let i = 0; i < 3; i++) {
    const { events } = peer.request();
    peer.transport.receive("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(60) + OK);
    assert.equal(events.at(-1), "end");
  }
});

Deno.test("an answer that breaks off is told as broken", () => {
  const cases: [string, string][] = [
    ["", "the backend closed the connection instead of answering"],
    ["HTTP/1.1 2", "the backend closed the connection instead of answering"],
    [
      "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
      "the backend closed the connection within the body of its answer",
    ],
    [
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
      "the backend closed the connection within the body of its answer",
    ],
  ];
  for (const [bytes, detail] of cases) {
    const peer = new ClientPeer();
    const { events } = peer.request();
    if (bytes !== "") peer.transport.receive(bytes);
    peer.transport.receiveEnd();
    assert.equal(events.at(-1), `failed reset: ${detail}`);
    assert.deepEqual(peer.log, ["closed"]);
    assert.ok(peer.transport.isDestroyed);
  }

  const lost = new ClientPeer();
  const { events } = lost.request();
  lost.transport.receive("HTTP/1.1 200 OK\r\n\r\nab");
  lost.transport.lose("Connection reset by peer");
  assert.deepEqual(events, ["response 200 ", "data ab", "failed reset: Connection reset by peer"]);

  const malformed = new ClientPeer();
  const chunked = malformed.request();
  malformed.transport.receive("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n");
  assert.deepEqual(chunked.events, ["response 200 ", "failed malformed: chunk_size"]);
});

Deno.test("a connection that has served a request says so when it breaks", () => {
  const peer = new ClientPeer();
  peer.request();
  peer.transport.receive(OK);
  const { events } = peer.request();
  peer.transport.receiveEnd();
  assert.deepEqual(events, ["failed reset: the backend closed the connection instead of answering"]);
  assert.ok(peer.connection.used);
});

Deno.test("an answer that is complete before the request ends the stream, and the connection", () => {
  const peer = new ClientPeer();
  const { stream, events } = peer.request({ method: "POST" }, false);
  stream.sendData(octets("x"));
  peer.transport.receive(OK);
  assert.equal(events.at(-1), "end");
  assert.deepEqual(peer.log, ["closed"]);
  assert.ok(peer.transport.isDestroyed);
  stream.sendData(octets("x"));
  stream.sendEnd();
  assert.deepEqual(events.at(-1), "end");

  const unread = new ClientPeer();
  unread.transport.stall();
  const upload = unread.request({ method: "POST" }, false);
  upload.stream.sendData(new Uint8Array(200_000));
  upload.stream.sendEnd();
  unread.transport.receive(OK);
  assert.deepEqual(unread.log, ["closed"], "what the backend has not read could be the end of the next request");
});

Deno.test("octets that belong to no answer end the connection", () => {
  const behind = new ClientPeer();
  const { events } = behind.request();
  behind.transport.receive(OK + OK);
  assert.deepEqual(events, ["response 200 content-length,2", "data ok", "end"]);
  assert.deepEqual(behind.log, ["closed"]);
  assert.ok(behind.transport.isDestroyed);

  const bodiless = new ClientPeer();
  const head = bodiless.request({ method: "HEAD" });
  bodiless.transport.receive(OK);
  assert.deepEqual(head.events, ["response 200 content-length,2 end"]);
  assert.deepEqual(bodiless.log, ["closed"]);

  const idle = new ClientPeer();
  idle.transport.receive("HTTP/1.1 408 Request Timeout\r\n\r\n");
  assert.deepEqual(idle.log, ["closed"]);
  assert.ok(!idle.connection.available && idle.transport.isDestroyed);
});

Deno.test("an idle connection ends with the backend, or when it is told to", () => {
  const ended = new ClientPeer();
  ended.transport.receiveEnd();
  assert.deepEqual(ended.log, ["closed"]);
  const lost = new ClientPeer();
  lost.transport.lose("reset");
  assert.deepEqual(lost.log, ["closed"]);
  const closed = new ClientPeer();
  closed.connection.close();
  closed.connection.close();
  assert.ok(closed.transport.isDestroyed);
  assert.deepEqual(closed.log, ["closed"]);

  const busy = new ClientPeer();
  const { events } = busy.request();
  busy.connection.close();
  assert.deepEqual(busy.log, []);
  busy.transport.receive(OK);
  assert.equal(events.at(-1), "end");
  assert.deepEqual(busy.log, ["closed"]);
});

Deno.test("a request that is reset takes its connection with it, and hears no more", () => {
  const peer = new ClientPeer();
  const { stream, events } = peer.request();
  peer.transport.receive("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
  stream.reset("cancelled");
  peer.transport.receive("cde");
  assert.deepEqual(events, ["response 200 content-length,5", "data ab"]);
  assert.ok(peer.transport.isDestroyed);
  assert.deepEqual(peer.log, ["closed"]);
});

Deno.test("a stream that is over does nothing to the request behind it", async () => {
  const peer = new ClientPeer();
  const first = peer.request();
  peer.transport.receive(OK);
  const second = peer.request({ method: "POST" }, false);
  first.stream.sendData(octets("first"));
  first.stream.credit(1);
  first.stream.sendEnd();
  first.stream.reset("cancelled");
  second.stream.sendData(octets("second"));
  await turn();
  assert.ok(peer.transport.written.includes("second"));
  assert.doesNotMatch(peer.transport.written, /first/);
  assert.ok(!peer.transport.isDestroyed);
});

Deno.test("the list of fields of a request stays as it was", () => {
  const fields = ["cookie", "a=1", "cookie", "b=2", "te", "trailers"];
  const head = requestHead({ fields });
  new ClientPeer().request(head);
  assert.deepEqual(fields, ["cookie", "a=1", "cookie", "b=2", "te", "trailers"]);
});

Deno.test("an end told while a body ends is the end of the connection alone", () => {
  const peer = new ClientPeer();
  const { stream, events } = peer.request({}, true, false);
  peer.transport.receive(`HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${"x".repeat(100_000)}`);
  peer.transport.receiveEnd();
  assert.deepEqual(peer.log, []);
  stream.credit(65536);
  assert.equal(events.at(-1), "end");
  assert.deepEqual(peer.log, ["changed", "closed"]);
});
