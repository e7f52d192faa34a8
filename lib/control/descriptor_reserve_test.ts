import assert from "node:assert/strict";
import { DescriptorReserve, isDescriptorFree } from "./descriptor_reserve.ts";

Deno.test("a reserve lends as many as it holds, and is full again in time", async () => {
  using reserve = new DescriptorReserve(2);
  assert.equal(reserve.available, 2);
  assert.deepEqual([reserve.lend(), reserve.lend(), reserve.lend()], [true, true, false]);
  reserve.returned();
  while (reserve.available < 2) await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("what the reserve gives up is a descriptor that others can have", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const test = `
    import { DescriptorReserve, isDescriptorFree } from ${
    JSON.stringify(new URL("./descriptor_reserve.ts", import.meta.url).href)
  };
    const reserve = new DescriptorReserve(3);
    const held = [];
    const take = () => {
      let count = 0;
      for (; isDescriptorFree(); count++) held.push(Deno.openSync("/dev/null"));
      return count;
    };
    const free = take() > 0;
    const lent = reserve.lend();
    const more = take();
    held.pop().close();
    reserve.returned();
    while (reserve.available < 3) await new Promise((resolve) => setTimeout(resolve));
    console.log(JSON.stringify([free, lent, more, isDescriptorFree()]));
  `;
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(file, test);
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 120 && exec "$0" run --no-check -A "$1"', Deno.execPath(), file],
  }).output();
  Deno.removeSync(file);
  const text = new TextDecoder().decode(stdout).trim();
  assert.equal(text, "[true,true,1,false]", new TextDecoder().decode(stderr));
});

Deno.test("whether a descriptor is free can be told", () => {
  assert.equal(isDescriptorFree(), true);
});
