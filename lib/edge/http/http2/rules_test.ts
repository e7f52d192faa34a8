import assert from "node:assert/strict";
import type { FieldList } from "../../../wire/field_list.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import { MAX_CONCURRENT_STREAMS } from "./server.ts";
import {
  data,
  frame,
  goAway,
  type Http2Peer,
  ping,
  reset,
  settings,
  SETTINGS_ACK,
  uint32,
  windowUpdate,
} from "../testdata/http2_peer.ts";
import { Http2ClientPeer } from "../testdata/http2_client_peer.ts";
import { Http2ServerPeer, requestFields } from "../testdata/http2_server_peer.ts";

/** What a peer may send in one of its frames, where the connection has seen one open stream 1 with a body to come. */
type Frames = (peer: Http2Peer) => readonly Uint8Array[];

const over = (length: number) => new Uint8Array(length);
const post = requestFields("POST");
const open: Frames = (peer) => [peer.headers(1, post, h2.END_HEADERS)];
/** Stream 1 is half-closed by the client, and not answered. */
const halfClosed: Frames = (peer) => [peer.headers(1, requestFields())];

/** Breaches that end the connection, whichever role finds them. */
const BY_EITHER: Readonly<Record<string, readonly [h2.ErrorCode, Frames]>> = {
  "a frame over 16,384 octets": ["FRAME_SIZE_ERROR", () => [frame(h2.DATA, 0, 1, over(16_385)).subarray(0, 9)]],
  "an unknown frame over 16,384 octets": ["FRAME_SIZE_ERROR", () => [frame(200, 0, 1, over(16_385)).subarray(0, 9)]],
  "DATA on stream 0": ["PROTOCOL_ERROR", () => [data(0, "a")]],
  "DATA on an idle stream": ["PROTOCOL_ERROR", () => [data(9, "a")]],
  "DATA without its padding's length": ["FRAME_SIZE_ERROR", () => [frame(h2.DATA, h2.PADDED, 1)]],
  "DATA with padding as long as itself": ["PROTOCOL_ERROR", () => [frame(h2.DATA, h2.PADDED, 1, "\x03ab")]],
  "HEADERS on stream 0": ["PROTOCOL_ERROR", (peer) => [peer.headers(0, post)]],
  "HEADERS with padding as long as itself": [
    "PROTOCOL_ERROR",
    () => [frame(h2.HEADERS, h2.PADDED | h2.END_HEADERS, 1, "\x04abc")],
  ],
  "HEADERS too short for a priority": [
    "FRAME_SIZE_ERROR",
    () => [frame(h2.HEADERS, h2.HAS_PRIORITY | h2.END_HEADERS, 1, "abcd")],
  ],
  "a header block that cannot be decoded": ["COMPRESSION_ERROR", () => [frame(h2.HEADERS, h2.END_HEADERS, 1, "\x80")]],
  "PRIORITY on stream 0": ["PROTOCOL_ERROR", () => [frame(h2.PRIORITY, 0, 0, over(5))]],
  "PRIORITY of four octets": ["FRAME_SIZE_ERROR", () => [frame(h2.PRIORITY, 0, 1, over(4))]],
  "RST_STREAM on stream 0": ["PROTOCOL_ERROR", () => [reset(0)]],
  "RST_STREAM on an idle stream": ["PROTOCOL_ERROR", () => [reset(9)]],
  "RST_STREAM of three octets": ["FRAME_SIZE_ERROR", () => [frame(h2.RST_STREAM, 0, 1, over(3))]],
  "SETTINGS on a stream": ["PROTOCOL_ERROR", () => [frame(h2.SETTINGS, 0, 1)]],
  "SETTINGS of five octets": ["FRAME_SIZE_ERROR", () => [frame(h2.SETTINGS, 0, 0, over(5))]],
  "SETTINGS that are acknowledged with values": ["FRAME_SIZE_ERROR", () => [frame(h2.SETTINGS, h2.ACK, 0, over(6))]],
  "ENABLE_PUSH of 2": ["PROTOCOL_ERROR", () => [settings({ [h2.SETTINGS_ENABLE_PUSH]: 2 })]],
  "ENABLE_CONNECT_PROTOCOL of 2": ["PROTOCOL_ERROR", () => [settings({ [h2.SETTINGS_ENABLE_CONNECT_PROTOCOL]: 2 })]],
  "INITIAL_WINDOW_SIZE of 2^31": [
    "FLOW_CONTROL_ERROR",
    () => [settings({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 2 ** 31 })],
  ],
  "INITIAL_WINDOW_SIZE that takes a stream's window over 2^31-1": [
    "FLOW_CONTROL_ERROR",
    () => [windowUpdate(1, 1), settings({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 2 ** 31 - 1 })],
  ],
  "MAX_FRAME_SIZE below 2^14": ["PROTOCOL_ERROR", () => [settings({ [h2.SETTINGS_MAX_FRAME_SIZE]: 16_383 })]],
  "MAX_FRAME_SIZE above 2^24-1": ["PROTOCOL_ERROR", () => [settings({ [h2.SETTINGS_MAX_FRAME_SIZE]: 2 ** 24 })]],
  "PUSH_PROMISE": ["PROTOCOL_ERROR", (peer) => [frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, peer.block(post))]],
  "PING on a stream": ["PROTOCOL_ERROR", () => [frame(h2.PING, 0, 1, over(8))]],
  "PING of seven octets": ["FRAME_SIZE_ERROR", () => [frame(h2.PING, 0, 0, over(7))]],
  "GOAWAY on a stream": ["PROTOCOL_ERROR", () => [frame(h2.GOAWAY, 0, 1, over(8))]],
  "GOAWAY of seven octets": ["FRAME_SIZE_ERROR", () => [frame(h2.GOAWAY, 0, 0, over(7))]],
  "WINDOW_UPDATE of three octets": ["FRAME_SIZE_ERROR", () => [frame(h2.WINDOW_UPDATE, 0, 0, over(3))]],
  "WINDOW_UPDATE of nothing for the connection": ["PROTOCOL_ERROR", () => [windowUpdate(0, 0)]],
  "WINDOW_UPDATE on an idle stream": ["PROTOCOL_ERROR", () => [windowUpdate(9, 1)]],
  "WINDOW_UPDATE that takes the connection's window over 2^31-1": [
    "FLOW_CONTROL_ERROR",
    () => [windowUpdate(0, 2 ** 31 - 1)],
  ],
  "CONTINUATION without HEADERS": ["PROTOCOL_ERROR", () => [frame(h2.CONTINUATION, h2.END_HEADERS, 1)]],
  "CONTINUATION of another stream's HEADERS": [
    "PROTOCOL_ERROR",
    () => [frame(h2.HEADERS, 0, 1), frame(h2.CONTINUATION, h2.END_HEADERS, 3)],
  ],
  "PING within a header block": ["PROTOCOL_ERROR", () => [frame(h2.HEADERS, 0, 1), ping()]],
  "an unknown frame within a header block": ["PROTOCOL_ERROR", () => [frame(h2.HEADERS, 0, 1), frame(200, 0, 1)]],
  "CONTINUATION behind the end of a header block": [
    "PROTOCOL_ERROR",
    (peer) => [peer.headers(1, ["x", "y"]), frame(h2.CONTINUATION, h2.END_HEADERS, 1)],
  ],
};

