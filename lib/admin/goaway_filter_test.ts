import assert from "node:assert/strict";
import fc from "fast-check";
import { DATA, GOAWAY, HEADERS, PREFACE } from "../wire/http2_frames.ts";
import { GoawayFilter } from "./goaway_filter.ts";

function frame(type: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  return Uint8Array.of(length >> 16, length >> 8 & 0xff, length & 0xff, type, 0, 0, 0, 0, 1, ...payload);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

Deno.test("all passes but GOAWAY, however the octets are cut", () => {
  const frames = fc.array(
    fc.tuple(fc.constantFrom(DATA, HEADERS, GOAWAY, 0xff), fc.uint8Array({ maxLength: 300 })),
    { maxLength: 12 },
  );
  fc.assert(fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (frames, sizes) => {
    const sent = concat([PREFACE, ...frames.map(([type, payload]) => frame(type, payload))]);
    const wanted = concat([
      PREFACE,
      ...frames.filter(([type]) => type !== GOAWAY).map(([type, payload]) => frame(type, payload)),
    ]);
    const filter = new GoawayFilter();
    const passed: Uint8Array[] = [];
    for (let at = 0, i = 0; at < sent.length; i++) {
      const size = sizes[i % sizes.length] ?? 1;
      passed.push(filter.filter(sent.subarray(at, at + size)));
      at += size;
    }
    assert.deepEqual(concat(passed), wanted);
    assert.deepEqual(new GoawayFilter().filter(sent), wanted);
  }));
});

Deno.test("a frame passes before it is whole, once its header is", () => {
  const filter = new GoawayFilter();
  const begun = concat([PREFACE, frame(DATA, new Uint8Array(100)).subarray(0, 50)]);
  assert.deepEqual(filter.filter(begun), begun);
});
