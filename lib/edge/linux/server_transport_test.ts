import assert from "node:assert/strict";
import { DEFAULT_TLS } from "../tls_settings.ts";
import { BROKEN, ENDED, WANT_READ } from "./libssl/connection.ts";
import { TestThread } from "./testdata/test_thread.ts";
import { AUTHORITY, CERTIFICATE, TlsPair, TlsSide } from "./testdata/tls_pair.ts";

function linuxTest(name: string, fn: () => void): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

/** Asserts that nothing was left behind by what was done: OpenSSL would take it for the error of the next call. */
function assertNoError({ libssl }: TlsSide): void {
  assert.equal(BigInt(libssl.functions.ERR_peek_error()), 0n);
}

linuxTest(
  "a request that came with the end of the handshake is told, though the socket has nothing more to tell",
  () => {
    using thread = new TestThread();
    using side = new TlsSide();
    using pair = new TlsPair(thread, side);
    while (pair.peerHandshake !== 1) {
      pair.greet();
      if (pair.peerHandshake !== 1) thread.step();
    }
    pair.say("request"); // its Finished has not been read yet
    thread.until(() => pair.handshake !== "");
    assert.equal(pair.told.text, "request");
    assertNoError(side);
  },
);

linuxTest("what OpenSSL has read already is told after a pause, in the turns that the connection has", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side);
  pair.shake();
  const { transport, told } = pair;
  let inOneTurn = 0;
  let most = 0;
  told.onReceived = () => {
    most = Math.max(most, ++inOneTurn);
    transport.pause();
    transport.resume(); // as one does whose output leaves at once
  };
  for (let i = 0; i < 20; i++) pair.say("x".repeat(10_000));
  thread.until(() => told.length === 200_000, () => inOneTurn = 0);
  assert.equal(most, 1, "others have their turn in between");
  told.onReceived = () => transport.pause();
  pair.say("first");
  thread.until(() => told.text.endsWith("first"));
  pair.say("second");
  for (let i = 0; i < 3; i++) assert.equal(thread.step(), 0, "nothing is heard of it");
  transport.resume();
  thread.until(() => told.text.endsWith("second"));
});

linuxTest("a client whose protocols are none of ours is told so by the alert of RFC 7301", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side, { protocols: ["spdy/3"] });
  pair.shake();
  assert.equal(pair.handshake, "failed: no application protocol");
  assert.equal(pair.peerHandshake, BROKEN);
  assert.match(pair.peer.error, /no application protocol/);
  assertNoError(side);
});

linuxTest("a client that offers no protocol is served with HTTP/1.1", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  for (const [protocols, chosen] of [[["http/1.1"], "http/1.1"], [["http/1.1", "h2"], "h2"]] as const) {
    using pair = new TlsPair(thread, side, { protocols });
    assert.equal(pair.shake().handshake, chosen);
  }
});

linuxTest("a flight of the handshake that is larger than the buffers of the sockets waits for room", () => {
  using thread = new TestThread();
  const cert = CERTIFICATE.cert + AUTHORITY.cert.repeat(80);
  using side = new TlsSide({ pem: { cert, key: CERTIFICATE.key } });
  using pair = new TlsPair(thread, side, { isSmall: true });
  pair.greet(); // the ClientHello, and nothing is read
  for (let i = 0; i < 20; i++) thread.step();
  assert.equal(thread.step(), 0, "it is not woken before there is room");
  assert.equal(pair.handshake, "");
  pair.shake();
  assert.equal(pair.handshake, "h2");
  pair.say("request");
  thread.until(() => pair.told.text === "request");
});

linuxTest(
  "FIN without close_notify is an end, and what is written after it arrives, with close_notify behind it",
  () => {
    using thread = new TestThread();
    using side = new TlsSide();
    using pair = new TlsPair(thread, side);
    pair.shake();
    pair.say("request");
    thread.libc.shutdown(pair.peerFd);
    thread.until(() => pair.told.has("ended"));
    pair.transport.write(new TextEncoder().encode("answer"));
    pair.transport.end();
    const heard: number[] = [];
    let result = WANT_READ;
    thread.until(() => result === ENDED || result === BROKEN, () => result = pair.hear(heard));
    assert.equal(new TextDecoder().decode(Uint8Array.from(heard)), "answer");
    assert.deepEqual([result, pair.peer.isGone], [ENDED, false], "with close_notify");
    thread.until(() => pair.told.has("closed"));
    assert.deepEqual(pair.told.events, ["received", "ended", "closed"]);
    assertNoError(side);
  },
);

