import assert from "node:assert/strict";
import * as h2 from "../../../wire/http2_frames.ts";
import { MAX_CONCURRENT_STREAMS } from "./server.ts";
import {
  data,
  frame,
  type Http2Peer,
  joined,
  ping,
  reset,
  settings,
  SETTINGS_ACK,
  uint32,
  windowUpdate,
} from "../testdata/http2_peer.ts";
import { Http2ServerPeer, requestFields } from "../testdata/http2_server_peer.ts";

const OK = { status: 200, fields: [], neverIndexed: undefined };

/** Frames that a peer may send, but not for ever; stream 1 is open. */
const FLOODS: Readonly<Record<string, (peer: Http2Peer) => Uint8Array>> = {
  "SETTINGS (CVE-2019-9515)": () => settings(),
  "acknowledgements of SETTINGS": () => SETTINGS_ACK,
  "PING (CVE-2019-9512)": () => ping(),
  "acknowledgements of PING": () => ping("12345678", h2.ACK),
  "empty DATA (CVE-2019-9518)": () => data(1, ""),
  "DATA of padding alone": () => frame(h2.DATA, h2.PADDED, 1, "\x02\0\0"),
  "PRIORITY (CVE-2019-9513)": () => frame(h2.PRIORITY, 0, 3, uint32(1, 0).subarray(0, 5)),
  "WINDOW_UPDATE of the connection": () => windowUpdate(0, 1),
  "WINDOW_UPDATE of a stream": () => windowUpdate(1, 1),
  "RST_STREAM of streams that are over": () => reset(3),
  "frames of an unknown type": () => frame(99, 0, 0),
  "GOAWAY": () => frame(h2.GOAWAY, 0, 0, uint32(0, 0)),
};

for (const [what, make] of Object.entries(FLOODS)) {
  Deno.test(`a flood of ${what} ends the connection, and little is kept of it`, async () => {
    using peer = await Http2ServerPeer.open();
    peer.send(peer.headers(3, requestFields()), reset(3));
    peer.request(5, "POST");
    const one = make(peer).slice();
    if (one[8] === 1) one[8] = 5; // the stream that is open
    const many = joined(...Array.from({ length: 100 }, () => one));
    for (let i = 0; i < 200; i++) peer.send(many);
    assert.match((await peer.told()).at(-1) ?? "", /^GOAWAY 5 ENHANCE_YOUR_CALM$/);
    assert.equal(peer.log.at(-1), "closed for a breach: ENHANCE_YOUR_CALM: too many frames to no purpose");
  });
}

Deno.test("answers of a client that reads nothing wait in bounds, whatever it asks for", async () => {
  let held = 0;
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 2 ** 31 - 1 }, {
    onRequest: ({ stream }) => {
      stream.respond({ ...OK, fields: ["x-large", "y".repeat(4000)] }, true);
      held++;
    },
  });
  peer.transport.stall();
  for (let i = 0; i < 2000; i++) {
    peer.send(peer.headers(1 + 2 * i, requestFields()));
    if (i % 20 === 0) await peer.told();
  }
  assert.ok(peer.transport.isPaused);
  assert.ok(peer.transport.backlog < 1024 * 1024, `${peer.transport.backlog}`);
  assert.ok(held < 400 && peer.transport.unread > 10_000, `${held} ${peer.transport.unread}`);
  while (peer.transport.unread > 0) {
    peer.transport.drain();
    await peer.told();
  }
  assert.equal(held, 2000, "it is read on from");
});

/** Requests that come to nothing by the client's doing, each with what a client sends of it on stream `id`. */
const WASTE: Readonly<Record<string, (peer: Http2Peer, id: number) => Uint8Array>> = {
  "reset at once (CVE-2023-44487)": (peer, id) => joined(peer.headers(id, requestFields()), reset(id)),
  "that the server is made to reset by an empty WINDOW_UPDATE (CVE-2025-8671)": (peer, id) =>
    joined(peer.headers(id, requestFields()), windowUpdate(id, 0)),
  "that the server is made to reset by a window too large": (peer, id) =>
    joined(peer.headers(id, requestFields()), windowUpdate(id, 2 ** 31 - 1)),
  "that the server is made to reset by too long a body": (peer, id) =>
    joined(peer.headers(id, requestFields("POST", ["content-length", "1"]), h2.END_HEADERS), data(id, "ab")),
  "that break a rule": (peer, id) => peer.headers(id, requestFields("GET", ["X", "y"])),
};

