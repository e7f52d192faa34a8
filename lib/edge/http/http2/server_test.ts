import assert from "node:assert/strict";
import * as h2 from "../../../wire/http2_frames.ts";
import { data, frame, joined, ping, reset } from "../testdata/http2_peer.ts";
import { Http2ServerPeer, requestFields } from "../testdata/http2_server_peer.ts";
import { answer } from "../testdata/server_peer.ts";

const OK = { status: 200, fields: [], neverIndexed: undefined };
const PONG = ping("\0\0\0\0\0\0\0\0", h2.ACK);

Deno.test("a connection opens with SETTINGS and its window, and acknowledges the client's", async () => {
  using peer = new Http2ServerPeer();
  assert.deepEqual(await peer.told(), ["SETTINGS 3=128 6=65536 8=1", "WINDOW_UPDATE 0 2031617"]);
  peer.send(h2.PREFACE, new Uint8Array([0, 0, 0, h2.SETTINGS, 0, 0, 0, 0, 0]));
  assert.deepEqual(await peer.told(), ["SETTINGS ack"]);
  peer.send(ping());
  assert.deepEqual(await peer.told(), ["PING ack 12345678"]);
});

Deno.test("requests are answered as they come, many at once, in any order", async () => {
  using peer = await Http2ServerPeer.open();
  const first = peer.request(1);
  const second = peer.request(3, "POST", ["content-type", "text/plain"]);
  peer.send(data(3, "abc"), data(3, "def", true));
  assert.deepEqual(second.events, ["data abcdef", "end"]);
  answer(second, "two", ["x-a", "b"]);
  answer(first);
  assert.deepEqual(await peer.told(), [
    "HEADERS 3 :status 200, x-a b, content-length 3",
    "DATA 3 end two",
    "HEADERS 1 end :status 200, content-length 0",
  ]);
  assert.deepEqual(peer.log, ["activity 1", "activity 2", "activity 1", "activity 0"]);
});

Deno.test("1xx goes ahead of an answer, not behind it", async () => {
  using peer = await Http2ServerPeer.open();
  const { stream } = peer.request(1);
  stream.inform({ status: 103, fields: ["link", "</a>"], neverIndexed: undefined });
  stream.respond(OK, false);
  stream.inform({ status: 103, fields: [], neverIndexed: undefined });
  stream.respond(OK, true);
  stream.sendTrailers(["x", "y"]);
  assert.deepEqual(await peer.told(), [
    "HEADERS 1 :status 103, link </a>",
    "HEADERS 1 :status 200",
    "HEADERS 1 end x y",
  ]);
});

Deno.test("an answer that ends before its request has the rest of the request stopped, and passed over", async () => {
  using peer = await Http2ServerPeer.open();
  const { stream, events } = peer.request(1, "POST");
  answer({ ...peer.last, stream }, "no");
  assert.deepEqual(await peer.told(), [
    "HEADERS 1 :status 200, content-length 2",
    "DATA 1 end no",
    "RST_STREAM 1 NO_ERROR",
  ]);
  peer.send(data(1, "on its way"), peer.headers(1, ["x", "y"]), reset(1));
  peer.request(3);
  assert.deepEqual(events, []);
  assert.deepEqual(await peer.told(), []);
});

Deno.test("frames on streams that were reset long ago are passed over too", async () => {
  using peer = await Http2ServerPeer.open();
  for (let i = 0; i < 400; i++) {
    const { stream } = peer.request(1 + 2 * i, "POST");
    stream.respond(OK, true);
  }
  await peer.told();
  for (let i = 0; i < 400; i++) peer.send(data(1 + 2 * i, "on its way"));
  assert.deepEqual(await peer.told(), []);
});