linuxTest("a side that has said close_notify still hears, and one that has heard it still says", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side);
  pair.shake();
  const heard: number[] = [];
  assert.equal(pair.peer.shutdown(), 1);
  thread.libc.shutdown(pair.peerFd);
  thread.until(() => pair.told.has("ended"));
  pair.transport.write(new TextEncoder().encode("answer"));
  thread.until(() => heard.length === 6, () => void pair.hear(heard));
  pair.transport.end();
  let result = WANT_READ;
  thread.until(() => result === ENDED, () => result = pair.hear(heard));
  assert.equal(pair.peer.isGone, false, "with close_notify");
  assert.deepEqual(pair.told.events, ["ended", "closed"]);

  using other = new TlsPair(thread, side);
  other.shake();
  other.transport.end();
  result = WANT_READ;
  thread.until(() => result === ENDED, () => result = other.hear(heard));
  other.say("more");
  thread.until(() => other.told.text === "more");
  other.peer.shutdown();
  thread.libc.shutdown(other.peerFd);
  thread.until(() => other.told.has("closed"));
  assert.deepEqual(other.told.events, ["received", "ended", "closed"]);
  assertNoError(side);
});

linuxTest("close_notify waits for room, and the end of the stream behind it", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side, { isSmall: true });
  pair.shake();
  // Bytes that no TLS knows of, straight into the socket, until it takes no more.
  const junk = new Uint8Array(new ArrayBuffer(4_096));
  let filled = 0;
  const { libc } = thread;
  for (let sent = 1; sent > 0;) {
    sent = libc.send(pair.transport.fd, junk, junk.length);
    if (sent > 0) filled += sent;
    else {for (sent = libc.send(pair.transport.fd, junk, 1); sent > 0;) {
        filled += sent;
        sent = libc.send(pair.transport.fd, junk, 1);
      }}
  }
  pair.transport.end();
  for (let i = 0; i < 3; i++) assert.equal(thread.step(), 0, "it waits without being woken");
  const heard: number[] = [];
  const buffer = new Uint8Array(new ArrayBuffer(65_536));
  let length = -1;
  thread.until(() => length === 0, () => {
    length = libc.recv(pair.peerFd, buffer, buffer.length);
    if (length > 0) heard.push(...buffer.subarray(0, length));
  });
  const alert = heard.slice(-24);
  assert.deepEqual(alert.slice(0, 5), [23, 3, 3, 0, 19], "an encrypted alert: record header, 2 bytes, type, tag");
  assert.ok(heard.length >= filled + 24, `${heard.length} bytes, ${filled} of them no TLS`);
  assertNoError(side);
});

linuxTest("a transport that is destroyed within any of its own callbacks tells nothing more", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  {
    using pair = new TlsPair(thread, side);
    pair.onSecured = () => pair.transport.destroy();
    pair.shake();
    assert.deepEqual([pair.transport.fd, pair.told.events], [-1, []]);
  }
  {
    using pair = new TlsPair(thread, side);
    pair.shake();
    pair.told.onReceived = () => pair.transport.destroy();
    for (let i = 0; i < 20; i++) pair.say("x".repeat(10_000));
    pair.peer.shutdown();
    thread.until(() => pair.transport.fd < 0);
    thread.step();
    assert.deepEqual(pair.told.events, ["received"]);
  }
  for (const event of ["ended", "drained", "closed"] as const) {
    using pair = new TlsPair(thread, side, { isSmall: true });
    pair.shake();
    Object.assign(pair.told, {
      [event]: () => {
        pair.told.events.push(event);
        pair.transport.destroy();
      },
    });
    if (event === "drained") pair.transport.write(new Uint8Array(new ArrayBuffer(500_000)));
    else pair.peer.shutdown();
    if (event === "closed") pair.transport.end();
    const heard: number[] = [];
    thread.until(() => pair.transport.fd < 0, () => void pair.hear(heard));
    thread.step();
    assert.equal(pair.told.events.at(-1), event);
    assert.deepEqual(pair.faults, []);
  }
  assertNoError(side);
});

