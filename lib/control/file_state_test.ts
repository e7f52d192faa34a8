import assert from "node:assert/strict";
import { stateOf, stateOfSync } from "./file_state.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const a = `${folder}/a`;
const b = `${folder}/b`;

Deno.test("files have another state once one is written, replaced, given another permission or removed", async () => {
  const seen = new Set<string>();
  const steps: Readonly<Record<string, () => void>> = {
    absent: () => {},
    made: () => [a, b].forEach((path) => Deno.writeTextFileSync(path, "1")),
    "made longer": () => Deno.writeTextFileSync(a, "22"),
    "written at another time": () => Deno.utimeSync(a, new Date(), new Date(0)),
    replaced: () => {
      Deno.writeTextFileSync(`${b}.new`, "1");
      Deno.renameSync(`${b}.new`, b);
    },
    "forbidden to read": () => Deno.chmodSync(a, 0o200),
    removed: () => Deno.removeSync(a),
    "a link to another": () => Deno.symlinkSync(b, a),
    "a link to itself": () => {
      Deno.removeSync(a);
      Deno.symlinkSync(a, a);
    },
  };
  for (const [name, step] of Object.entries(steps)) {
    step();
    const { id } = await stateOf([a, b]);
    assert.ok(!seen.has(id), name);
    assert.equal(stateOfSync([a, b]).id, id);
    assert.equal((await stateOf([a, b])).id, id);
    seen.add(id);
  }
});

Deno.test("the state tells when the files changed last, and nothing of those that are not there", async () => {
  const file = `${folder}/c`;
  const before = Date.now();
  Deno.writeTextFileSync(file, "1");
  Deno.utimeSync(file, new Date(0), new Date(0));
  const { changedAt } = await stateOf([file, `${folder}/none`]);
  assert.ok(Math.abs(changedAt - before) < 60_000, "a file made to look old was changed now");
  assert.equal((await stateOf([`${folder}/none`])).changedAt, 0);
});