Deno.test("a stream that the handler resets is over, with the reason that it gave", async () => {
  using peer = await Http2ServerPeer.open();
  const reasons = ["cancelled", "refused", "internal_error", "malformed"] as const;
  for (const [i, reason] of reasons.entries()) {
    const { stream } = peer.request(1 + 2 * i);
    stream.reset(reason);
    stream.reset(reason);
    stream.respond(OK, true);
    stream.sendData(new Uint8Array(1));
    stream.sendEnd();
  }
  assert.deepEqual(await peer.told(), [
    "RST_STREAM 1 CANCEL",
    "RST_STREAM 3 REFUSED_STREAM",
    "RST_STREAM 5 INTERNAL_ERROR",
    "RST_STREAM 7 PROTOCOL_ERROR",
  ]);
  assert.equal(peer.log.at(-1), "activity 0");
});

Deno.test("a request that the client gives up fails, whether its body was whole or not", async () => {
  using peer = await Http2ServerPeer.open();
  const open = peer.request(1, "POST");
  const whole = peer.request(3);
  peer.send(reset(1), reset(3, "INTERNAL_ERROR"));
  assert.deepEqual(open.events, ["failed reset: the client reset the stream: CANCEL"]);
  assert.deepEqual(whole.events, ["failed reset: the client reset the stream: INTERNAL_ERROR"]);
  whole.stream.respond(OK, true);
  assert.deepEqual(await peer.told(), []);
});

Deno.test("both halves of a WebSocket end for themselves", async () => {
  using peer = await Http2ServerPeer.open();
  peer.send(peer.headers(1, [...requestFields("CONNECT"), ":protocol", "websocket"], h2.END_HEADERS));
  const { stream, events } = peer.last;
  stream.respond(OK, false);
  stream.sendData(new TextEncoder().encode("down"));
  stream.sendEnd();
  peer.send(data(1, "up"));
  assert.deepEqual(events, ["data up"]);
  peer.send(data(1, "", true));
  assert.deepEqual(events, ["data up", "end"]);
  assert.deepEqual(await peer.told(), ["HEADERS 1 :status 200", "DATA 1 end down"]);
  assert.equal(peer.log.at(-1), "activity 0");
});

Deno.test("a head that is larger than a frame goes out in several", async () => {
  using peer = await Http2ServerPeer.open();
  const fields = Array.from({ length: 80 }, (_, i) => i % 2 ? "\xff".repeat(1000) : `x-${i}`);
  peer.request(1).stream.respond({ ...OK, fields }, true);
  const lines = await peer.told();
  assert.deepEqual(lines.slice(0, 2), ["HEADERS 1 end …", "CONTINUATION 1 …"]);
  assert.equal(lines.length, 3);
  assert.match(lines[2] ?? "", /^CONTINUATION 1 :status 200, x-0 \xff+, .*, x-78 \xff+$/);
});

Deno.test("a drained connection takes what is on its way, says its last word, and ends with its requests", async () => {
  using peer = await Http2ServerPeer.open();
  const first = peer.request(1);
  peer.connection.drain();
  peer.connection.drain();
  assert.deepEqual(await peer.told(), ["GOAWAY 2147483647 NO_ERROR", "PING \0\0\0\0\0\0\0\0"]);
  const second = peer.request(3, "POST");
  peer.send(PONG);
  assert.deepEqual(await peer.told(), ["GOAWAY 3 NO_ERROR"]);

  peer.send(peer.headers(5, requestFields("POST"), h2.END_HEADERS), data(5, "abc"), peer.headers(5, ["x", "y"]));
  peer.send(data(3, "abc", true));
  assert.deepEqual(await peer.told(), ["RST_STREAM 5 REFUSED_STREAM"]);
  assert.equal(peer.requests.length, 2);
  answer(first);
  answer(second);
  assert.deepEqual(await peer.told(), [
    "HEADERS 1 end :status 200, content-length 0",
    "HEADERS 3 end :status 200, content-length 0",
  ]);
  assert.ok(peer.transport.isEnded);
  assert.equal(peer.log.at(-1), "closed");
});

