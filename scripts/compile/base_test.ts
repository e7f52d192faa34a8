import assert from "node:assert/strict";
import { BaseError, findBase, type Places, type Target } from "./base.ts";

const X86: Target = "x86_64-unknown-linux-gnu";
const ARM: Target = "aarch64-unknown-linux-gnu";
const URL_ = "https://dl.deno.land/release/v9.8.7/denort-x86_64-unknown-linux-gnu.zip";

/** The first octets of a program for a machine, elf(5). */
function elf(machine: number): Uint8Array {
  const head = new Uint8Array(64);
  head.set([0x7f, 0x45, 0x4c, 0x46]);
  head[18] = machine;
  return head;
}

async function inFolder(test: (places: Places, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const canDownload = () => Promise.resolve(false);
  await test({ target: X86, version: "9.8.7", denoDir: folder, named: undefined, canDownload }, folder);
  await Deno.remove(folder, { recursive: true });
}

Deno.test("the base is the file that DENORT_BIN names, else the archive in the cache, else the network's", async () => {
  await inFolder(async (places, folder) => {
    const online = { ...places, canDownload: (url: string) => Promise.resolve(url === URL_) };
    assert.deepEqual(await findBase(online), { kind: "download", url: URL_ });
    const archive = `${folder}/dl/release/v9.8.7/denort-x86_64-unknown-linux-gnu.zip`;
    await Deno.mkdir(`${folder}/dl/release/v9.8.7`, { recursive: true });
    await Deno.writeTextFile(archive, "PK");
    assert.deepEqual(await findBase(online), { kind: "cached", path: archive });
    const named = `${folder}/denort`;
    await Deno.writeFile(named, elf(62));
    assert.deepEqual(await findBase({ ...online, named }), { kind: "named", path: named });
    await Deno.writeFile(named, elf(183));
    assert.deepEqual(await findBase({ ...online, target: ARM, named }), { kind: "named", path: named });
  });
});

Deno.test("where there is no base, the message says what to download, and where it goes", async () => {
  await inFolder(async (places, folder) => {
    await assert.rejects(findBase(places), (error) => {
      assert.ok(error instanceof BaseError);
      assert.ok(error.message.includes(`${URL_} cannot be reached`));
      assert.ok(error.message.includes(`${folder}/dl/release/v9.8.7/denort-x86_64-unknown-linux-gnu.zip`));
      assert.ok(error.message.includes("DENORT_BIN=/path/to/denort deno task compile"));
      return true;
    });
  });
});

Deno.test("a named base that is none of the target's is refused, and nothing else is looked for", async () => {
  await inFolder(async (places, folder) => {
    const named = `${folder}/denort`;
    const refusal = (message: RegExp) => assert.rejects(findBase({ ...places, named }), message);
    await refusal(/^BaseError: DENORT_BIN: .*\/denort: No such file/);
    await Deno.writeFile(named, elf(183));
    await refusal(/\/denort is not for x86_64-unknown-linux-gnu/);
    await Deno.writeTextFile(named, "PK\x03\x04");
    await refusal(/\/denort is a ZIP archive; name the denort in it/);
    await Deno.writeTextFile(named, "#!/bin/sh");
    await refusal(/\/denort is no program for Linux/);
  });
});
