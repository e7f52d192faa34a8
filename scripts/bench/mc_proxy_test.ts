import assert from "node:assert/strict";
import { findVariant, withV8Flags } from "./mc_proxy.ts";

const VARIANT = { name: "other", v8Flags: [], environment: {} };

Deno.test("flags of V8 are added behind those that are there, where they count", () => {
  const args = ["run", "--v8-flags=--a=1", "--allow-net", "/src/main.ts"];
  assert.deepEqual(withV8Flags({ executable: "deno", args }, ["--a=2", "--b"]).args, [
    "run",
    "--v8-flags=--a=1,--a=2,--b",
    "--allow-net",
    "/src/main.ts",
  ]);
  assert.deepEqual(withV8Flags({ executable: "deno", args }, []).args, args);
});

Deno.test("a compiled binary is left as it is", () => {
  assert.deepEqual(withV8Flags({ executable: "/srv/mc-proxy", args: [] }, ["--a"]), {
    executable: "/srv/mc-proxy",
    args: [],
  });
});

Deno.test("a folder without mc-proxy is an error that names the variant and the folder", async () => {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  try {
    const wanted = (error: unknown) =>
      error instanceof Error && error.message.startsWith(`--variant other: no mc-proxy in ${folder}`);
    await assert.rejects(findVariant({ ...VARIANT, folder }, undefined), wanted);
    await Deno.writeTextFile(`${folder}/deno.json`, '{"tasks":{"mc-proxy":{"command":"node main.js"}}}');
    await assert.rejects(findVariant({ ...VARIANT, folder }, undefined), wanted);
    await Deno.writeTextFile(`${folder}/deno.json`, '{"tasks":{}}');
    await assert.rejects(findVariant({ ...VARIANT, folder }, undefined), wanted);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
