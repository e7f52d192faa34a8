import assert from "node:assert/strict";
import { parseVariant } from "./variants.ts";

Deno.test("a variant may have no settings, and values with an equals sign", () => {
  const { folder, v8Flags, environment } = parseVariant("a=/srv/b", "/src");
  assert.deepEqual([folder, v8Flags, environment], ["/srv/b", [], {}]);
  assert.deepEqual(parseVariant("a=b,X=1=2", "/src").environment, { X: "1=2" });
});

Deno.test("settings are flags of V8 and variables in whatever order", () => {
  const { v8Flags, environment } = parseVariant("a=b,--one,X=1,--two=2,Y=", "/src");
  assert.deepEqual(v8Flags, ["--one", "--two=2"]);
  assert.deepEqual(environment, { X: "1", Y: "" });
});

Deno.test("what is no variant is an error that says what would be one", () => {
  for (const text of ["", "a", "=b", "a=", "a b=c", "../a=b"]) {
    assert.throws(() => parseVariant(text, "/src"), /NAME=DIR/, text);
  }
  for (const text of ["a=b,", "a=b,c", "a=b,1=2"]) assert.throws(() => parseVariant(text, "/src"), /after DIR/, text);
});
