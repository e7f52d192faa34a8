import assert from "node:assert/strict";
import * as h2 from "../../../wire/http2_frames.ts";
import { data, frame, goAway, ping, reset, settings, windowUpdate } from "../testdata/http2_peer.ts";
import { Http2ClientPeer } from "../testdata/http2_client_peer.ts";

const HEAD = (status: number, ...fields: string[]): string[] => [":status", String(status), ...fields];

Deno.test("a connection opens with the preface, SETTINGS and its window", async () => {
  using peer = new Http2ClientPeer();
  assert.equal(await peer.preface(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  assert.deepEqual(await peer.told(), ["SETTINGS 2=0 6=65536", "WINDOW_UPDATE 0 16711681"]);
  peer.send(settings());
  assert.deepEqual(await peer.told(), ["SETTINGS ack"]);
});

Deno.test("requests go out with their heads, bodies and trailers", async () => {
  using peer = await Http2ClientPeer.open();
  peer.request({ fields: ["x", "y"], path: "/a?b" });
  const { stream } = peer.request({ method: "POST", fields: ["content-length", "3"] }, false);
  stream.sendData(new TextEncoder().encode("abc"));
  stream.sendTrailers(["t", "u"]);
  peer.request({ method: "CONNECT", protocol: "websocket", path: "/chat" }, false);
  assert.deepEqual(await peer.told(), [
    "HEADERS 1 end :method GET, :scheme http, :authority a.example, :path /a?b, x y",
    "HEADERS 3 :method POST, :scheme http, :authority a.example, :path /, content-length 3",
    "DATA 3 abc",
    "HEADERS 3 end t u",
    "HEADERS 5 :method CONNECT, :scheme http, :authority a.example, :path /chat, :protocol websocket",
  ]);
});

Deno.test("an answer comes as 1xx, head, body and trailers", async () => {
  using peer = await Http2ClientPeer.open();
  const { events } = peer.request();
  peer.send(
    peer.headers(1, HEAD(103, "link", "</a>"), h2.END_HEADERS),
    peer.headers(1, HEAD(200, "x", "y"), h2.END_HEADERS),
    data(1, "abc"),
    peer.headers(1, ["grpc-status", "0"]),
  );
  assert.deepEqual(events, ["informational 103 link,</a>", "response 200 x,y", "data abc", "trailers grpc-status,0"]);
  assert.equal(peer.connection.active, 0);
});

Deno.test("an answer without a body ends with its head, and one with trailers alone with them", async () => {
  using peer = await Http2ClientPeer.open();
  const first = peer.request();
  const second = peer.request();
  peer.send(peer.headers(1, HEAD(204)), peer.headers(3, HEAD(200, "content-type", "application/grpc"), h2.END_HEADERS));
  peer.send(data(3, "", true));
  assert.deepEqual(first.events, ["response 204  end"]);
  assert.deepEqual(second.events, ["response 200 content-type,application/grpc", "end"]);
});

Deno.test("a backend that names no limit takes many requests, and one that does takes so many", () => {
  using peer = new Http2ClientPeer();
  assert.ok(!peer.connection.available && !peer.connection.ready, "until it has said so");
  peer.send(settings());
  assert.ok(peer.connection.available && peer.connection.ready);
  for (let i = 0; i < 100; i++) peer.request();
  peer.send(settings({ [h2.SETTINGS_MAX_CONCURRENT_STREAMS]: 100 }));
  assert.ok(!peer.connection.available);
  assert.throws(() => peer.request(), TypeError);
  peer.send(peer.headers(1, HEAD(204)));
  assert.ok(peer.connection.available);
  assert.deepEqual(peer.log.slice(-3), ["changed", "changed, not available", "changed"]);
});

Deno.test("whether a backend carries WebSockets is known with its SETTINGS", () => {
  using peer = new Http2ClientPeer();
  assert.equal(peer.connection.carriesWebSockets, undefined);
  peer.send(settings());
  assert.equal(peer.connection.carriesWebSockets, false);
  peer.send(settings({ [h2.SETTINGS_ENABLE_CONNECT_PROTOCOL]: 1 }));
  peer.send(settings());
  assert.equal(peer.connection.carriesWebSockets, true);
});

Deno.test("GOAWAY tells which requests may be sent again; the others are answered, and then it is over", async () => {
  using peer = await Http2ClientPeer.open();
  const first = peer.request();
  const second = peer.request();
  const third = peer.request();
  peer.send(goAway(2 ** 31 - 1));
  assert.ok(!peer.connection.available);
  assert.deepEqual(third.events, []);
  peer.send(goAway(3));
  assert.deepEqual(third.events, ["failed refused: the backend is going away: NO_ERROR"]);
  peer.send(peer.headers(1, HEAD(204)), peer.headers(3, HEAD(200)));
  assert.deepEqual([first.events, second.events], [["response 204  end"], ["response 200  end"]]);
  assert.ok(peer.transport.isEnded);
  assert.equal(peer.log.at(-1), "closed");
});

Deno.test("GOAWAY that leaves nothing ends the connection, and nothing is told behind that", async () => {
  using peer = await Http2ClientPeer.open();
  const { events } = peer.request();
  peer.send(goAway(0, "ENHANCE_YOUR_CALM"));
  assert.deepEqual(events, ["failed refused: the backend is going away: ENHANCE_YOUR_CALM"]);
  assert.deepEqual(peer.log.slice(-1), ["closed"]);
});

Deno.test("a request that the backend resets fails, and may be sent again where it was refused", async () => {
  using peer = await Http2ClientPeer.open();
  const refused = peer.request();
  const failed = peer.request();
  peer.send(reset(1, "REFUSED_STREAM"), reset(3, "INTERNAL_ERROR"));
  assert.deepEqual(refused.events, ["failed refused: the backend reset the stream: REFUSED_STREAM"]);
  assert.deepEqual(failed.events, ["failed reset: the backend reset the stream: INTERNAL_ERROR"]);
});

Deno.test("an answer that is whole is not undone by what becomes of its request", async () => {
  using peer = await Http2ClientPeer.open();
  const stopped = peer.request({ method: "POST" }, false);
  const lost = peer.request({ method: "POST" }, false);
  for (const id of [1, 3]) peer.send(peer.headers(id, HEAD(413)));
  peer.send(reset(1, "NO_ERROR"));
  stopped.stream.sendData(new Uint8Array(10));
  peer.transport.lose("ECONNRESET");
  assert.deepEqual([stopped.events, lost.events], [["response 413  end"], ["response 413  end"]]);
});

Deno.test("a WebSocket whose other half is lost fails", async () => {
  using peer = await Http2ClientPeer.open();
  const { events } = peer.request({ method: "CONNECT", protocol: "websocket" }, false);
  peer.send(peer.headers(1, HEAD(200), h2.END_HEADERS), data(1, "", true), reset(1));
  assert.deepEqual(events, ["response 200 ", "end", "failed reset: the backend reset the stream: CANCEL"]);
});

Deno.test("an answer that nobody wants any more is passed over, to its trailers", async () => {
  using peer = await Http2ClientPeer.open();
  const { stream, events } = peer.request();
  stream.reset("cancelled");
  peer.send(peer.headers(1, HEAD(200), h2.END_HEADERS), data(1, "abc"), peer.headers(1, ["x", "y"]));
  peer.send(windowUpdate(1, 1), reset(1));
  assert.deepEqual(events, []);
  assert.equal((await peer.told()).at(-1), "RST_STREAM 1 CANCEL");
  assert.ok(peer.connection.available);
});

Deno.test("a thousand answers that were given up amid their bodies do not end the connection", async () => {
  using peer = await Http2ClientPeer.open();
  for (let id = 1; id < 2000; id += 2) {
    const { stream } = peer.request();
    peer.send(peer.headers(id, HEAD(200), h2.END_HEADERS));
    stream.reset("cancelled");
  }
  for (let id = 1; id < 2000; id += 2) for (let i = 0; i < 30; i++) peer.send(data(id, "x".repeat(50)));
  assert.ok(peer.connection.available);
});

Deno.test("a connection that is closed waits for its requests, and says that it goes", async () => {
  using peer = await Http2ClientPeer.open();
  peer.connection.close();
  assert.deepEqual(await peer.told(), ["GOAWAY 0 NO_ERROR"]);
  assert.ok(peer.transport.isEnded);

  using busy = await Http2ClientPeer.open();
  const { events } = busy.request();
  busy.connection.close();
  assert.ok(!busy.connection.available && !busy.transport.isEnded);
  busy.send(busy.headers(1, HEAD(204)));
  assert.deepEqual(events, ["response 204  end"]);
  assert.ok(busy.transport.isEnded);
});

Deno.test("names that are never to be indexed stay so on the way", async () => {
  using peer = await Http2ClientPeer.open();
  peer.request({ fields: ["x-key", "1", "authorization", "a", "x-b", "c"], neverIndexed: new Set(["x-key"]) });
  await peer.told();
  assert.deepEqual(peer.neverIndexed, new Set(["x-key", "authorization"]));
});

Deno.test("unknown frames and settings of a backend are passed over", async () => {
  using peer = await Http2ClientPeer.open();
  const { events } = peer.request();
  peer.send(frame(77, 1, 1, "abc"), settings({ 77: 7 }), peer.headers(1, HEAD(204)));
  assert.deepEqual(events, ["response 204  end"]);
});

Deno.test("SETTINGS are acknowledged ahead of the DATA that they release (RFC 9113 §6.5.3)", async () => {
  using peer = await Http2ClientPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 0 });
  peer.request({ method: "POST" }, false).stream.sendData(new TextEncoder().encode("abc"));
  await peer.told();
  peer.send(settings({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 100 }));
  assert.deepEqual(await peer.told(), ["SETTINGS ack", "DATA 1 abc"]);
});

