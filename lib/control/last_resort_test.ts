import assert from "node:assert/strict";

/** Runs a program that has these faults, one after the other; what it reported, how it ended. */
async function run(faults: readonly string[], isCovered: boolean): Promise<{ reported: string[]; code: number }> {
  const script = `
    import { EventEmitter } from "node:events";
    import process from "node:process";
    import { reportUnhandled } from ${JSON.stringify(new URL("./last_resort.ts", import.meta.url).href)};
    void [EventEmitter, process];
    const reported = Promise.withResolvers();
    ${isCovered ? "" : "// "}const covered = reportUnhandled((thrown) => { console.log(String(thrown)); next(); });
    const faults = [${faults.map((fault) => `() => { ${fault} }`).join()}];
    function next() {
      const fault = faults.shift();
      if (fault === undefined) reported.resolve();
      else setTimeout(fault);
    }
    next();
    const idle = setInterval(() => {}, 1000);
    await reported.promise;
    clearInterval(idle);
    ${isCovered ? "covered[Symbol.dispose]();" : ""}
  `;
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(file, script);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", file],
  }).output();
  Deno.removeSync(file);
  return { reported: new TextDecoder().decode(stdout).trimEnd().split("\n"), code };
}

const FAULTS = [
  `void Promise.reject(new Error("rejected"));`,
  `throw new Error("thrown in a timer");`,
  `queueMicrotask(() => { throw new Error("thrown in a microtask"); });`,
  `process.nextTick(() => { throw new Error("thrown in a tick"); });`,
  `new EventEmitter().emit("error", new Error("that nobody listens for"));`,
  `void Promise.reject("no error at all");`,
];

Deno.test("faults that nobody handles are reported, and the program goes on", async () => {
  assert.deepEqual(await run(FAULTS, true), {
    reported: [
      "Error: rejected",
      "Error: thrown in a timer",
      "Error: thrown in a microtask",
      "Error: thrown in a tick",
      "Error: that nobody listens for",
      "no error at all",
    ],
    code: 0,
  });
});

for (const fault of FAULTS) {
  Deno.test(`without that, the program would end: ${fault}`, async () => {
    assert.equal((await run([fault], false)).code, 1);
  });
}

Deno.test({
  name: "the stack of an error can be told when the process is out of descriptors",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const script = new URL("./testdata/stack_without_descriptors.ts", import.meta.url).pathname;
    const command = new Deno.Command("sh", {
      args: ["-c", 'ulimit -n 64 && exec "$0" "$@"', Deno.execPath(), "run", "--quiet", "--allow-read", script],
      env: { NO_COLOR: "1" },
    });
    await command.output(); // whatever is translated now is cached, and the parser has nothing to do the next time
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    assert.deepEqual([code, decoder.decode(stderr)], [0, ""]);
    assert.match(decoder.decode(stdout), /^Error: on purpose\n +at fail \(.*\/failing\.ts:4:9\)\n/);
  },
});
