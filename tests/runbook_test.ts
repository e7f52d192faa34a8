import assert from "node:assert/strict";
import { AdminClient } from "../mod.ts";
import { shellLines } from "./harness/docs.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";

const PAGE = await Deno.readTextFile(new URL("../docs/RUNBOOK.md", import.meta.url));

/** The lines of its shell blocks, in order. */
const LINES = shellLines(PAGE);

/** What stands under a heading, up to the next of its level. */
function section(heading: string): string {
  const level = heading.split(" ", 1)[0];
  const [, rest = ""] = PAGE.split(`\n${heading}\n`);
  return rest.split(`\n${level} `)[0] ?? "";
}

Deno.test("the runbook has every alert, and no other", async () => {
  const rules = await Deno.readTextFile(new URL("../config/alerts.yml", import.meta.url));
  const alerts = Array.from(rules.matchAll(/- alert: (\w+)/g), ([, name]) => name);
  assert.ok(alerts.length > 0);
  assert.deepEqual(Array.from(section("## Alerts").matchAll(/^### (\w+)$/gm), ([, name]) => name), alerts);
});

Deno.test("the runbook's messages are those of the program", async () => {
  let code = "";
  const read = async (folder: URL) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await read(new URL(`${name}/`, folder));
      else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) {
        code += await Deno.readTextFile(new URL(name, folder));
      }
    }
  };
  await read(new URL("../lib/", import.meta.url));
  const cells = section("## Messages").matchAll(/^\| (`.*?) +\|/gm);
  const messages = Array.from(
    cells,
    ([, cell = ""]) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, text = ""]) => text),
  )
    .flat();
  assert.ok(messages.length > 10);
  for (const message of messages) {
    // What stands in place of a name, or of the rest, is not in the code; nor is a message that is made of parts.
    for (const part of message.split(/…|[A-Z]{3,}|[()]/).map((text) => text.trim()).filter((text) => text.length > 3)) {
      assert.ok(code.includes(part), `"${part}" of "${message}" is nowhere in lib/`);
    }
  }
});

Deno.test("the runbook's commands work, and its way back to a snapshot is one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const socket = `${folder}/mc-proxy.sock`;
  // Only what cannot be had in a test is other than on the page: the folder, the port and the service manager.
  const local = (text: string) => text.replaceAll("/srv/mc-proxy", folder).replaceAll(/(?<= ):443/g, "127.0.0.1:0");
  const route = { hostname: "git.example.net", backend: "127.0.0.1:18443" };
  await Deno.writeTextFile(
    `${folder}/config.toml`,
    `[database]
path = "mc-proxy.db"
[grpc]
addr = "${socket}"
[log]
format = "json"
[[listeners]]
addr = "127.0.0.1:0"
[[listeners.routes]]
hostname = "${route.hostname}"
backend = "${route.backend}"
`,
  );
  const start = async () => {
    const proxy = Proxy.run(["server", "-c", `${folder}/config.toml`], { folder });
    await proxy.event("ready");
    return proxy;
  };
  const run = async (line: string) => {
    const [program = "", ...args] = local(line).split(" ");
    if (program === "mc-proxy") {
      // Where no socket is named, it is that of the installed service.
      const named = args.includes("-c") ? args : [...args, "--addr", socket];
      const { code, stderr } = await runProgram(named);
      assert.deepEqual([code, stderr], [0, ""], line);
    } else {
      const { success, stderr } = await new Deno.Command(program, { args }).output();
      assert.ok(success, `${line}: ${new TextDecoder().decode(stderr)}`);
    }
  };
  let proxy = await start();
  let ran = 0;
  let isRestored = false;
  using _end = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
  try {
    for (const line of LINES) {
      if (/^(journalctl|openssl|systemctl status)/.test(line) || line.endsWith("ctl top")) continue;
      ran++;
      if (line === "systemctl stop mc-proxy") {
        proxy.signal("SIGTERM");
        assert.equal((await proxy.exit()).code, 0);
      } else if (line === "systemctl start mc-proxy") {
        proxy = await start();
        isRestored ||= line === LINES.at(-1);
      } else {
        await run(line);
      }
      if (line.includes(" snapshot ")) {
        using admin = new AdminClient(socket);
        await admin.removeRoute("127.0.0.1:0", route.hostname);
      }
    }
    assert.ok(ran > 10 && isRestored);
    using admin = new AdminClient(socket);
    const [listener] = (await admin.getStatus()).listeners;
    assert.deepEqual(listener?.routes.map(({ hostname }) => hostname), [route.hostname]);
  } finally {
    await proxy.kill();
  }
});
