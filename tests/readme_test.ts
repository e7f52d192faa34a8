import assert from "node:assert/strict";
import { Backend, helloFor, readExactly, sayHello } from "./harness/peers.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";

const README = Deno.readTextFileSync(new URL("../README.md", import.meta.url));
const RUN = "npx -y deno@2.9.6 task -q mc-proxy ";

function blocks(language: string): string[] {
  return Array.from(
    README.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms")),
    ([, block]) => block ?? "",
  );
}

/** The command lines of the README that this test runs; the demo's are run by its own test. */
function commands(): string[] {
  return blocks("sh").flatMap((block) => block.trimEnd().split("\n")).filter((line) => line.startsWith(RUN));
}

Deno.test("the README's configuration is sound, and its commands do what they say", async () => {
  using backend = new Backend();
  const [example, ...others] = blocks("toml");
  assert.ok(example !== undefined && others.length === 0);
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const local = (text: string) => text.replaceAll("/srv/mc-proxy", folder);
  // Only what cannot be had in a test is other than in the README: the folder, the port and the backend.
  const config = local(example).replace('":443"', '"127.0.0.1:0"').replace("127.0.0.1:18443", backend.addr);
  await Deno.writeTextFile(`${folder}/config.toml`, config);

  const [check, server, snapshot, ...more] = commands().map((line) => local(line.slice(RUN.length)).split(" "));
  assert.ok(check && server && snapshot && more.length === 0, "every command of the README is run here");
  const checked = await runProgram(check);
  assert.deepEqual(checked, { code: 0, stdout: `${folder}/config.toml: OK (1 listener, 2 routes)\n`, stderr: "" });

  await using proxy = Proxy.run(server, { folder, environment: { MCPROXY_LOG_FORMAT: "json" } });
  await proxy.event("ready");
  const hello = helloFor("git.example.net");
  using _client = await sayHello(proxy.address(), "git.example.net");
  using served = await backend.accept();
  assert.deepEqual(await readExactly(served, hello.length), hello);

  const saved = await runProgram(snapshot);
  assert.deepEqual([saved.code, saved.stderr], [0, ""]);
  assert.ok((await Deno.stat(`${folder}/backup.db`)).size > 0);
});

Deno.test("the README's table of commands is that of --help", async () => {
  const { stdout } = await runProgram(["--help"]);
  const helped = Array.from(stdout.matchAll(/^ {2}(\w+) /gm), ([, name]) => name).sort();
  const table = Array.from(README.matchAll(/^\| `(\w+)[^`]*` +\| (?!both)/gm), ([, name]) => name);
  for (const name of helped) assert.ok(table.includes(name), `${name} is missing in the README`);
});

Deno.test("the README's test command is the one that CI runs", async () => {
  const lines = blocks("sh").flatMap((block) => block.trimEnd().split("\n"));
  const test = lines.find((line) => line.endsWith("task test"));
  assert.ok(test);
  const ci = await Deno.readTextFile(new URL("../.ci/run", import.meta.url));
  assert.ok(ci.split("\n").includes(test));
});

Deno.test("every end of a connection is in the README", async () => {
  const sources = await Promise.all(
    ["counters.ts", "engine.ts"].map((name) => Deno.readTextFile(new URL(`../lib/edge/${name}`, import.meta.url))),
  );
  const reasons = /REJECT_REASONS = \[(.*?)\]/s.exec(sources[0] ?? "")?.[1] ?? "";
  const served = /type ServedEnd = (.*?);/s.exec(sources[1] ?? "")?.[1] ?? "";
  const names = Array.from(`${reasons}${served}`.matchAll(/"(\w+)"/g), ([, name]) => name);
  assert.ok(names.length > 20);
  for (const name of names) assert.ok(README.includes(`\`${name}\``), `${name} is missing in the README`);
});