/** Opens a connection on which no time passes but what a test lets pass; `PUT` is answered in full, all else never. */
async function openAtRest(): Promise<Http2ServerPeer> {
  const peer = await Http2ServerPeer.open({}, {
    onRequest: ({ head, stream }) => head.method === "PUT" && stream.respond(OK, true),
  });
  peer.transport.turn.pass(0);
  return peer;
}

for (const [what, waste] of Object.entries(WASTE)) {
  Deno.test(`requests ${what} end the connection, whatever is sent beside them`, async () => {
    for (const beside of [0, 1, 10]) {
      using peer = await openAtRest();
      let wasted = 0;
      for (let id = 1; wasted < 1000 && !peer.transport.isEnded; id += 2) {
        for (let i = 0; i < beside; i++, id += 2) peer.send(peer.headers(id, requestFields("PUT")));
        peer.send(waste(peer, id));
        wasted++;
      }
      assert.match((await peer.told()).at(-1) ?? "", /^GOAWAY \d+ ENHANCE_YOUR_CALM$/);
      assert.equal(wasted, 501);
    }
  });

  Deno.test(`requests ${what}, 100 a second, end nothing`, async () => {
    using peer = await openAtRest();
    for (let id = 1; id < 4_000; id += 2) {
      if (id % 200 === 1) peer.transport.turn.pass(1_000);
      peer.send(waste(peer, id));
      if (id % 500 === 1) await peer.told();
    }
    assert.ok(!peer.transport.isEnded);
  });
}

Deno.test("60 requests at once and then their 60 resets, again and again, end the connection", async () => {
  using peer = await openAtRest();
  let rounds = 0;
  for (let id = 1; rounds < 100 && !peer.transport.isEnded; id += 240) {
    const ids = Array.from({ length: 60 }, (_, i) => id + 2 * i);
    peer.send(...ids.map((stream) => peer.headers(stream, requestFields())));
    peer.transport.turn.pass(10);
    peer.send(...ids.map((stream) => reset(stream)));
    peer.send(...ids.map((stream) => peer.headers(stream + 120, requestFields("PUT"))));
    rounds++;
  }
  assert.match((await peer.told()).at(-1) ?? "", /^GOAWAY \d+ ENHANCE_YOUR_CALM$/);
  assert.equal(rounds, 9);
});

Deno.test("answers that are begun and then not wanted count, those that are whole do not", async () => {
  using begun = await Http2ServerPeer.open({}, { onRequest: ({ stream }) => stream.respond(OK, false) });
  using whole = await Http2ServerPeer.open({}, { onRequest: ({ stream }) => stream.respond(OK, true) });
  for (const peer of [begun, whole]) {
    peer.transport.turn.pass(0);
    for (let id = 1; id < 2_000 && !peer.transport.isEnded; id += 2) {
      peer.send(peer.headers(id, requestFields()), reset(id));
    }
  }
  assert.match((await begun.told()).at(-1) ?? "", /^GOAWAY 1001 ENHANCE_YOUR_CALM$/);
  assert.ok(!whole.transport.isEnded);
});

Deno.test("streams that are refused without end, beside others that are served, end the connection", async () => {
  using peer = await openAtRest();
  for (let id = 1; id < 2 * MAX_CONCURRENT_STREAMS - 1; id += 2) peer.send(peer.headers(id, requestFields()));
  let refused = 0;
  for (let id = 2 * MAX_CONCURRENT_STREAMS - 1; refused < 2_000 && !peer.transport.isEnded; id += 4) {
    peer.send(peer.headers(id, requestFields("PUT")), peer.headers(id + 2, requestFields("DELETE")));
    if (id > 2 * MAX_CONCURRENT_STREAMS) refused += 2;
  }
  assert.match((await peer.told()).at(-1) ?? "", /^GOAWAY \d+ ENHANCE_YOUR_CALM$/);
  assert.ok(refused < 600, `${refused}`);
});

