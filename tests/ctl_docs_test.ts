import assert from "node:assert/strict";
import { ADDR, administered } from "./harness/admin.ts";
import { codeBlocks } from "./harness/docs.ts";
import { runProgram } from "./harness/proxy.ts";

const PAGE = await Deno.readTextFile(new URL("../docs/CTL.md", import.meta.url));

function blocks(language: string): string[] {
  return codeBlocks(PAGE, language);
}

Deno.test("the configuration in git of docs/CTL.md is applied as the page says", async () => {
  const [[toml, ...files], [dialogue, ...others]] = [blocks("toml"), blocks("console")];
  assert.ok(toml !== undefined && dialogue !== undefined);
  assert.deepEqual([files, others], [[], []]);
  await using test = await administered([
    { hostname: "git.example.net", backend: "127.0.0.1:18443" },
    { hostname: "old.example.net", backend: "127.0.0.1:18446" },
  ], { firewall: { blocked_ips: ["192.0.2.66"], blocked_cidrs: ["198.51.100.0/24"] } });
  const { folder } = test.proxy;
  // Only what cannot be had in a test is other than on the page: the folder, the socket and the port.
  const local = (text: string) =>
    text.replaceAll("/srv/mc-proxy/mc-proxy.sock", test.socket).replaceAll("/srv/mc-proxy", folder)
      .replaceAll(/(?<!\d):443/g, ADDR);
  Deno.writeTextFileSync(`${folder}/config.toml`, local(toml));
  const parts = dialogue.split(/^\$ mc-proxy (.*)\n/m).slice(1);
  assert.equal(parts.length, 8);
  for (let i = 0; i < parts.length; i += 2) {
    const [command = "", printed = ""] = parts.slice(i, i + 2);
    const { code, stdout, stderr } = await runProgram(
      command.replace("config.toml", `${folder}/config.toml`).split(" "),
    );
    assert.deepEqual([stdout, stderr], [local(printed), ""], command);
    assert.equal(code, command.startsWith("ctl diff") && !printed.startsWith("no ") ? 1 : 0, command);
  }
});

/** What a document may hold, by its keys; of an array, that of its first item. */
function keysOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(keysOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, keysOf(each)]));
}

Deno.test("what apply --json prints has the shape of docs/CTL.md", async () => {
  const documented = blocks("json").map((block) => JSON.parse(block)).find(({ result }) => result === "applied");
  await using test = await administered();
  const file = `${test.proxy.folder}/wanted.toml`;
  await Deno.writeTextFile(
    file,
    `database.path = "x.db"
    grpc.addr = "${test.socket}"
    firewall.blocked_cidrs = ["198.51.100.0/24"]
    listeners = [
      { addr = "${ADDR}", max_connections = 5, routes = [{ hostname = "a.test", backend = "127.0.0.1:1" }] },
      { addr = "localhost:0" },
    ]`,
  );
  const { stdout } = await runProgram(["ctl", "apply", "--json", file]);
  assert.deepEqual(keysOf(JSON.parse(stdout)), keysOf(documented));
});

Deno.test("the size of a request that docs/CTL.md tells is that of the program", async () => {
  const source = await Deno.readTextFile(new URL("../lib/admin/server.ts", import.meta.url));
  assert.match(source, /^const MAX_REQUEST = 32 \* 1024 \* 1024;$/m);
  assert.match(PAGE, /up to 32 MiB at once/);
});

Deno.test("links from one page to another lead to what is there", async () => {
  const pages = ["../README.md", "../docs/CTL.md", "../docs/CONFIG.md", "../docs/HTTP.md", "../docs/METRICS.md"];
  for (const page of pages) {
    const url = new URL(page, import.meta.url);
    const text = await Deno.readTextFile(url);
    for (const [, target = ""] of text.replaceAll(/^```.*?^```$/gms, "").matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const to = new URL(target, url);
      const fragment = to.hash.slice(1);
      to.hash = "";
      const there = await Deno.readTextFile(to);
      if (fragment === "") continue;
      const anchors = Array.from(
        there.matchAll(/^#+ (.*)$/gm),
        ([, title = ""]) => title.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-"),
      );
      assert.ok(anchors.includes(fragment), `${page}: ${target}`);
    }
  }
});
