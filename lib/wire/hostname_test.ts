import assert from "node:assert/strict";
import fc from "fast-check";
import { normalizeHostname } from "./hostname.ts";

const LONGEST_LABEL = "a".repeat(63);
const LONGEST_NAME = [LONGEST_LABEL, LONGEST_LABEL, LONGEST_LABEL, "a".repeat(61)].join(".");

Deno.test("host names come in lower case without the dot at the end", () => {
  for (
    const [text, name] of [
      ["example.net", "example.net"],
      ["Example.NET.", "example.net"],
      ["localhost", "localhost"],
      ["a", "a"],
      ["1.example", "1.example"],
      ["1a", "1a"],
      ["0xg", "0xg"],
      ["xn--bcher-kva.example", "xn--bcher-kva.example"],
      ["a--b.example", "a--b.example"],
      ["_dmarc.example", "_dmarc.example"],
      ["my_host.example_", "my_host.example_"],
      [LONGEST_LABEL, LONGEST_LABEL],
      [LONGEST_NAME, LONGEST_NAME],
      [`${LONGEST_NAME}.`, LONGEST_NAME],
    ] as const
  ) assert.equal(normalizeHostname(text), name, text);
});

Deno.test("what is no host name is refused", () => {
  assert.equal(LONGEST_NAME.length, 253);
  for (
    const text of [
      "",
      ".",
      "..",
      "a..",
      ".a",
      "a..b",
      "-a",
      "a-",
      "a.-b.c",
      "a.b-.c",
      "a b",
      "a\n",
      "a\0",
      "a:443",
      "a/b",
      "*.example",
      "*",
      "bücher.example",
      "\u212Aelvin.example", // lower-cased, KELVIN SIGN is an ASCII k
      "\u017Fet.example", // upper-cased, LONG S is an ASCII S
      "例え.example",
      `a${LONGEST_LABEL}`,
      `a${LONGEST_NAME}`,
      `${LONGEST_NAME}..`,
    ]
  ) assert.equal(normalizeHostname(text), undefined, text);
});

Deno.test("what ends in a number is an IPv4 address and no host name", () => {
  for (
    const text of [
      "192.0.2.1",
      "192.0.2.1.",
      "1",
      "0",
      "a.1",
      "a.08",
      "a.0x",
      "a.0X7f",
      "0x7f000001",
      "1.2.3",
      "[::1]",
      "::1",
    ]
  ) assert.equal(normalizeHostname(text), undefined, text);
});

Deno.test("the browser's URL parser leaves a name so spelt as it is", () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9_])?$/)
    .filter((label) => !/^xn--/i.test(label)); // which has an encoding of its own to be checked
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), (labels) => {
      const text = labels.join(".");
      const host = URL.parse(`https://${text}/`)?.hostname;
      const isAddress = host === undefined || /^[0-9.]+$/.test(host) && /\.(?:\d+|0x[\da-f]*)$/i.test(`.${text}`);
      assert.equal(normalizeHostname(text), isAddress ? undefined : host, text);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("a name so spelt is spelt so again", () => {
  fc.assert(fc.property(fc.oneof(fc.domain(), fc.string({ maxLength: 20 })), (text) => {
    const name = normalizeHostname(text);
    fc.pre(name !== undefined);
    assert.equal(normalizeHostname(name), name);
    assert.match(name, /^[a-z0-9_.-]{1,253}$/);
  }));
});
