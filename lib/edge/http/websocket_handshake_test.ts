import assert from "node:assert/strict";
import { ClientPeer } from "./testdata/client_peer.ts";
import { octets, turn } from "./testdata/fake_transport.ts";
import { answer, ServerPeer } from "./testdata/server_peer.ts";
import { isWebSocketKey, newWebSocketKey, webSocketAccept } from "./websocket_handshake.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const ACCEPTED = { status: 200, fields: [], neverIndexed: undefined };

function handshake(changes: Readonly<Record<string, string | undefined>> = {}, version = "1.1"): string {
  const fields = {
    host: "a.example",
    upgrade: "h2c, WebSocket",
    connection: "keep-alive, Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "chat",
    ...changes,
  };
  const lines = Object.entries(fields).map(([name, value]) => value === undefined ? "" : `${name}: ${value}\r\n`);
  return `GET /chat HTTP/${version}\r\n${lines.join("")}\r\n`;
}

Deno.test("a key is the base64 of 16 octets, and never the same", () => {
  assert.ok(isWebSocketKey(KEY));
  for (const text of ["", KEY.slice(1), `${KEY} `, `a${KEY}`, "dGhlIHNhbXBsZSBub25jZQ=a", "dGhlIHNhbXBsZSBub25j-Q=="]) {
    assert.ok(!isWebSocketKey(text), text);
  }
  const key = newWebSocketKey();
  assert.ok(isWebSocketKey(key));
  assert.notEqual(newWebSocketKey(), key);
});

Deno.test("a client's handshake is a CONNECT, and its answer opens a tunnel both ways", async () => {
  const peer = new ServerPeer();
  peer.transport.receive(handshake());
  const { head, end, stream, events } = peer.last;
  assert.deepEqual(head, {
    method: "CONNECT",
    authority: "a.example",
    path: "/chat",
    protocol: "websocket",
    fields: ["sec-websocket-version", "13", "sec-websocket-protocol", "chat"],
    neverIndexed: undefined,
    contentLength: undefined,
  });
  assert.equal(end, false);
  peer.transport.receive("early");
  assert.deepEqual(events, [], "nothing passes before the backend has agreed");
  assert.ok(peer.transport.isPaused);
  stream.respond({ ...ACCEPTED, fields: ["sec-websocket-protocol", "chat", "content-length", "0"] }, false);
  assert.deepEqual(events, ["data early"]);
  stream.sendData(octets("\x81\x00"));
  await turn();
  assert.equal(
    peer.transport.written,
    "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: chat\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
      `sec-websocket-accept: ${ACCEPT}\r\n\r\n\x81\x00`,
  );
  assert.equal(peer.last.sent, 2);
  peer.transport.receive("GET / HTTP/1.1\r\n\r\n");
  assert.deepEqual(events, ["data earlyGET / HTTP/1.1\r\n\r\n"]);
});

Deno.test("each side of a tunnel ends by itself", async () => {
  const client = new ServerPeer();
  client.transport.receive(handshake());
  client.last.stream.respond(ACCEPTED, false);
  client.transport.receive("x");
  client.transport.receiveEnd();
  assert.deepEqual(client.last.events, ["data x", "end"]);
  client.last.stream.sendData(octets("still"));
  client.last.stream.sendEnd();
  assert.ok(client.transport.written.endsWith("still") && client.transport.isEnded);
  await turn();
  assert.deepEqual(client.log, ["activity 1", "activity 0", "closed"]);
  assert.equal(client.last.events.length, 2);

  const ours = new ServerPeer({ credits: false });
  ours.transport.receive(handshake());
  ours.last.stream.respond(ACCEPTED, false);
  ours.last.stream.sendEnd();
  ours.transport.receive("x".repeat(100_000));
  ours.transport.receiveEnd();
  assert.equal(ours.last.received, 65536);
  assert.deepEqual(ours.log, ["activity 1"], "what the client sent is not lost");
  ours.last.stream.credit(65536);
  assert.deepEqual([ours.last.received, ours.last.events.at(-1)], [100_000, "end"]);
  assert.deepEqual(ours.log, ["activity 1", "activity 0", "closed"]);
});

