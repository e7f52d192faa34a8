import assert from "node:assert/strict";
import { readGroup } from "./group.ts";

Deno.test("a group is found by its whole name, and a number stands for itself", () => {
  const file = Deno.makeTempFileSync();
  Deno.writeTextFileSync(file, "root:x:0:\n# note\nnobody-\nweb-admin:x:4711:ann,bob\nweb:x:12:\nodd:x:-1:\n");
  assert.deepEqual(readGroup("web", file), { kind: "ok", gid: 12 });
  assert.deepEqual(readGroup("web-admin", file), { kind: "ok", gid: 4711 });
  assert.deepEqual(readGroup("123", file), { kind: "ok", gid: 123 });
  for (const name of ["we", "ann", "odd", "nobody-"]) {
    assert.deepEqual(readGroup(name, file), {
      kind: "wrong",
      message: `"${name}" is no group of ${file}; make it (groupadd), or write its number (getent group)`,
    });
  }
  Deno.removeSync(file);
  assert.deepEqual(readGroup("web", file), {
    kind: "wrong",
    message: `${file}: does not exist; write the number of the group`,
  });
});
