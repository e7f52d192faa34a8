import assert from "node:assert/strict";
import { missingHalf } from "./library_pair.ts";

Deno.test("what is there of libssl and libcrypto without the other is told by the linker's words, glibc's and musl's", () => {
  const glibc = (name: string) => `${name}: cannot open shared object file: No such file or directory`;
  const musl = (name: string) => `Error loading shared library ${name}: No such file or directory`;
  const noLibcrypto = "libssl.so.3 is there, but libcrypto.so.3, which it needs, is not";
  const noLibssl = "libcrypto.so.3 is there, but libssl.so.3 is not";
  const sound = () => undefined;
  const absent = (path: string) => glibc(path);
  for (const words of [glibc, musl]) {
    const needed = `${words("libcrypto.so.3")}${words === musl ? " (needed by /usr/lib/libssl.so.3)" : ""}`;
    assert.equal(
      missingHalf("libssl.so.3", needed, absent),
      `${noLibcrypto} (${needed}); install both, of one build`,
    );
    assert.equal(
      missingHalf("libssl.so.3", words("libssl.so.3"), sound),
      `${noLibssl} (${words("libssl.so.3")}); install both, of one build`,
    );
    assert.equal(missingHalf("libssl.so.3", words("libssl.so.3"), absent), undefined);
    assert.equal(missingHalf("/x/other.so", words("/x/other.so"), sound), undefined);
  }
  assert.equal(missingHalf("/x/a.pem", "/x/a.pem: invalid ELF header", sound), undefined);
});