async function assertEnds(peer: Http2Peer, log: readonly string[], code: h2.ErrorCode): Promise<void> {
  const last = (await peer.told()).at(-1) ?? "";
  assert.match(last, new RegExp(`^GOAWAY \\d+ ${code}$`));
  assert.ok(peer.transport.isEnded);
  assert.ok(log.at(-1)?.startsWith("closed"), log.join());
  peer.send(ping());
  assert.deepEqual(await peer.told(), [], "nothing is answered behind it");
}

for (const [what, [code, frames]] of Object.entries(BY_EITHER)) {
  Deno.test(`a client's connection ends with ${code} for ${what}`, async () => {
    using peer = await Http2ServerPeer.open();
    peer.send(...open(peer));
    peer.send(...frames(peer));
    await assertEnds(peer, peer.log, code);
    assert.match(peer.last.events.at(-1) ?? "", /^failed /);
  });

  Deno.test(`a backend's connection ends with ${code} for ${what}`, async () => {
    using peer = await Http2ClientPeer.open();
    const { events } = peer.request({ method: "POST" }, false);
    peer.send(peer.headers(1, [":status", "200"], h2.END_HEADERS));
    peer.send(...frames(peer));
    await assertEnds(peer, peer.log, code);
    assert.match(events.at(-1) ?? "", /^(failed |trailers )/);
  });
}