Deno.test("a tunnel that ended on both sides has sent all", () => {
  const peer = new ServerPeer();
  peer.transport.receive(handshake());
  peer.last.stream.respond(ACCEPTED, false);
  peer.transport.stall();
  peer.last.stream.sendData(new Uint8Array(200_000));
  peer.last.stream.sendEnd();
  assert.equal(peer.last.sent, 0);
  peer.transport.backlog = 0;
  peer.transport.receiveEnd();
  assert.equal(peer.last.sent, 200_000);
  assert.deepEqual(peer.last.events, ["end"]);
  assert.deepEqual(peer.log, ["activity 1", "activity 0", "closed"]);
});

Deno.test("a tunnel that breaks is told as broken, and one that is reset is cut", () => {
  for (const halfEnded of [false, true]) {
    const lost = new ServerPeer();
    lost.transport.receive(handshake());
    lost.last.stream.respond(ACCEPTED, halfEnded);
    lost.transport.lose("Connection reset by peer");
    assert.deepEqual(lost.last.events, ["failed reset: Connection reset by peer"]);

    const reset = new ServerPeer();
    reset.transport.receive(handshake());
    reset.last.stream.respond(ACCEPTED, halfEnded);
    reset.last.stream.reset("cancelled");
    assert.ok(reset.transport.isDestroyed);
    assert.deepEqual(reset.log, ["activity 1", "activity 0", "closed"]);
  }
});