Deno.test("answers of ours without end that the client brings about end the connection in order, and else at once", async () => {
  const kinds: readonly ((peer: Http2Peer, id: number) => Uint8Array)[] = [
    (peer, id) => peer.headers(id, requestFields("DELETE")), // refused by the handler
    (peer, id) => peer.headers(id, requestFields("GET", many(300, "x"))), // too large
  ];
  for (const kind of kinds) {
    using peer = await Http2ServerPeer.open({}, {
      onRequest: ({ head, stream }) => {
        if (head.method === "GET") return;
        stream.provoked();
        stream.respond({ ...OK, status: 421 }, true);
      },
    });
    peer.transport.turn.pass(0);
    peer.request(1); // under way
    let id = 3;
    const lines: string[] = [];
    for (; !lines.some((line) => line.startsWith("GOAWAY")) && id < 4_000; id += 2) {
      peer.send(kind(peer, id));
      lines.push(...await peer.told());
    }
    assert.equal(id, 3 + 2 * 501);
    assert.equal(lines.find((line) => line.startsWith("GOAWAY")), "GOAWAY 2147483647 NO_ERROR");
    peer.send(ping("\0\0\0\0\0\0\0\0", h2.ACK));
    assert.deepEqual(await peer.told(), [`GOAWAY ${id - 2} NO_ERROR`]);
    assert.ok(!peer.transport.isEnded, "what is under way goes on");
    peer.send(kind(peer, id)); // a client that does not care
    assert.deepEqual(await peer.told(), [`RST_STREAM ${id} REFUSED_STREAM`, `GOAWAY ${id - 2} ENHANCE_YOUR_CALM`]);
  }
});

Deno.test("a flood of CONTINUATION (CVE-2024-27316) ends the connection, empty, short or long", async () => {
  for (const [size, most] of [[0, 64], [1, 64], [16_384, 16]] as const) {
    using peer = await Http2ServerPeer.open();
    peer.send(frame(h2.HEADERS, 0, 1, peer.block(requestFields())));
    let sent = 0;
    for (; sent < 10_000 && !peer.transport.isEnded; sent++) {
      peer.send(frame(h2.CONTINUATION, 0, 1, new Uint8Array(size)));
    }
    assert.ok(sent <= most, `${sent}`);
    assert.deepEqual(await peer.told(), ["GOAWAY 0 ENHANCE_YOUR_CALM"]);
  }
});

Deno.test("a header bomb is answered with 431, and the next request as ever", async () => {
  using peer = await Http2ServerPeer.open({}, { onEnd: ({ stream }) => stream.respond(OK, true) });
  peer.send(peer.headers(1, requestFields("GET", ["x-bomb", "y".repeat(1900)])));
  const bomb = peer.block(requestFields());
  peer.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 3, joined(bomb, new Uint8Array(16_000).fill(0xbe))));
  peer.request(5);
  assert.deepEqual(await peer.told(), [
    "HEADERS 1 end :status 200",
    "HEADERS 3 end :status 431, content-length 0, x-request-id id-1",
    "HEADERS 5 end :status 200",
  ]);
});

/** So many fields of one name. */
function many(count: number, name: string, value = "y"): string[] {
  return Array.from({ length: count }, () => [name, value]).flat();
}

/** A head in several frames. */
function continued(peer: Http2Peer, id: number, fields: readonly string[], flags: number = h2.END_STREAM): Uint8Array {
  const block = peer.block([...fields], new Set(["x"])); // literals, so that it is as long as it says
  const frames: Uint8Array[] = [];
  for (let at = 0; at < block.length; at += h2.MAX_FRAME_LENGTH) {
    const part = block.subarray(at, at + h2.MAX_FRAME_LENGTH);
    const last = at + part.length === block.length ? h2.END_HEADERS : 0;
    frames.push(at === 0 ? frame(h2.HEADERS, flags | last, id, part) : frame(h2.CONTINUATION, last, id, part));
  }
  return joined(...frames);
}