Deno.test("a backend may grant a window of a few bytes for as long as it likes", async () => {
  using peer = await Http2ClientPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 1 });
  const { stream } = peer.request({ method: "POST" }, false);
  stream.sendData(new Uint8Array(30_000));
  for (let i = 0; i < 29_999; i++) peer.send(windowUpdate(1, 1));
  assert.ok(peer.connection.available);
  const sent = (await peer.told()).filter((line) => line.startsWith("DATA 1"));
  assert.equal(sent.length, 30_000);
});

Deno.test("a backend that sends no SETTINGS in time is given up", () => {
  using peer = new Http2ClientPeer();
  elapse(peer, 10_100);
  assert.deepEqual(peer.log, ["closed timeout: the backend does not send its SETTINGS"]);
  assert.ok(peer.transport.isDestroyed);
});

Deno.test("a backend that closes before its SETTINGS never came to take a request", () => {
  using peer = new Http2ClientPeer();
  peer.transport.receiveEnd();
  assert.deepEqual(peer.log, ["closed unreachable: the backend closed the connection before its SETTINGS came"]);
});

Deno.test("a backend that is silent while a request waits is asked with PING, and given up where it is silent still", async () => {
  using peer = await Http2ClientPeer.open();
  elapse(peer, 60_000);
  assert.deepEqual(await peer.told(), [], "nobody waits");
  const { events } = peer.request();
  await peer.told();
  elapse(peer, 65_100);
  assert.deepEqual(await peer.told(), [`PING ${"\0".repeat(8)}`]);
  assert.ok(!peer.connection.available, "others had better go elsewhere");
  elapse(peer, 70_300);
  assert.deepEqual(events, ["failed reset: the backend is silent, and answers no PING"]);
  assert.equal(peer.log.at(-1), "closed");
});

Deno.test("a backend that answers PING may take its time, and is asked again only when more is sent to it", async () => {
  using peer = await Http2ClientPeer.open();
  const { events } = peer.request();
  elapse(peer, 5_100);
  await peer.told();
  peer.send(ping("\0".repeat(8), h2.ACK));
  assert.ok(peer.connection.available);
  elapse(peer, 200_000);
  assert.deepEqual(await peer.told(), []);
  const second = peer.request();
  elapse(peer, 205_100);
  assert.equal((await peer.told()).at(-1), `PING ${"\0".repeat(8)}`);
  peer.send(ping("\0".repeat(8), h2.ACK), peer.headers(1, HEAD(200)), peer.headers(3, HEAD(204)));
  assert.deepEqual([events, second.events], [["response 200  end"], ["response 204  end"]]);
});

/** Has the time-outs of a connection find that so many ms have passed. */
function elapse({ transport }: Http2ClientPeer, ms: number): void {
  transport.turn.deadlines.advance(performance.now() + ms);
}
