import assert from "node:assert/strict";
import { countLines, emptyLog } from "./connection_log.ts";

async function withFile(test: (file: string) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "mc-proxy-" });
  try {
    await test(file);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("lines are counted once those that are wanted are there", () =>
  withFile(async (file) => {
    await Deno.writeTextFile(file, "one\n");
    const counted = countLines(file, 3);
    await Deno.writeTextFile(file, "two\nthree\nfour", { append: true });
    await Deno.writeTextFile(file, "\n", { append: true });
    const lines = await counted;
    assert.ok(lines === 3 || lines === 4, String(lines));
  }));

Deno.test("a log that begins anew counts what comes behind", () =>
  withFile(async (file) => {
    using writer = await Deno.open(file, { append: true });
    await writer.write(new TextEncoder().encode("one\ntwo\n"));
    await emptyLog(file);
    await writer.write(new TextEncoder().encode("three\n"));
    assert.equal(await countLines(file, 1), 1);
    assert.equal(await Deno.readTextFile(file), "three\n");
  }));

Deno.test("a log without a line is an error", () =>
  withFile(async (file) => {
    await assert.rejects(countLines(file, 0), (error) => error instanceof Error && error.message.includes(file));
  }));
