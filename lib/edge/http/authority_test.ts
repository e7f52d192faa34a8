import assert from "node:assert/strict";
import { readAuthority } from "./authority.ts";

Deno.test("an authority names a host, with or without its port, however often it is read", () => {
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(readAuthority("Git.Example.NET.:8443"), { hostname: "git.example.net" });
    assert.deepEqual(readAuthority("git.example.net"), { hostname: "git.example.net" });
    assert.deepEqual(readAuthority("192.0.2.1:443"), { hostname: undefined });
    assert.deepEqual(readAuthority("[2001:db8::1]"), { hostname: undefined });
    assert.equal(readAuthority("user@git.example.net"), undefined);
    assert.equal(readAuthority(""), undefined);
  }
});

Deno.test("more authorities than are remembered are read all the same", () => {
  for (let i = 0; i < 3000; i++) assert.deepEqual(readAuthority(`h${i}.test`), { hostname: `h${i}.test` });
});
