import assert from "node:assert/strict";
import * as h2 from "../../../wire/http2_frames.ts";
import type { ServerStream } from "../message.ts";
import { data, joined, settings, windowUpdate } from "../testdata/http2_peer.ts";
import { Http2ClientPeer } from "../testdata/http2_client_peer.ts";
import { Http2ServerPeer } from "../testdata/http2_server_peer.ts";
import { HIGH_WATER } from "../transport.ts";

const OK = { status: 200, fields: [], neverIndexed: undefined };

/** How many octets of DATA each stream was sent, by the lines that are told. */
function sentBy(lines: readonly string[]): Map<number, number> {
  const sent = new Map<number, number>();
  for (const line of lines) {
    const [kind, id, ...rest] = line.split(" ");
    if (kind !== "DATA") continue;
    const last = rest.at(-1) ?? "";
    const length = /^\d{3,}$/.test(last) ? Number(last) : last === "end" ? 0 : last.length;
    sent.set(Number(id), (sent.get(Number(id)) ?? 0) + length);
  }
  return sent;
}

function respond(stream: ServerStream, bytes: number): void {
  stream.respond(OK, false);
  stream.sendData(new Uint8Array(bytes));
}

Deno.test("a body goes out as far as the stream's window, and on with what it is granted", async () => {
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 10 });
  const request = peer.request(1);
  request.stream.respond(OK, false);
  request.stream.sendData(new TextEncoder().encode("abcdefghijklmnop"));
  request.stream.sendEnd();
  assert.deepEqual(await peer.told(), ["HEADERS 1 :status 200", "DATA 1 abcdefghij"]);
  assert.equal(request.sent, 10);
  peer.send(windowUpdate(1, 4));
  assert.deepEqual(await peer.told(), ["DATA 1 klmn"]);
  peer.send(windowUpdate(1, 2));
  assert.deepEqual(await peer.told(), ["DATA 1 end op"]);
  assert.equal(request.sent, 16);
  assert.deepEqual(peer.log, ["activity 1", "activity 0"]);
});

Deno.test("a window is negative after INITIAL_WINDOW_SIZE was lowered, and must be made good first", async () => {
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 100 });
  const { stream } = peer.request(1);
  respond(stream, 150);
  await peer.told();
  peer.send(settings({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 40 })); // 100 are gone: -60
  peer.send(windowUpdate(1, 60));
  assert.deepEqual(await peer.told(), ["SETTINGS ack"]);
  peer.send(windowUpdate(1, 1));
  assert.deepEqual(await peer.told(), ["DATA 1 \0".trimEnd()]);
  peer.send(settings({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 45 }));
  assert.deepEqual(sentBy(await peer.told()), new Map([[1, 5]]));
});

Deno.test("of INITIAL_WINDOW_SIZE told twice in a frame the last holds, for open streams and new ones", async () => {
  using peer = await Http2ServerPeer.open();
  const twice = joined(settings({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 5 }), settings({ 4: 7 }).subarray(9));
  twice[2] = 12;
  peer.send(twice);
  peer.request(1).stream.respond(OK, false);
  peer.last.stream.sendData(new TextEncoder().encode("abcdefghijk"));
  assert.deepEqual(await peer.told(), ["SETTINGS ack", "HEADERS 1 :status 200", "DATA 1 abcdefg"]);
});

Deno.test("the connection's window holds for all streams together, and they take turns", async () => {
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 1_000_000 });
  for (let i = 0; i < 20; i++) respond(peer.request(1 + 2 * i).stream, 300_000);
  let sent = sentBy(await peer.told());
  assert.equal([...sent.values()].reduce((a, b) => a + b), 65_535);
  // What each was sent besides, after so much more was granted that none could have it all.
  for (let i = 0; i < 50; i++) peer.send(windowUpdate(0, 20_000));
  sent = sentBy(await peer.told());
  assert.equal([...sent.values()].reduce((a, b) => a + b), 1_000_000);
  assert.equal(sent.size, 20);
  for (const bytes of sent.values()) assert.ok(bytes > 30_000 && bytes < 70_000, `${bytes}`);
});

Deno.test("streams take turns where the network holds them up, and little waits in the connection", async () => {
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 2 ** 30 });
  peer.send(windowUpdate(0, 2 ** 30));
  peer.transport.stall();
  for (let i = 0; i < 30; i++) respond(peer.request(1 + 2 * i).stream, 100_000);
  const totals = new Map<number, number>();
  for (let i = 0; i < 10; i++) {
    for (const [id, bytes] of sentBy(await peer.told())) totals.set(id, (totals.get(id) ?? 0) + bytes);
    assert.ok(peer.transport.backlog <= HIGH_WATER + 17_000 + 30 * 100, `${peer.transport.backlog}`);
    peer.transport.drain();
  }
  const amounts = [...totals.values()];
  assert.equal(amounts.length, 30, "each was served");
  assert.ok(Math.max(...amounts.slice(2)) - Math.min(...amounts) <= 2 * 16_384, amounts.join());
});

Deno.test("what waits on a stream goes out in order, before its trailers", async () => {
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 0 });
  const { stream } = peer.request(1);
  stream.respond(OK, false);
  for (const text of ["one ", "two ", "three"]) stream.sendData(new TextEncoder().encode(text));
  stream.sendTrailers(["grpc-status", "0"]);
  await peer.told();
  peer.send(windowUpdate(1, 5));
  assert.deepEqual(await peer.told(), ["DATA 1 one t"]);
  peer.send(windowUpdate(1, 100));
  assert.deepEqual((await peer.told()).join(), "DATA 1 wo three,HEADERS 1 end grpc-status 0");
});