linuxTest("a large body goes out piece by piece as there is room, and whole", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side, { isSmall: true });
  pair.shake();
  const body = crypto.getRandomValues(new Uint8Array(new ArrayBuffer(60_000)));
  const parts = [body.subarray(0, 50_000), body.subarray(50_000, 50_001), body.subarray(50_001)];
  for (const part of parts) pair.transport.write(part);
  assert.ok(pair.transport.backlog > 0);
  const before = body.slice();
  body.fill(0); // what waits is a copy
  pair.transport.end();
  const heard: number[] = [];
  let result = WANT_READ;
  thread.until(() => result === ENDED, () => result = pair.hear(heard));
  assert.deepEqual(Uint8Array.from(heard), before);
  assert.equal(pair.transport.backlog, 0);
  assertNoError(side);
});

linuxTest("nothing is told from within a call of the owner", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side);
  pair.shake();
  pair.leave("reset");
  const { transport, told } = pair;
  for (let i = 0; i < 3; i++) transport.write(Uint8Array.of(1, 2, 3));
  transport.pause();
  transport.resume();
  transport.end();
  assert.deepEqual(told.events, []);
  thread.until(() => told.events.length > 0);
  assert.deepEqual(told.events, ["closed: the connection was reset"]);
});

linuxTest("where epoll has no room for a connection, it ends at the end of the turn", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side);
  pair.shake();
  const { transport, told } = pair;
  transport.pause();
  transport.end();
  pair.peer.shutdown();
  thread.libc.shutdown(pair.peerFd);
  for (let i = 0; i < 3; i++) thread.step(); // it is taken out of the set, since it would be told of its end for ever
  thread.loop.add = () => false;
  transport.resume();
  assert.deepEqual(told.events, []);
  thread.until(() => told.events.length > 0);
  assert.deepEqual([told.events, pair.faults, transport.fd], [["closed: the connection was reset"], [], -1]);
});

linuxTest("a paused connection whose peer is gone wakes nobody again and again", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using pair = new TlsPair(thread, side);
  pair.shake();
  pair.transport.pause();
  pair.transport.end();
  pair.say("before the end");
  pair.peer.shutdown();
  thread.libc.shutdown(pair.peerFd);
  for (let i = 0; i < 5; i++) thread.step();
  assert.equal(thread.step(), 0);
  assert.deepEqual(pair.told.events, []);
  pair.transport.resume();
  thread.until(() => pair.told.has("closed"));
  assert.deepEqual(pair.told.events, ["received", "ended", "closed"]);
});

linuxTest("each step of a handshake waits for its turn, also that for a second ClientHello", () => {
  using thread = new TestThread();
  using side = new TlsSide({ settings: { ...DEFAULT_TLS, groups: ["P-521"] } }); // not the client's first choice
  using pair = new TlsPair(thread, side);
  let steps = 0;
  const { step } = pair.transport;
  pair.transport.step = () => {
    steps++;
    step.call(pair.transport);
  };
  pair.shake();
  assert.equal(pair.handshake, "h2");
  assert.equal(steps, 3);
});

linuxTest("garbage at every stage of TLS ends that connection alone, and leaves no error behind", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  using good = new TlsPair(thread, side);
  good.shake();
  const garbage = crypto.getRandomValues(new Uint8Array(new ArrayBuffer(300)));
  for (const stage of ["hello", "flight", "secured"] as const) {
    using pair = new TlsPair(thread, side);
    if (stage === "flight") {
      pair.greet();
      thread.step();
    } else if (stage === "secured") pair.shake();
    thread.libc.send(pair.peerFd, garbage, garbage.length);
    const isOver = () => pair.handshake.startsWith("failed") || pair.told.events.length > 0;
    thread.until(isOver);
    assert.equal(pair.transport.fd, -1);
    assertNoError(side);
    good.say(stage);
    thread.until(() => good.told.text.endsWith(stage));
  }
  assert.deepEqual(good.faults, []);
});

linuxTest("a client that leaves within the handshake, in any way, leaves nothing behind", () => {
  using thread = new TestThread();
  using side = new TlsSide();
  for (const leave of ["close", "reset", "shutdown"] as const) {
    for (const greets of [false, true]) {
      using pair = new TlsPair(thread, side);
      if (greets) pair.greet();
      thread.step();
      if (leave === "shutdown") thread.libc.shutdown(pair.peerFd);
      else pair.leave(leave);
      thread.until(() => pair.handshake !== "");
      assert.match(pair.handshake, /^failed: the (client closed the connection|connection was reset)$/);
      assert.equal(pair.transport.fd, -1);
      assertNoError(side);
    }
  }
});