const BY_CLIENT: Readonly<Record<string, readonly [h2.ErrorCode, Frames]>> = {
  "a request with an even number": ["PROTOCOL_ERROR", (peer) => [peer.headers(2, requestFields())]],
  "a request with a lower number than the last": [
    "STREAM_CLOSED",
    (peer) => [peer.headers(5, requestFields()), peer.headers(3, requestFields())],
  ],
  "DATA behind the end of a request": ["STREAM_CLOSED", (peer) => [...halfClosed(peer), data(1, "a")]],
  "HEADERS behind the end of a request": [
    "STREAM_CLOSED",
    (peer) => [...halfClosed(peer), peer.headers(1, requestFields())],
  ],
  "DATA on a stream that it reset": ["STREAM_CLOSED", (peer) => [...open(peer), reset(1), data(1, "a")]],
  "HEADERS on a stream that it reset": ["STREAM_CLOSED", (peer) => [...open(peer), reset(1), peer.headers(1, post)]],
};

for (const [what, [code, frames]] of Object.entries(BY_CLIENT)) {
  Deno.test(`a client's connection ends with ${code} for ${what}`, async () => {
    using peer = await Http2ServerPeer.open();
    peer.send(...frames(peer));
    await assertEnds(peer, peer.log, code);
  });
}

Deno.test("a client's connection ends for a preface that is none, and for a first frame that is not SETTINGS", async () => {
  for (
    const first of [
      new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
      new Uint8Array([...h2.PREFACE.subarray(0, 23), 0x21]),
      new Uint8Array([...h2.PREFACE, ...ping()]),
      new Uint8Array([...h2.PREFACE, ...SETTINGS_ACK]),
    ]
  ) {
    using peer = new Http2ServerPeer();
    peer.send(first);
    await assertEnds(peer, peer.log, "PROTOCOL_ERROR");
  }
});

