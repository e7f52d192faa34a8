import assert from "node:assert/strict";
import fc from "fast-check";
import { ChunkedDecoder } from "./http1_chunked.ts";
import { encodeChunkEnd, encodeChunkHeader, encodeLastChunk } from "./http1_encode.ts";
import { permittedTrailers } from "./http_fields.ts";
import { segmentEnds } from "./testdata/fuzz.ts";
import { fields, hostile, written } from "./testdata/http1_messages.ts";

const LIMITS = { maxLength: 2000, maxFields: 20 };

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 6 });
const chunkedOctets = fc.tuple(chunks, fields).map(([chunks, trailers]) => encodeChunked(chunks, trailers));

function encodeChunked(chunks: readonly Uint8Array[], trailers: string[]): Uint8Array {
  return written((out) => {
    for (const chunk of chunks) {
      encodeChunkHeader(out, chunk.length);
      out.put(chunk);
      encodeChunkEnd(out);
    }
    encodeLastChunk(out, trailers);
  });
}

interface Decoded {
  readonly body: number[];
  readonly taken: number;
  readonly done: boolean;
  readonly trailers: readonly string[];
  readonly error: string | undefined;
}

function decode(bytes: Uint8Array, ends: readonly number[]): Decoded {
  const decoder = new ChunkedDecoder(LIMITS);
  const body: number[] = [];
  let taken = 0;
  for (const end of ends) {
    if (decoder.done || decoder.error !== undefined) break;
    taken += decoder.feed(bytes.subarray(taken, end), (piece) => body.push(...piece));
  }
  const { done, trailers, error } = decoder;
  return { body, taken, done, trailers, error };
}

Deno.test("a chunked body that is encoded is decoded as it was", () => {
  fc.assert(fc.property(chunks, fields, (chunks, trailers) => {
    const bytes = encodeChunked(chunks, trailers);
    assert.deepEqual(decode(bytes, [bytes.length]), {
      body: chunks.flatMap((chunk) => [...chunk]),
      taken: bytes.length,
      done: true,
      trailers: permittedTrailers(trailers),
      error: undefined,
    });
  }));
});

Deno.test("any segments of a chunked body give what the whole gives, and nothing makes the decoder throw", () => {
  const segmented = hostile(chunkedOctets).chain((bytes) => fc.tuple(fc.constant(bytes), segmentEnds(bytes.length)));
  fc.assert(
    fc.property(segmented, ([bytes, ends]) => {
      const whole = decode(bytes, [bytes.length]);
      const segments = decode(bytes, ends);
      assert.deepEqual({ ...segments, taken: 0 }, { ...whole, taken: 0 });
      assert.ok(whole.taken <= bytes.length && segments.taken <= whole.taken);
      if (whole.error === undefined) assert.equal(segments.taken, whole.taken);
    }),
    { numRuns: 2000 },
  );
});
