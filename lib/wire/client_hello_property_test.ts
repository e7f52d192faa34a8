import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type ClientHelloResult,
  MAX_CLIENT_HELLO_BYTES,
  newClientHelloProgress,
  parseClientHello,
} from "./client_hello.ts";
import { buildChromeClientHello, buildClientHello, concat, splitIntoRecords } from "./testdata/build_client_hello.ts";
import clientHellos from "./testdata/client_hellos.json" with { type: "json" };
import { mutated, segmentEnds, surrounded } from "./testdata/fuzz.ts";

const recordedHello = fc.constantFrom(
  buildChromeClientHello("git.example.net"),
  ...clientHellos.map(({ hex }) => Uint8Array.fromHex(hex)),
);

const builtHello = fc.record({
  sessionId: fc.uint8Array({ maxLength: 32 }),
  cipherSuites: fc.array(fc.nat({ max: 0xffff }), { minLength: 1, maxLength: 30 }),
  serverName: fc.option(fc.domain(), { nil: undefined }),
  alpn: fc.option(fc.array(fc.string({ minLength: 1, maxLength: 20, unit: "binary-ascii" }), { minLength: 1 }), {
    nil: undefined,
  }),
  extensions: fc.uniqueArray(
    fc.record({ type: fc.integer({ min: 17, max: 0xffff }), data: fc.uint8Array({ maxLength: 300 }) }),
    { selector: ({ type }) => type },
  ),
});

const hello = fc.oneof(recordedHello, builtHello.map(buildClientHello));
const fragmentSizes = fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 30 });
const fragmentedHello = fc.tuple(builtHello.map(buildClientHello), fragmentSizes).map(([hello, sizes]) =>
  splitIntoRecords(hello, sizes)
);
const anything = fc.oneof(hello, fragmentedHello, mutated(hello), mutated(fragmentedHello), fc.uint8Array());

/** Gives the parser what has arrived after each segment, as a connection does, up to its answer. */
function receive(bytes: Uint8Array, ends: readonly number[]): ClientHelloResult {
  const progress = newClientHelloProgress();
  let result: ClientHelloResult = { kind: "need_more", needed: 0 };
  for (const end of ends) {
    result = parseClientHello(bytes.subarray(0, end), progress);
    assert.deepEqual(result, parseClientHello(bytes.subarray(0, end)), "progress does not change the answer");
    if (result.kind !== "need_more") break;
  }
  return result;
}

Deno.test("what a hello was built from is what is found in it", () => {
  fc.assert(fc.property(builtHello, (parts) => {
    const bytes = buildClientHello(parts);
    const { serverName, alpn = [] } = parts;
    const names = { serverName: serverName?.toLowerCase(), alpn };
    assert.deepEqual(parseClientHello(bytes), { kind: "hello", ...names, length: bytes.length });
  }));
});

Deno.test("any segments give the answer that the whole gives", () => {
  const segmented = anything.chain((bytes) => fc.tuple(fc.constant(bytes), segmentEnds(bytes.length)));
  fc.assert(
    fc.property(segmented, ([bytes, ends]) => assert.deepEqual(receive(bytes, ends), parseClientHello(bytes))),
    { numRuns: 1000 },
  );
});

Deno.test("any records give the names that a single one gives", () => {
  fc.assert(fc.property(builtHello.map(buildClientHello), fragmentSizes, (hello, sizes) => {
    const whole = parseClientHello(hello);
    const fragmented = splitIntoRecords(hello, sizes);
    assert.deepEqual(parseClientHello(fragmented), { ...whole, length: fragmented.length });
  }));
});

Deno.test("octets behind a hello do not change the answer", () => {
  fc.assert(fc.property(fc.oneof(hello, fragmentedHello), fc.uint8Array(), (hello, more) => {
    assert.deepEqual(parseClientHello(concat(hello, more)), parseClientHello(hello));
  }));
});

Deno.test("need_more asks for the least that can give an answer, and never for more than the limit", () => {
  fc.assert(
    fc.property(anything, (bytes) => {
      let needed = 1;
      for (let length = 0; length <= bytes.length; length++) {
        const result = parseClientHello(bytes.subarray(0, length));
        if (result.kind !== "need_more") {
          assert.equal(length, needed);
          return;
        }
        if (length < needed) assert.equal(result.needed, needed);
        needed = result.needed;
        assert(needed > length && needed <= MAX_CLIENT_HELLO_BYTES);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("no input makes the parser throw, look beyond its end or answer out of range", () => {
  fc.assert(
    fc.property(mutated(fc.oneof(hello, fragmentedHello)), (bytes) => {
      const result = parseClientHello(bytes);
      if (result.kind === "need_more") assert(result.needed > bytes.length);
      if (result.kind === "hello") assert(result.length <= bytes.length);
      for (const poison of [0, 1, 22, 255]) assert.deepEqual(parseClientHello(surrounded(bytes, poison)), result);
    }),
    { numRuns: 3000 },
  );
});
