import assert from "node:assert/strict";
import { HpackDecoder } from "../../lib/wire/hpack_decoder.ts";
import { FRAME_HEADER_LENGTH } from "../../lib/wire/http2_frames.ts";
import {
  frameLength,
  GET_BLOCKS,
  GRPC_ANSWER,
  GRPC_BLOCKS,
  HTTP_HOST,
  setStreams,
  SMALL_ANSWER,
  uint32At,
} from "./http_protocol.ts";

Deno.test("a connection's first request and the next ones say the same", () => {
  for (const { first, next } of [GET_BLOCKS, GRPC_BLOCKS]) {
    const decoder = new HpackDecoder(4096, 65536);
    const fields = decoder.decode(first)?.fields;
    assert.ok(fields?.includes(HTTP_HOST));
    for (let i = 0; i < 2; i++) assert.deepEqual(decoder.decode(next)?.fields, fields);
    assert.ok(next.length < first.length);
  }
});

Deno.test("answers are frames whose header blocks depend on no table, and all of them can be given a stream", () => {
  for (
    const [answer, fields] of [[SMALL_ANSWER, ["content-length", "100"]], [GRPC_ANSWER, ["grpc-status", "0"]]] as const
  ) {
    const bytes = answer.slice();
    setStreams(bytes, 7);
    const all: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const payload = at + FRAME_HEADER_LENGTH;
      const next = payload + frameLength(bytes, at);
      assert.equal(uint32At(bytes, at + 5), 7);
      if (bytes[at + 3] === 1) {
        all.push(...new HpackDecoder(0, 65536).decode(bytes.subarray(payload, next))?.fields ?? []);
      }
      at = next;
    }
    assert.deepEqual(all.slice(0, 2), [":status", "200"]);
    for (const field of fields) assert.ok(all.includes(field));
  }
});