Deno.test("a drained connection without requests ends once its client has heard of it", async () => {
  using peer = await Http2ServerPeer.open();
  peer.connection.drain();
  assert.ok(!peer.transport.isEnded);
  peer.send(PONG);
  assert.deepEqual(await peer.told(), ["GOAWAY 2147483647 NO_ERROR", "PING \0\0\0\0\0\0\0\0", "GOAWAY 0 NO_ERROR"]);
  assert.equal(peer.log.at(-1), "closed");
});

Deno.test("the last GOAWAY of a connection that fails while it is drained tells no more than the one before", async () => {
  using peer = await Http2ServerPeer.open();
  peer.request(1);
  peer.connection.drain();
  peer.send(PONG, peer.headers(3, requestFields()), data(0, "a"));
  assert.deepEqual((await peer.told()).slice(-2), ["RST_STREAM 3 REFUSED_STREAM", "GOAWAY 1 PROTOCOL_ERROR"]);
});

Deno.test("an aborted connection is destroyed, and its requests fail", async () => {
  using peer = await Http2ServerPeer.open();
  const { events } = peer.request(1);
  peer.connection.abort();
  assert.ok(peer.transport.isDestroyed);
  assert.deepEqual(events, ["failed reset: the server is shutting down"]);
  assert.equal(peer.log.at(-1), "closed the server is shutting down");
});

Deno.test("requests fail with their connection, however it is lost", async () => {
  using lost = await Http2ServerPeer.open();
  const first = lost.request(1);
  lost.transport.lose("ECONNRESET");
  assert.deepEqual(first.events, ["failed reset: ECONNRESET"]);
  assert.equal(lost.log.at(-1), "closed ECONNRESET");

  using ended = await Http2ServerPeer.open();
  const second = ended.request(1);
  ended.transport.receiveEnd();
  assert.deepEqual(second.events, ["failed reset: the peer closed the connection"]);
  assert.equal(ended.log.at(-1), "closed closed with open streams");

  using idle = await Http2ServerPeer.open();
  idle.transport.receiveEnd();
  assert.deepEqual(idle.log, ["closed"]);
});

Deno.test("what a handler does within its events does no harm", async () => {
  using peer = await Http2ServerPeer.open({}, { onRequest: ({ stream }) => stream.reset("refused") });
  peer.request(1, "POST");
  peer.send(data(1, "abc", true));
  using other = await Http2ServerPeer.open();
  const { stream, events } = other.request(1, "POST");
  stream.events = { ...stream.events, data: () => stream.reset("cancelled") };
  other.send(data(1, "abc", true), data(1, "", true));
  assert.deepEqual(events, []);
  assert.deepEqual(await peer.told(), ["RST_STREAM 1 REFUSED_STREAM"]);
  assert.deepEqual(await other.told(), ["RST_STREAM 1 CANCEL"]);
});

Deno.test("a head that has begun is told of, each for itself, and so is its end", async () => {
  using peer = await Http2ServerPeer.open();
  const whole = peer.headers(1, requestFields());
  for (const octet of whole) peer.send(Uint8Array.of(octet));
  assert.deepEqual(peer.heads, ["begun", "ended"], "a frame in parts");

  const begun = whole.slice();
  begun[4] = h2.END_STREAM; // without END_HEADERS
  begun[8] = 3;
  peer.heads.length = 0;
  peer.send(begun);
  assert.deepEqual(peer.heads, ["begun"], "a block without its CONTINUATION");
  const rest = frame(h2.CONTINUATION, h2.END_HEADERS, 3);
  begun[8] = 5;
  peer.send(joined(rest, begun));
  assert.deepEqual(peer.heads, ["begun", "begun"], "another one, whose time begins anew");
  peer.send(frame(h2.CONTINUATION, h2.END_HEADERS, 5));
  assert.deepEqual(peer.heads, ["begun", "begun", "ended"]);
  peer.send(data(1, "x").subarray(0, 5));
  assert.equal(peer.heads.length, 3, "DATA is no head");
});