Deno.test("a backend's connection ends for a first frame that is not SETTINGS", async () => {
  using peer = new Http2ClientPeer();
  assert.equal(await peer.preface(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  peer.send(ping());
  await assertEnds(peer, peer.log, "PROTOCOL_ERROR");
});

Deno.test("a backend's connection ends where the backend enables push", async () => {
  using peer = await Http2ClientPeer.open();
  peer.send(settings({ [h2.SETTINGS_ENABLE_PUSH]: 1 }));
  await assertEnds(peer, peer.log, "PROTOCOL_ERROR");
});

Deno.test("a backend's connection ends for HEADERS on a stream that is not there", async () => {
  for (const stream of [2, 3]) {
    using peer = await Http2ClientPeer.open();
    peer.request();
    peer.send(peer.headers(stream, [":status", "200"]));
    await assertEnds(peer, peer.log, "PROTOCOL_ERROR");
  }
});

/** Breaches that end their stream alone. */
const BY_REQUEST: Readonly<Record<string, FieldList>> = {
  "no method": [":scheme", "https", ":path", "/", ":authority", "a.example"],
  "no scheme": [":method", "GET", ":path", "/", ":authority", "a.example"],
  "no path": [":method", "GET", ":scheme", "https", ":authority", "a.example"],
  "no authority": [":method", "GET", ":scheme", "https", ":path", "/"],
  "an empty method": requestFields(""),
  "a method that is no token": requestFields("GE T"),
  "an empty path": requestFields("GET", [], ""),
  "a path without a slash": requestFields("GET", [], "x"),
  "a path of * that is not of OPTIONS": requestFields("GET", [], "*"),
  "a path with a space": requestFields("GET", [], "/a b"),
  "a path with a fragment": requestFields("GET", [], "/a#b"),
  "a path with an octet above 0x7e": requestFields("GET", [], "/\xe4"),
  "an empty scheme": [":method", "GET", ":scheme", "", ":path", "/", ":authority", "a.example"],
  "a scheme that is none": [":method", "GET", ":scheme", "a b", ":path", "/", ":authority", "a.example"],
  "an authority with user-info": [":method", "GET", ":scheme", "https", ":path", "/", ":authority", "me@a.example"],
  "an empty authority": [":method", "GET", ":scheme", "https", ":path", "/", ":authority", ""],
  "a pseudo-header field twice": [...requestFields(), ":path", "/"],
  "a pseudo-header field behind another": [":method", "GET", "x", "y", ":scheme", "https", ":path", "/"],
  "an unknown pseudo-header field": [...requestFields(), ":version", "2"],
  "a pseudo-header field of answers": [...requestFields(), ":status", "200"],
  "a protocol without CONNECT": [...requestFields(), ":protocol", "websocket"],
  "CONNECT with a path": [":method", "CONNECT", ":authority", "a.example:443", ":path", "/", ":scheme", "https"],
  "extended CONNECT without a path": [":method", "CONNECT", ":authority", "a.example", ":protocol", "websocket"],
  "a name in upper case": requestFields("GET", ["X-A", "b"]),
  "an empty name": requestFields("GET", ["", "b"]),
  "a name that is no token": requestFields("GET", ["a b", "c"]),
  "a name with a colon within": requestFields("GET", ["a:b", "c"]),
  "a line feed in a value": requestFields("GET", ["a", "b\nc: d"]),
  "a carriage return in a value": requestFields("GET", ["a", "b\rc"]),
  "a zero in a value": requestFields("GET", ["a", "b\0"]),
  "a space before a value": requestFields("GET", ["a", " b"]),
  "a space behind a value": requestFields("GET", ["a", "b "]),
  "a line feed in the authority": [":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a\n"],
  "connection": requestFields("GET", ["connection", "close"]),
  "keep-alive": requestFields("GET", ["keep-alive", "timeout=5"]),
  "proxy-connection": requestFields("GET", ["proxy-connection", "close"]),
  "transfer-encoding": requestFields("POST", ["transfer-encoding", "chunked"]),
  "upgrade": requestFields("GET", ["upgrade", "h2c"]),
  "te other than trailers": requestFields("GET", ["te", "trailers, deflate"]),
  "a host other than the authority": requestFields("GET", ["host", "b.example"]),
  "two hosts": requestFields("GET", ["host", "a.example", "host", "a.example"]),
  "a content-length that is no number": requestFields("POST", ["content-length", "1x"]),
  "content-lengths that differ": requestFields("POST", ["content-length", "1", "content-length", "2"]),
  "a content-length and no body": requestFields("POST", ["content-length", "1"]),
};

for (const [what, fields] of Object.entries(BY_REQUEST)) {
  Deno.test(`a request is refused that has ${what}, and others are not`, async () => {
    using peer = await Http2ServerPeer.open();
    peer.send(peer.headers(1, fields), peer.headers(3, requestFields()));
    assert.deepEqual(await peer.told(), ["RST_STREAM 1 PROTOCOL_ERROR"]);
    assert.match(peer.log[0] ?? "", /^malformed \w+ undefined$/);
    assert.equal(peer.requests.length, 1);
  });
}

Deno.test("what is unusual and right is a request", async () => {
  using peer = await Http2ServerPeer.open();
  const connect = [":method", "CONNECT", ":authority", "a.example:443"];
  const webSocket = [...requestFields("CONNECT", [], "/chat"), ":protocol", "websocket"];
  const byHost = [":method", "GET", ":scheme", "https", ":path", "/a?b=%20'()[]{}|^", "host", "A.example:8443"];
  peer.send(
    peer.headers(1, connect, h2.END_HEADERS),
    peer.headers(3, webSocket, h2.END_HEADERS),
    peer.headers(5, byHost),
    peer.headers(7, requestFields("OPTIONS", ["te", "trailers", "host", "A.EXAMPLE"], "*")),
    peer.headers(9, requestFields("POST", ["content-length", "5, 5", "content-length", "5"]), h2.END_HEADERS),
  );
  assert.deepEqual(
    peer.requests.map(({ head: { method, authority, path, protocol, fields, contentLength } }) =>
      [method, authority, path, protocol, `${fields}`, contentLength].join(" ")
    ),
    [
      "CONNECT a.example:443    ",
      "CONNECT a.example /chat websocket  ",
      "GET A.example:8443 /a?b=%20'()[]{}|^   ",
      "OPTIONS a.example *  te,trailers ",
      "POST a.example /  content-length,5, 5,content-length,5 5",
    ],
  );
  assert.deepEqual(await peer.told(), []);
});

/** What ends stream 1 alone, behind the head of a POST. */
const BY_STREAM: Readonly<Record<string, readonly [h2.ErrorCode, string, Frames]>> = {
  "more body than its content-length": [
    "PROTOCOL_ERROR",
    "body_longer_than_content_length",
    () => [data(1, "123456")],
  ],
  "less body than its content-length": [
    "PROTOCOL_ERROR",
    "body_shorter_than_content_length",
    () => [data(1, "1234", true)],
  ],
  "trailers before all of its content-length": [
    "PROTOCOL_ERROR",
    "body_shorter_than_content_length",
    (peer) => [data(1, "1234"), peer.headers(1, ["x", "y"])],
  ],
  "trailers without the end": [
    "PROTOCOL_ERROR",
    "trailers_without_end",
    (peer) => [data(1, "12345"), peer.headers(1, ["x", "y"], h2.END_HEADERS)],
  ],
  "a pseudo-header field in trailers": [
    "PROTOCOL_ERROR",
    "bad_field_name",
    (peer) => [data(1, "12345"), peer.headers(1, [":path", "/"])],
  ],
  "connection in trailers": [
    "PROTOCOL_ERROR",
    "connection_specific_field",
    (peer) => [data(1, "12345"), peer.headers(1, ["connection", "close"])],
  ],
  "trailers that are too large": [
    "PROTOCOL_ERROR",
    "trailers_too_large",
    (peer) => [data(1, "12345"), peer.headers(1, Array.from({ length: 2000 }, (_, i) => i % 2 ? "v".repeat(40) : "a"))],
  ],
  "WINDOW_UPDATE of nothing": ["PROTOCOL_ERROR", "WINDOW_UPDATE of nothing", () => [windowUpdate(1, 0)]],
  "WINDOW_UPDATE that takes its window over 2^31-1": [
    "FLOW_CONTROL_ERROR",
    "a window over 2^31-1",
    () => [windowUpdate(1, 2 ** 31 - 1)],
  ],
};

for (const [what, [code, rule, frames]] of Object.entries(BY_STREAM)) {
  Deno.test(`a client's stream is reset for ${what}, and others are not`, async () => {
    using peer = await Http2ServerPeer.open();
    const { events } = peer.request(1, "POST", ["content-length", "5"]);
    peer.send(...frames(peer), ping());
    assert.deepEqual(await peer.told(), [`RST_STREAM 1 ${code}`, "PING ack 12345678"]);
    assert.equal(events.at(-1), `failed malformed: ${rule}`);
    assert.deepEqual(peer.log, ["activity 1", "activity 0"]);
  });

  Deno.test(`a backend's stream is reset for ${what}, and others are not`, async () => {
    using peer = await Http2ClientPeer.open();
    const { events } = peer.request({ method: "POST" }, false);
    peer.send(peer.headers(1, [":status", "200", "content-length", "5"], h2.END_HEADERS));
    await peer.told();
    peer.send(...frames(peer), ping());
    assert.deepEqual(await peer.told(), [`RST_STREAM 1 ${code}`, "PING ack 12345678"]);
    assert.equal(events.at(-1), `failed malformed: ${rule}`);
    assert.equal(peer.connection.active, 0);
  });
}

const BY_ANSWER: Readonly<Record<string, Frames>> = {
  "no status": (peer) => [peer.headers(1, ["x", "y"])],
  "two statuses": (peer) => [peer.headers(1, [":status", "200", ":status", "200"])],
  "a status of two digits": (peer) => [peer.headers(1, [":status", "20"])],
  "a status of 600": (peer) => [peer.headers(1, [":status", "600"])],
  "a pseudo-header field of requests": (peer) => [peer.headers(1, [":status", "200", ":path", "/"])],
  "a status behind another field": (peer) => [peer.headers(1, ["x", "y", ":status", "200"])],
  "a name in upper case": (peer) => [peer.headers(1, [":status", "200", "X", "y"])],
  "a line feed in a value": (peer) => [peer.headers(1, [":status", "200", "x", "y\nz"])],
  "connection": (peer) => [peer.headers(1, [":status", "200", "connection", "close"])],
  "101": (peer) => [peer.headers(1, [":status", "101"], h2.END_HEADERS)],
  "an end behind 1xx": (peer) => [peer.headers(1, [":status", "103"])],
  "a content-length that is none": (peer) => [peer.headers(1, [":status", "200", "content-length", "-1"])],
  "a content-length and no body": (peer) => [peer.headers(1, [":status", "200", "content-length", "1"])],
  "a body before its head": () => [data(1, "a")],
  "an end before its head": () => [data(1, "", true)],
  "a body behind 1xx": (peer) => [peer.headers(1, [":status", "100"], h2.END_HEADERS), data(1, "a")],
  "a body of 204": (peer) => [peer.headers(1, [":status", "204"], h2.END_HEADERS), data(1, "a")],
  "a head that is too large": (
    peer,
  ) => [peer.headers(1, [":status", "200", ...Array.from({ length: 2000 }, (_, i) => i % 2 ? "v".repeat(40) : "a")])],
};

for (const [what, frames] of Object.entries(BY_ANSWER)) {
  Deno.test(`an answer is refused that has ${what}`, async () => {
    using peer = await Http2ClientPeer.open();
    const { events } = peer.request({ method: "POST" }, false);
    await peer.told();
    peer.send(...frames(peer), ping());
    assert.deepEqual(await peer.told(), ["RST_STREAM 1 PROTOCOL_ERROR", "PING ack 12345678"]);
    assert.match(events.at(-1) ?? "", /^failed malformed: /);
    assert.ok(!events.some((event) => /^(data|end|response (?!204))/.test(event)), events.join());
  });
}

Deno.test("an answer to HEAD may tell the length of a body that does not come, but have none", async () => {
  using peer = await Http2ClientPeer.open();
  const first = peer.request({ method: "HEAD" });
  const second = peer.request({ method: "HEAD" });
  peer.send(
    peer.headers(1, [":status", "200", "content-length", "5"]),
    peer.headers(3, [":status", "200", "content-length", "5"], h2.END_HEADERS),
    data(3, "12345", true),
  );
  assert.deepEqual(first.events, ["response 200 content-length,5 end"]);
  assert.equal(second.events.at(-1), "failed malformed: body_longer_than_content_length");
});

Deno.test("unknown frames, PRIORITY, unknown settings and a reserved bit are passed over", async () => {
  using peer = await Http2ServerPeer.open();
  const reserved = data(1, "abc", true);
  reserved[5] = 0x80;
  peer.send(
    ...open(peer),
    frame(200, 255, 1, "what"),
    frame(200, 0, 0),
    frame(h2.PRIORITY, 0, 1, uint32(1, 0).subarray(0, 5)),
    frame(h2.PRIORITY, 0, 99, over(5)),
    settings({ 99: 1 }),
    reserved,
  );
  assert.deepEqual(peer.last.events, ["data abc", "end"]);
  assert.deepEqual(await peer.told(), ["SETTINGS ack"]);
});

Deno.test("padding and priority are no part of a message, and padding is credited", async () => {
  using peer = await Http2ServerPeer.open();
  const block = peer.block(requestFields("POST"));
  const padded = new Uint8Array([3, 0, 0, 0, 0, 255, ...block, 0, 0, 0]);
  peer.send(frame(h2.HEADERS, h2.PADDED | h2.HAS_PRIORITY | h2.END_HEADERS, 1, padded));
  for (let i = 0; i < 200; i++) peer.send(frame(h2.DATA, h2.PADDED, 1, new Uint8Array(256).fill(255, 0, 1)));
  peer.send(frame(h2.DATA, h2.PADDED | h2.END_STREAM, 1, "\x02ab\0\0"));
  assert.deepEqual(peer.last.events, ["data ab", "end"]);
  assert.match((await peer.told()).join(), /^WINDOW_UPDATE 1 \d+$/);
});

Deno.test("trailers are passed on, without what may not be in them", async () => {
  using peer = await Http2ServerPeer.open();
  const { events } = peer.request(1, "POST", ["content-length", "5"]);
  peer.send(data(1, "12345"), peer.headers(1, ["grpc-status", "0", "content-length", "5", "host", "b", "x", "y"]));
  assert.deepEqual(events, ["data 12345", "trailers grpc-status,0,x,y"]);
});

Deno.test("a head that is too large is answered with 431, and one that is not follows", async () => {
  using peer = await Http2ServerPeer.open();
  const large = Array.from({ length: 1500 }, (_, i) => i % 2 ? "v".repeat(60) : "a");
  peer.send(peer.headers(1, requestFields("GET", large)), peer.headers(3, requestFields()));
  peer.send(peer.headers(5, requestFields("POST", large), h2.END_HEADERS), data(5, "abc", true));
  assert.deepEqual(await peer.told(), [
    "HEADERS 1 end :status 431, content-length 0, x-request-id id-1",
    "HEADERS 5 end :status 431, content-length 0, x-request-id id-1",
    "RST_STREAM 5 NO_ERROR",
  ]);
  assert.equal(peer.requests.length, 1);
});

Deno.test("an expectation that nobody can meet is answered with 417, and the next request as ever", async () => {
  using peer = await Http2ServerPeer.open();
  peer.send(peer.headers(1, requestFields("GET", ["expect", "a-miracle"])));
  peer.send(peer.headers(3, requestFields("POST", ["expect", ""]), h2.END_HEADERS), data(3, "abc", true));
  peer.send(peer.headers(5, requestFields("POST", ["expect", "100-Continue"]), h2.END_HEADERS));
  assert.deepEqual(await peer.told(), [
    "HEADERS 1 end :status 417, content-length 0, x-request-id id-1",
    "HEADERS 3 end :status 417, content-length 0, x-request-id id-1",
    "RST_STREAM 3 NO_ERROR",
  ]);
  assert.deepEqual(peer.log.slice(0, 2), ["malformed expectation 417", "malformed expectation 417"]);
  assert.deepEqual(peer.requests.map(({ head }) => head.fields), [["expect", "100-Continue"]]);
});

Deno.test("requests above the limit are refused, and may be sent again", async () => {
  using peer = await Http2ServerPeer.open();
  for (let i = 0; i < MAX_CONCURRENT_STREAMS; i++) peer.request(1 + 2 * i);
  const next = 1 + 2 * MAX_CONCURRENT_STREAMS;
  peer.send(peer.headers(next, post, h2.END_HEADERS), data(next, "on its way"), reset(1));
  assert.deepEqual(await peer.told(), [`RST_STREAM ${next} REFUSED_STREAM`]);
  peer.request(next + 2);
  assert.equal(peer.requests.length, MAX_CONCURRENT_STREAMS + 1);
});

Deno.test("a header block may come in parts, with padding and priority in the first", async () => {
  using peer = await Http2ServerPeer.open();
  const block = peer.block(requestFields("POST", ["x-long", "y".repeat(500)]));
  peer.send(
    frame(h2.HEADERS, h2.PADDED, 1, new Uint8Array([2, ...block.subarray(0, 5), 0, 0])),
    frame(h2.CONTINUATION, 0, 1, block.subarray(5, 9)),
    frame(h2.CONTINUATION, 0, 1),
    frame(h2.CONTINUATION, h2.END_HEADERS, 1, block.subarray(9)),
  );
  assert.equal(peer.last.head.fields[0], "x-long");
  assert.equal(peer.last.end, false);
});

Deno.test("GOAWAY of a client is heard, and its requests are answered", async () => {
  using peer = await Http2ServerPeer.open();
  const { stream } = peer.request(1);
  peer.send(goAway(0));
  stream.respond({ status: 204, fields: [], neverIndexed: undefined }, true);
  assert.deepEqual(await peer.told(), ["HEADERS 1 end :status 204"]);
});
