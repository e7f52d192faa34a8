/** Whose the files are that the program makes: its own user's alone, under the umask of most shells. */
import assert from "node:assert/strict";
import { administered } from "./harness/admin.ts";
import { Proxy } from "./harness/proxy.ts";
import { programCommand } from "../scripts/program.ts";

/** Runs the program under the umask that systems come with, which leaves others the right to read. */
const WITH_UMASK = ["sh", "-c", 'umask 022 && exec "$0" "$@"'] as const;

const isUnix = Deno.build.os !== "windows";

function modes(folder: string, pattern: RegExp): Record<string, string> {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).filter((name) => pattern.test(name)).sort();
  return Object.fromEntries(
    names.map((name) => [name, ((Deno.statSync(`${folder}/${name}`).mode ?? 0) & 0o777).toString(8)]),
  );
}

async function run(...arguments_: readonly string[]): Promise<void> {
  const { executable, args } = programCommand();
  const [shell, ...rest] = [...WITH_UMASK, executable, ...args, ...arguments_];
  const { success, stderr } = await new Deno.Command(shell ?? "", { args: rest }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

Deno.test({
  name: "database, side files, snapshots and exports are the owner's alone under any umask (needs Unix)",
  ignore: !isUnix,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
    await using test = await administered([], {}, { folder, wrapper: WITH_UMASK });
    const file = `${test.proxy.folder}/mc-proxy.toml`;
    await run("snapshot", "-c", file, "-o", `${folder}/copy.db`);
    await run("ctl", "-c", file, "export", "-o", `${folder}/export.toml`);
    assert.deepEqual(modes(folder, /\.db|^export/), {
      "copy.db": "600",
      "export.toml": "600",
      "mc-proxy.db": "600",
      "mc-proxy.db-shm": "600",
      "mc-proxy.db-wal": "600",
      "mc-proxy.db.lock": "600",
    });
  },
});

Deno.test({
  name: "a database that others could read is the owner's alone from the next start on (needs Unix)",
  ignore: !isUnix,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
    const config = { listeners: [{ addr: "127.0.0.1:0" }] };
    const first = await Proxy.start(config, { folder });
    await first.kill(); // its side files stay
    const files = Object.keys(modes(folder, /\.db/));
    assert.ok(files.includes("mc-proxy.db-wal"));
    for (const name of files) Deno.chmodSync(`${folder}/${name}`, 0o644);
    await using _proxy = await Proxy.start(config, { folder, wrapper: WITH_UMASK });
    assert.deepEqual(new Set(Object.values(modes(folder, /\.db/))), new Set(["600"]));
  },
});