Deno.test("a handshake that is refused has an ordinary answer, and the connection stays", () => {
  const peer = new ServerPeer();
  peer.transport.receive(handshake({ "content-length": "0", upgrade: "h2c\r\nupgrade: websocket\r\nupgrade: x" }));
  assert.deepEqual(peer.last.head.fields, ["sec-websocket-version", "13", "sec-websocket-protocol", "chat"]);
  peer.transport.receive(handshake());
  peer.last.stream.respond({ status: 403, fields: [], neverIndexed: undefined }, true);
  assert.equal(peer.transport.written, "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
  assert.equal(peer.requests.length, 2);
});

Deno.test("a malformed handshake is refused", () => {
  const cases = [
    [{ "sec-websocket-key": undefined }, "websocket_key"],
    [{ "sec-websocket-key": "c2hvcnQ=" }, "websocket_key"],
    [{ "sec-websocket-version": undefined }, "websocket_version"],
    [{ "content-length": "1" }, "websocket_body"],
    [{ "transfer-encoding": "chunked" }, "websocket_body"],
  ] as const;
  for (const [changes, rule] of cases) {
    const peer = new ServerPeer();
    peer.transport.receive(handshake(changes));
    assert.deepEqual(peer.log, [`malformed ${rule} 400`]);
    assert.match(peer.transport.written, /^HTTP\/1\.1 400 /);
    peer.connection.abort();
  }
});

Deno.test("any other upgrade is ignored", () => {
  const cases = [
    handshake({ upgrade: "h2c\r\nupgrade: h3" }),
    handshake({ connection: "keep-alive" }),
    handshake({}, "1.0"),
    handshake().replace("GET", "POST"),
  ];
  for (const request of cases) {
    const peer = new ServerPeer();
    peer.transport.receive(request);
    const { head, end } = peer.last;
    assert.deepEqual([head.protocol, end], [undefined, true]);
    assert.ok(!head.fields.includes("upgrade"));
    answer(peer.last);
    assert.match(peer.transport.written, /^HTTP\/1\.1 200 /);
    peer.connection.abort();
  }
});

const CONNECT = { method: "CONNECT", protocol: "websocket", path: "/chat", fields: ["sec-websocket-protocol", "chat"] };

/** The key that the connection has sent. */
async function sentKey(peer: ClientPeer): Promise<string> {
  await turn();
  return /\r\nsec-websocket-key: ([^\r]*)\r\n/.exec(peer.transport.written)?.[1] ?? "";
}

function switching(accept: string, upgrade = "websocket"): string {
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n` +
    `Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

Deno.test("to a backend a WebSocket is a handshake of its own, and then a tunnel both ways", async () => {
  const peer = new ClientPeer();
  const { stream, events } = peer.request(CONNECT, false);
  const early = octets("early");
  stream.sendData(early);
  early.fill(0);
  const key = await sentKey(peer);
  const head = "GET /chat HTTP/1.1\r\nhost: a.example\r\nsec-websocket-protocol: chat\r\nupgrade: websocket\r\n" +
    `connection: Upgrade\r\nsec-websocket-key: ${key}\r\nsec-websocket-version: 13\r\n\r\n`;
  assert.ok(isWebSocketKey(key));
  assert.equal(peer.transport.written, head, "what goes through the tunnel waits until there is one");
  peer.transport.receive(switching(webSocketAccept(key)) + "\x81\x00");
  assert.deepEqual(events, ["response 200 sec-websocket-protocol,chat", "data \x81\x00"]);
  stream.sendData(octets("late"));
  await turn();
  assert.equal(peer.transport.written, head + "earlylate");

  peer.transport.receiveEnd();
  assert.equal(events.at(-1), "end");
  assert.deepEqual(peer.log, []);
  stream.sendData(octets("last"));
  stream.sendEnd();
  assert.ok(peer.transport.written.endsWith("last") && peer.transport.isEnded);
  await turn();
  assert.deepEqual(peer.log, ["closed"]);
  assert.equal(events.length, 3);
});

Deno.test("a tunnel to a backend that breaks is told as broken, though we have ended", async () => {
  const peer = new ClientPeer();
  const { events } = peer.request(CONNECT, true);
  peer.transport.receive(switching(webSocketAccept(await sentKey(peer))));
  assert.ok(peer.transport.isEnded);
  peer.transport.lose("Connection reset by peer");
  assert.equal(events.at(-1), "failed reset: Connection reset by peer");
  assert.deepEqual(peer.log, ["closed"]);
});

Deno.test("a tunnel to a backend is over once all that came was taken", async () => {
  const peer = new ClientPeer();
  const request = peer.request(CONNECT, false, false);
  request.stream.sendEnd();
  assert.ok(!peer.transport.isEnded);
  peer.transport.receive(switching(webSocketAccept(await sentKey(peer))));
  assert.ok(peer.transport.isEnded, "the end waited for the tunnel too");
  peer.transport.receive("x".repeat(100_000));
  peer.transport.receiveEnd();
  assert.deepEqual([request.received, peer.log], [65536, []]);
  request.stream.credit(65536);
  assert.deepEqual([request.received, request.events.at(-1), peer.log], [100_000, "end", ["closed"]]);
});

Deno.test("a backend that refuses a WebSocket has an ordinary answer", async () => {
  const peer = new ClientPeer();
  const { stream, events } = peer.request(CONNECT, false);
  stream.sendData(octets("early"));
  peer.transport.receive("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
  assert.deepEqual(events, ["response 403 content-length,2", "data no", "end"]);
  assert.deepEqual(peer.log, ["changed"], "the connection can carry another request");
  await turn();
  assert.doesNotMatch(peer.transport.written, /early/);
});

Deno.test("a backend that does not agree to the handshake as it should is malformed", async () => {
  const cases = [
    (_: string) => switching(ACCEPT),
    (key: string) => switching(webSocketAccept(key), "h2c"),
    (key: string) => switching(webSocketAccept(key)).replace("Connection: Upgrade\r\n", ""),
    (key: string) => switching(webSocketAccept(key)).replace(/Sec-WebSocket-Accept[^\r]*\r\n/, ""),
  ];
  for (const bytes of cases) {
    const peer = new ClientPeer();
    const { events } = peer.request(CONNECT, false);
    peer.transport.receive(bytes(await sentKey(peer)));
    assert.match(events.join(), /^failed malformed: /);
    assert.deepEqual(peer.log, ["closed"]);
  }
});
