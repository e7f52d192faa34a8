import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, printable, quote } from "./quote.ts";

Deno.test("no text, quoted or not, can hold a control or format character", () => {
  const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u;
  const suspect = fc.constantFrom(
    "\0",
    "\n",
    "\x1b",
    "\x7f",
    "\x9b",
    "\u200e",
    "\u202e",
    "\u2028",
    "\ud800",
    "\ue000",
    "a",
  );
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.array(suspect).map((characters) => characters.join("")));
  fc.assert(
    fc.property(text, (text) => {
      // Unassigned code points (Cn) may be letters to whoever has newer tables.
      const assigned = (output: string) => output.replace(/\p{Cn}/gu, "");
      assert.doesNotMatch(assigned(printable(text)), unprintable);
      assert.doesNotMatch(assigned(quote(text)), unprintable);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("a quoted text is short and reads back as its beginning", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
    const quoted = quote(text);
    const cut = quoted.endsWith('…"') && text.length > 80;
    const back: unknown = JSON.parse(cut ? quoted.slice(0, -2) + '"' : quoted);
    assert.ok(typeof back === "string" && text.startsWith(back));
    assert.ok(cut ? back.length >= 79 && back.length <= 80 : back === text);
  }));
});

Deno.test("a long text is not cut within a character", () => {
  assert.equal(quote("x".repeat(79) + "😀😀"), `"${"x".repeat(79)}…"`);
});

Deno.test("values that are no text are named by type", () => {
  const named = [5, -0.5, true, [1], {}, new Date(0), undefined].map(describe);
  assert.deepEqual(named, ["5", "-0.5", "true", "an array", "a table", "a date", "nothing"]);
});