Deno.test("the end of a body is put on its last DATA, also with frames of other streams between", async () => {
  using peer = await Http2ServerPeer.open();
  const one = peer.request(1).stream;
  const two = peer.request(3).stream;
  for (const stream of [one, two]) stream.respond(OK, false);
  one.sendData(new TextEncoder().encode("one"));
  two.sendData(new TextEncoder().encode("two"));
  two.sendEnd();
  one.sendEnd(); // not the last DATA that was written: a frame of its own
  assert.deepEqual((await peer.told()).slice(2), ["DATA 1 one", "DATA 3 end two", "DATA 1 end"]);
});

Deno.test("a body is credited when it is dealt with, and the stream's window grows meanwhile", async () => {
  using peer = await Http2ServerPeer.open({}, { credits: true });
  peer.request(1, "POST");
  const granted: number[] = [];
  for (let i = 0; i < 100; i++) {
    peer.send(data(1, new Uint8Array(16_000)));
    for (const line of await peer.told()) {
      if (line.startsWith("WINDOW_UPDATE 1")) granted.push(Number(line.split(" ")[2]));
    }
  }
  const window = 65_535 + granted.reduce((a, b) => a + b) - 1_600_000;
  assert.ok(window > 256 * 1024 && window <= 512 * 1024, `${window}`);
});

Deno.test("a body that nobody deals with holds up its stream, and then the connection, and no more is kept", async () => {
  using peer = await Http2ServerPeer.open({}, { credits: false });
  peer.request(1, "POST");
  for (let i = 0; i < 4; i++) peer.send(data(1, new Uint8Array(16_383)));
  peer.send(data(1, "xyz")); // 65,535 in all
  assert.deepEqual(await peer.told(), []);
  peer.send(data(1, "!"));
  assert.deepEqual(await peer.told(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
  for (let i = 1; i <= 33; i++) {
    peer.request(1 + 2 * i, "POST");
    for (let j = 0; j < 4; j++) peer.send(data(1 + 2 * i, new Uint8Array(16_383)));
  }
  const received = peer.requests.reduce((sum, { received }) => sum + received, 0);
  assert.ok(received <= 2 * 1024 * 1024 + 2 * 65_536, `${received}`);
  assert.equal((await peer.told()).at(-1), "GOAWAY 65 FLOW_CONTROL_ERROR");
});

Deno.test("what came on a stream that is over is credited to the connection once, whoever does it", async () => {
  using peer = await Http2ServerPeer.open({}, { credits: false });
  let granted = 0;
  const size = 60_000;
  for (let i = 0; i < 100; i++) {
    const { stream } = peer.request(1 + 2 * i, "POST", ["content-length", i % 2 ? "100000" : "1"]);
    for (let left = size; left > 0; left -= 15_000) peer.send(data(1 + 2 * i, new Uint8Array(15_000)));
    if (i % 4 === 1) stream.reset("cancelled");
    if (i % 4 === 3) stream.credit(size);
    stream.reset("cancelled");
    stream.credit(size);
    for (const line of await peer.told()) {
      if (line.startsWith("WINDOW_UPDATE 0")) granted += Number(line.split(" ")[2]);
    }
  }
  // All of it, but for less than half a window that is yet to be told.
  assert.ok(granted <= 100 * size && granted > 100 * size - 1024 * 1024, `${granted}`);
});

Deno.test("an answer that its receiver does not take holds up its own stream only", async () => {
  using peer = await Http2ClientPeer.open();
  const slow = peer.request({}, true, false);
  const fast = peer.request();
  for (const id of [1, 3]) peer.send(peer.headers(id, [":status", "200"], h2.END_HEADERS));
  for (let i = 0; i < 4; i++) peer.send(data(1, new Uint8Array(16_383)));
  for (let i = 0; i < 150; i++) peer.send(data(3, new Uint8Array(16_000)));
  assert.equal(slow.received, 65_532);
  assert.equal(fast.received, 2_400_000);
  const lines = await peer.told();
  assert.ok(!lines.some((line) => line.startsWith("WINDOW_UPDATE 1")));
  slow.stream.credit(65_532);
  assert.deepEqual(await peer.told(), ["WINDOW_UPDATE 1 131067"]);
});

Deno.test("the windows of many answers grow by so much together, and what one grew by is free when it is over", async () => {
  using peer = await Http2ClientPeer.open();
  const grownBy = async (id: number) => { // an answer of 1 MB, credited as it comes
    peer.request();
    peer.send(peer.headers(id, [":status", "200"], h2.END_HEADERS));
    let window = 0;
    for (let i = 0; i < 100; i++) {
      peer.send(data(id, new Uint8Array(10_000)));
      for (const line of await peer.told()) {
        if (line.startsWith(`WINDOW_UPDATE ${id} `)) window += Number(line.split(" ")[2]);
      }
    }
    return Math.max(0, window - 1_000_000);
  };
  const grown: number[] = [];
  for (let i = 0; i < 30; i++) grown.push(await grownBy(1 + 2 * i));
  assert.ok((grown[0] ?? 0) > 128 * 1024 && (grown[15] ?? 0) > 128 * 1024, `${grown}`);
  assert.deepEqual(grown.slice(20), grown.slice(20).map(() => 0));
  for (let i = 0; i < 30; i++) peer.send(data(1 + 2 * i, "", true));
  assert.ok(await grownBy(61) > 128 * 1024);
});

Deno.test("a request's body waits for the backend's window, and its end with it", async () => {
  using peer = await Http2ClientPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 3 });
  const { stream } = peer.request({ method: "POST" }, false);
  stream.sendData(new TextEncoder().encode("abcdef"));
  stream.sendEnd();
  assert.equal((await peer.told()).at(-1), "DATA 1 abc");
  peer.send(windowUpdate(1, 3));
  assert.deepEqual(await peer.told(), ["DATA 1 end def"]);
});
