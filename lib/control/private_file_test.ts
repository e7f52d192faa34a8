import assert from "node:assert/strict";
import { ensurePrivate, restrictToOwner } from "./private_file.ts";

const isUnix = Deno.build.os !== "windows";

function modeOf(path: string): string {
  return ((Deno.statSync(path).mode ?? 0) & 0o777).toString(8);
}

Deno.test({
  name: "a file is made private, and one that is there becomes so, with what is in it (needs Unix)",
  ignore: !isUnix,
  fn() {
    const folder = Deno.makeTempDirSync();
    const [made, wide] = [`${folder}/made`, `${folder}/wide`];
    ensurePrivate(made);
    assert.equal(modeOf(made), "600");
    Deno.writeTextFileSync(wide, "kept");
    for (const [before, after] of [[0o644, "600"], [0o660, "600"], [0o755, "700"], [0o440, "400"]] as const) {
      Deno.chmodSync(wide, before);
      ensurePrivate(wide);
      assert.equal(modeOf(wide), after);
    }
    assert.equal(Deno.readTextFileSync(wide), "kept");
    Deno.removeSync(folder, { recursive: true });
  },
});

Deno.test({
  name: "a folder, and a file that is not there, are passed over (needs Unix)",
  ignore: !isUnix,
  fn() {
    const folder = Deno.makeTempDirSync();
    Deno.chmodSync(folder, 0o755);
    restrictToOwner(folder);
    assert.equal(modeOf(folder), "755");
    restrictToOwner(`${folder}/none`);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
    Deno.removeSync(folder, { recursive: true });
  },
});
