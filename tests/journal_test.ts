/** What the journal of systemd is told of the priority of each line: sd-daemon(3). */
import assert from "node:assert/strict";
import { NotifySocket } from "./harness/notify_socket.ts";
import { Backend, sayHello } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";
import { isInstalled, runTool } from "./harness/tools.ts";

const onLinux = Deno.build.os === "linux";
const FORMATS = ["text", "json"] as const;

/** Has standard error taken for the journal, as systemd does: what it is now, by its device and inode. */
const AS_JOURNAL = ["sh", "-c", 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$0" "$@"'] as const;

function settings(backends: readonly string[], format: "text" | "json") {
  const routes = backends.map((backend) => ({ hostname: "*", backend }));
  return { listeners: [{ addr: "127.0.0.1:0", routes }], log: { format } };
}

/** A folder whose database has a route to a backend, so that a file with another is warned of. */
async function seededFolder(backend = "127.0.0.1:1"): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const seeded = await Proxy.start(settings([backend], "json"), { folder });
  await seeded.kill();
  return folder;
}

for (const format of FORMATS) {
  testEachEngine(`every line has its priority where standard error is the journal, as ${format}`, async () => {
    if (!onLinux) return;
    using backend = new Backend();
    const folder = await seededFolder(backend.addr);
    await using proxy = Proxy.spawn(settings([], format), { folder, wrapper: AS_JOURNAL });
    const has = (event: string) => (text: string) => new RegExp(`[" ]${event}[" ]`).test(text);
    const listening = await proxy.log.find(({ line }) => has("listening")(String(line)));
    const port = Number(/"?addr"?[=:]"?127\.0\.0\.1:(\d+)/.exec(String(listening["line"]))?.[1]);
    const client = await sayHello({ transport: "tcp", hostname: "127.0.0.1", port }, "a.test");
    (await backend.accept()).close();
    client.close();
    await proxy.log.find(({ line }) => has("connection")(String(line)));
    proxy.signal("SIGTERM");
    assert.equal((await proxy.exit()).code, 0);
    const lines = proxy.log.seen.map(({ line }) => String(line));
    for (const line of lines) {
      const [, priority, level] = /^<(\d)>(?:\d\S+ |\{"time":"[^"]+","level":")(\w+)/.exec(line) ?? [];
      assert.equal(priority, { error: "3", warn: "4", info: "6" }[level ?? ""], line);
    }
    for (const event of ["config_differs", "ready", "connection", "stopped"]) {
      assert.equal(lines.filter(has(event)).length, 1, event);
    }
  });
}

Deno.test({
  name: "a line has no priority where standard error is not the stream of JOURNAL_STREAM (needs Linux)",
  ignore: !onLinux,
  async fn() {
    for (const stream of ["", "1:1", "no stream"]) {
      const config = { listeners: [{ addr: "127.0.0.1:0" }] };
      await using proxy = await Proxy.start(config, { environment: { JOURNAL_STREAM: stream } });
      assert.ok(proxy.log.seen.every(({ event }) => event !== "stderr"));
    }
  },
});

Deno.test({
  name: "warnings and errors of a command have their priority in the journal (needs Linux)",
  ignore: !onLinux,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
    Deno.writeTextFileSync(
      `${folder}/a.toml`,
      `listeners = [{ addr = "256.0.0.1:0" }]\n[database]\npath = "a.db"\n[proxy]\nengine = "portable"\nworkers = 2\n`,
    );
    await using proxy = Proxy.run(["check", "-c", `${folder}/a.toml`], { folder, wrapper: AS_JOURNAL });
    assert.equal((await proxy.exit()).code, 1);
    const lines = proxy.log.seen.map(({ line }) => String(line));
    assert.ok(lines.length > 0);
    for (const line of lines) assert.match(line, line.includes("warning: ") ? /^<4>\// : /^<3>\//);
  },
});

const hasJournal = isInstalled("systemd-cat") && isInstalled("journalctl") &&
  new Deno.Command("systemd-cat", { args: ["true"], stderr: "null" }).outputSync().success;

for (const format of FORMATS) {
  Deno.test({
    name:
      `journalctl -p warning finds the warnings of the log and nothing else, as ${format} (needs a running journal)`,
    ignore: !hasJournal,
    async fn() {
      const folder = await seededFolder();
      await using socket = await NotifySocket.listen(`${folder}/notify`);
      const identifier = `mc-proxy-${crypto.randomUUID()}`;
      const wrapper = ["systemd-cat", "-t", identifier, ...AS_JOURNAL] as const;
      await using proxy = Proxy.spawn(settings([], format), {
        folder,
        wrapper,
        environment: { NOTIFY_SOCKET: socket.path },
      });
      await Promise.race([socket.find("READY"), proxy.exit().then(() => assert.fail("the server ended"))]);
      proxy.signal("SIGTERM");
      assert.equal((await proxy.exit()).code, 0);
      await runTool("journalctl", ["--sync"]);
      const find = async (...more: string[]) => {
        const { stdout } = await runTool("journalctl", ["-t", identifier, "-o", "cat", "--no-pager", ...more]);
        return stdout.trimEnd().split("\n");
      };
      const [warnings, all] = [await find("-p", "warning"), await find()];
      assert.equal(warnings.length, 1, warnings.join("\n"));
      assert.match(warnings[0] ?? "", /config_differs/);
      assert.ok(all.length > warnings.length);
      // The journal took the prefix off.
      for (const line of all) assert.match(line, format === "json" ? /^\{"time":.*\}$/ : /^\d{4}-/);
    },
  });
}
