import assert from "node:assert/strict";
import fc from "fast-check";
import * as h2 from "../../../wire/http2_frames.ts";
import { mutated, segmentEnds } from "../../../wire/testdata/fuzz.ts";
import { turn } from "../testdata/fake_transport.ts";
import { data, frame, Http2Peer, joined, ping, reset, settings, windowUpdate } from "../testdata/http2_peer.ts";
import { Http2ServerPeer, requestFields } from "../testdata/http2_server_peer.ts";

/** What a client may do on a few streams, in sound frames. */
const action = fc.oneof(
  fc.record({
    kind: fc.constant("headers" as const),
    id: fc.constantFrom(1, 3, 5),
    end: fc.boolean(),
    split: fc.nat({ max: 30 }),
  }),
  fc.record({
    kind: fc.constant("data" as const),
    id: fc.constantFrom(1, 3, 5),
    end: fc.boolean(),
    text: fc.string({ maxLength: 30 }),
  }),
  fc.record({ kind: fc.constantFrom("reset" as const, "window" as const), id: fc.constantFrom(1, 3, 5) }),
  fc.record({ kind: fc.constantFrom("ping" as const, "settings" as const, "unknown" as const) }),
);

const session = fc.array(action, { maxLength: 15 }).map((actions) => {
  const peer = new Http2Peer(); // for its encoder
  const frames = actions.flatMap((action) => {
    switch (action.kind) {
      case "headers": {
        const block = peer.block(requestFields("POST", ["x-a", "b", "cookie", "c=d"]));
        const flags = action.end ? h2.END_STREAM : 0;
        return [
          frame(h2.HEADERS, flags, action.id, block.subarray(0, action.split)),
          frame(h2.CONTINUATION, h2.END_HEADERS, action.id, block.subarray(action.split)),
        ];
      }
      case "data":
        return [data(action.id, action.text, action.end)];
      case "reset":
        return [reset(action.id)];
      case "window":
        return [windowUpdate(action.id, 100)];
      case "ping":
        return [ping()];
      case "settings":
        return [settings({ [h2.SETTINGS_INITIAL_WINDOW_SIZE]: 3 })];
      case "unknown":
        return [frame(99, 5, 1, "what")];
    }
  });
  return joined(h2.PREFACE, settings(), ...frames);
});

/** What a connection tells its handler and sends, given these segments. */
async function outcome(bytes: Uint8Array, ends: readonly number[]): Promise<unknown> {
  using peer = new Http2ServerPeer({
    onEnd: ({ stream }) => stream.respond({ status: 204, fields: [], neverIndexed: undefined }, true),
  });
  for (let i = 1; i < ends.length; i++) peer.send(bytes.subarray(ends[i - 1], ends[i]));
  const { log, requests } = peer;
  return {
    log: [...log],
    requests: requests.map(({ head, events }) => ({ head, events: [...events] })),
    told: await peer.told(),
  };
}

Deno.test("any segments of a connection's octets give what the whole gives", async () => {
  const segmented = fc.oneof(session, mutated(session)).chain((bytes) =>
    fc.tuple(fc.constant(bytes), segmentEnds(bytes.length))
  );
  await fc.assert(
    fc.asyncProperty(segmented, async ([bytes, ends]) => {
      assert.deepEqual(await outcome(bytes, ends), await outcome(bytes, [0, bytes.length]));
    }),
    { numRuns: 150 },
  );
});

Deno.test("octets one by one give what the whole gives", async () => {
  const peer = new Http2Peer();
  const bytes = joined(
    h2.PREFACE,
    settings({ [h2.SETTINGS_HEADER_TABLE_SIZE]: 100 }),
    peer.headers(1, requestFields("POST"), h2.END_HEADERS),
    ping(),
    data(1, "abc"),
    peer.headers(3, requestFields("GET", ["cookie", "a=b"])),
    data(1, "d".repeat(300)),
    peer.headers(1, ["x", "y"]),
    data(0, "the end"),
  );
  const whole = await outcome(bytes, [0, bytes.length]);
  assert.deepEqual(await outcome(bytes, Array.from({ length: bytes.length + 1 }, (_, i) => i)), whole);
  for (let at = 1; at < bytes.length; at++) assert.deepEqual(await outcome(bytes, [0, at, bytes.length]), whole);
});

Deno.test("no frames make a connection throw", async () => {
  const anyFrame = fc.tuple(
    fc.nat({ max: 12 }),
    fc.nat({ max: 255 }),
    fc.nat({ max: 6 }),
    fc.uint8Array({ maxLength: 30 }),
  );
  const octets = fc.array(anyFrame, { maxLength: 20 }).map((frames) =>
    joined(h2.PREFACE, settings(), ...frames.map(([type, flags, id, payload]) => frame(type, flags, id, payload)))
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(octets, mutated(octets), mutated(session)), async (bytes) => {
      using peer = new Http2ServerPeer();
      peer.send(bytes);
      await turn();
    }),
    { numRuns: 500 },
  );
});