Deno.test("a head that is too large, by its length or its fields, is answered with 431, and the others go on", async () => {
  const heads: readonly (readonly [rule: string, fields: string[]])[] = [
    ["header_list_too_large", many(1, "x", "y".repeat(66_000))],
    ["header_list_too_large", many(1, "x", "y".repeat(200_000))],
    ["header_list_too_large", many(60, "x", "y".repeat(4_000))],
    ["too_many_fields", many(257, "x")],
    ["too_many_fields", [...many(256, "x"), ...many(2, "cookie", "a=b")]],
  ];
  for (const [rule, fields] of heads) {
    using peer = await Http2ServerPeer.open();
    peer.request(1);
    peer.send(continued(peer, 3, requestFields("GET", fields)));
    peer.send(continued(peer, 5, requestFields("POST", fields), 0), data(5, "its body"));
    peer.request(7);
    assert.equal(peer.requests.length, 2);
    for (const { stream } of peer.requests) stream.respond(OK, true);
    assert.deepEqual(await peer.told(), [
      "HEADERS 3 end :status 431, content-length 0, x-request-id id-1",
      "HEADERS 5 end :status 431, content-length 0, x-request-id id-1",
      "RST_STREAM 5 NO_ERROR",
      "HEADERS 1 end :status 200",
      "HEADERS 7 end :status 200",
    ]);
    assert.deepEqual(peer.log.filter((line) => line.startsWith("malformed")), [
      `malformed ${rule} 431`,
      `malformed ${rule} 431`,
    ]);
  }
});

Deno.test("the crumbs of a cookie count as one field", async () => {
  using peer = await Http2ServerPeer.open();
  peer.request(1, "GET", [...many(255, "x"), ...many(600, "cookie", "a=b")]);
  assert.equal(peer.requests.length, 1);
});

Deno.test("requests without end that are malformed, too large or too many end the connection", async () => {
  const kinds: readonly ((peer: Http2Peer, id: number) => Uint8Array)[] = [
    (peer, id) => peer.headers(id, requestFields("GET", ["X", "y"])),
    (peer, id) => peer.headers(id, requestFields("POST"), h2.END_HEADERS), // never answered
  ];
  for (const kind of kinds) {
    using peer = await Http2ServerPeer.open();
    for (let id = 1; id < 40_000 && !peer.transport.isEnded; id += 2) peer.send(kind(peer, id));
    assert.match((await peer.told()).at(-1) ?? "", /ENHANCE_YOUR_CALM$/);
    assert.ok(peer.requests.length <= MAX_CONCURRENT_STREAMS);
  }
});

Deno.test("SETTINGS of more entries than there are settings by far end the connection", async () => {
  using peer = await Http2ServerPeer.open();
  peer.send(frame(h2.SETTINGS, 0, 0, new Uint8Array(65 * 6)));
  assert.deepEqual(await peer.told(), ["GOAWAY 0 ENHANCE_YOUR_CALM"]);
});

Deno.test("a client that credits every little piece that it is sent is no attacker", async () => {
  using peer = await Http2ServerPeer.open();
  const { stream } = peer.request(1);
  stream.respond(OK, false);
  for (let i = 0; i < 20_000; i++) {
    stream.sendData(new Uint8Array(50));
    peer.send(windowUpdate(0, 50), windowUpdate(1, 50), ping());
    if (i % 100 === 0) await peer.told();
  }
  assert.ok(!peer.transport.isEnded);
});

Deno.test("a client that grants an octet at a time (CVE-2019-9511) is one", async () => {
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 0 });
  const { stream } = peer.request(1);
  stream.respond(OK, false);
  stream.sendData(new Uint8Array(100_000));
  for (let i = 0; i < 20_000 && !peer.transport.isEnded; i++) peer.send(windowUpdate(1, 1));
  assert.equal((await peer.told()).at(-1), "GOAWAY 1 ENHANCE_YOUR_CALM");
});

Deno.test("with a window of 0 no more is kept than was given, and an end of the stream frees it", async () => {
  using peer = await Http2ServerPeer.open({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 0 });
  const request = peer.request(1);
  request.stream.respond(OK, false);
  for (let i = 0; i < 1000; i++) request.stream.sendData(new Uint8Array(60));
  assert.equal(request.sent, 0);
  peer.send(reset(1), windowUpdate(0, 100_000));
  assert.deepEqual(await peer.told(), ["HEADERS 1 :status 200"]);
  assert.equal(request.events.at(-1), "failed reset: the client reset the stream: CANCEL");
});
