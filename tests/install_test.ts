/** scripts/install.sh, below a folder in place of the root of a host. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { shellQuote } from "../lib/cli/shell_word.ts";
import { programCommand } from "../scripts/program.ts";
import { shellLines } from "./harness/docs.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";
import { isInstalled, runTool, type ToolResult } from "./harness/tools.ts";

const SCRIPT = fileURLToPath(new URL("../scripts/install.sh", import.meta.url));
const onLinux = Deno.build.os === "linux";

/** A file that starts the program: what is installed. */
function programIn(folder: string): string {
  const { executable, args } = programCommand();
  const path = `${folder}/program`;
  Deno.writeTextFileSync(path, `#!/bin/sh\nexec ${[executable, ...args].map(shellQuote).join(" ")} "$@"\n`);
  Deno.chmodSync(path, 0o755);
  return path;
}

/** The command lines of a document's examples. */
function examples(document: string): string[] {
  const text = Deno.readTextFileSync(new URL(`../${document}`, import.meta.url));
  return shellLines(text);
}

/** An empty root, and the script on it. */
async function withRoot(
  test: (root: string, install: (...args: string[]) => Promise<ToolResult>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const root = `${folder}/root`;
  const program = programIn(folder);
  await test(root, async (...args) => {
    const uninstalls = args.includes("--uninstall");
    const { code, stdout, stderr } = await runTool("sh", [
      SCRIPT,
      "--root",
      root,
      ...uninstalls ? [] : ["--binary", program],
      ...args,
    ]);
    assert.deepEqual([code, stderr], [0, ""], args.join(" "));
    return { code, stdout: stdout.replaceAll(root, "ROOT"), stderr };
  });
  await Deno.remove(folder, { recursive: true });
}

/** All below a folder: its mode, what it links to, and when it was changed. */
function treeOf(folder: string, path = ""): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(`${folder}${path}`)) {
    const each = `${path}/${name}`;
    const { mode, ctime } = Deno.lstatSync(folder + each);
    const what = isSymlink ? `-> ${Deno.readLinkSync(folder + each)}` : ((mode ?? 0) & 0o7777).toString(8);
    tree[each] = `${what} ${isDirectory ? "folder" : ctime?.toISOString()}`;
    if (isDirectory) Object.assign(tree, treeOf(folder, each));
  }
  return tree;
}

/** What is at a path of the tree, without its time. */
function at(tree: Readonly<Record<string, string>>, path: string): string | undefined {
  return tree[path]?.replace(/ [^ ]*$/, "");
}

Deno.test({
  name: "the install script puts everything where it belongs, with its mode (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withRoot(async (root, install) => {
      assert.match((await install()).stdout, /^install ROOT\/usr\/local\/bin\/mc-proxy$/m);
      const tree = treeOf(root);
      const expected = {
        "/usr/local/bin/mc-proxy": "755",
        "/usr/local/bin/mcproxyctl": "-> mc-proxy",
        "/usr/local/share/man/man8/mc-proxy.8": "644",
        "/usr/local/share/man/man8/mcproxyctl.8": "-> mc-proxy.8",
        "/usr/local/share/bash-completion/completions/mc-proxy": "644",
        "/usr/local/share/bash-completion/completions/mcproxyctl": "-> mc-proxy",
        "/usr/local/share/zsh/site-functions/_mc_proxy": "644",
        "/usr/local/share/fish/vendor_completions.d/mc-proxy.fish": "644",
        "/usr/local/share/mc-proxy/example.toml": "644",
        "/usr/local/lib/sysusers.d/mc-proxy.conf": "644",
        "/usr/local/lib/systemd/system/mc-proxy.service": "644",
        "/usr/local/lib/systemd/system/mc-proxy-backup.service": "644",
        "/usr/local/lib/systemd/system/mc-proxy-backup.timer": "644",
        "/srv/mc-proxy": "750",
        "/srv/mc-proxy/certs": "750",
        "/srv/mc-proxy/backups": "700",
        "/srv/mc-proxy/config.toml": "640",
      };
      assert.deepEqual(Object.fromEntries(Object.keys(expected).map((path) => [path, at(tree, path)])), expected);
      const files = Object.keys(tree).filter((path) => !tree[path]?.endsWith(" folder"));
      assert.equal(files.length, Object.values(expected).length - 3, "and nothing else");
      const completions = Deno.readTextFileSync(`${root}/usr/local/share/bash-completion/completions/mc-proxy`);
      assert.match(completions, /^# bash completion for mc-proxy and mcproxyctl/);
    });
  },
});

Deno.test({
  name: "to install again changes nothing, and a configuration that is there stays (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withRoot(async (root, install) => {
      await install();
      Deno.writeTextFileSync(`${root}/srv/mc-proxy/config.toml`, "# of this host\n");
      const before = treeOf(root);
      const { stdout } = await install();
      assert.equal(stdout, "ROOT/srv/mc-proxy/config.toml is there already, and stays as it is\nnothing to do\n");
      assert.deepEqual(treeOf(root), before);
      assert.equal(Deno.readTextFileSync(`${root}/srv/mc-proxy/config.toml`), "# of this host\n");

      const program = `${root}/usr/local/bin/mc-proxy`;
      Deno.writeTextFileSync(program, "an older version");
      assert.match((await install()).stdout, /^install ROOT\/usr\/local\/bin\/mc-proxy$/m);
      assert.match(Deno.readTextFileSync(program), /^#!\/bin\/sh\n/);
    });
  },
});

Deno.test({
  name: "to uninstall leaves the data, unless it is to be purged (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withRoot(async (root, install) => {
      await install();
      Deno.writeTextFileSync(`${root}/srv/mc-proxy/mc-proxy.db`, "x");
      assert.match((await install("--uninstall")).stdout, /ROOT\/srv\/mc-proxy stays; --purge removes it\n$/);
      const left = treeOf(root);
      const files = Object.keys(left).filter((path) => !left[path]?.endsWith(" folder")).sort();
      assert.deepEqual(files, ["/srv/mc-proxy/config.toml", "/srv/mc-proxy/mc-proxy.db"]);
      assert.match((await install("--uninstall", "--purge")).stdout, /^remove ROOT\/srv\/mc-proxy$/m);
      assert.deepEqual(Array.from(Deno.readDirSync(`${root}/srv`)), []);
      assert.equal((await install("--uninstall", "--purge")).stdout, "nothing to do\n");
    });
  },
});

Deno.test({
  name: "a dry run says what would be done, and does nothing (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withRoot(async (root, install) => {
      const dry = await install("--dry-run");
      assert.throws(() => Deno.statSync(root), Deno.errors.NotFound);
      const done = await install();
      const lines = (text: string) => text.split("\n").filter((line) => line.includes("ROOT"));
      assert.deepEqual(lines(dry.stdout), lines(done.stdout).map((line) => `would ${line}`));
      const before = treeOf(root);
      assert.match(
        (await install("--uninstall", "--dry-run")).stdout,
        /^would remove ROOT\/usr\/local\/bin\/mc-proxy$/m,
      );
      assert.deepEqual(treeOf(root), before);
    });
  },
});

Deno.test({
  name: "the install script says what is wrong in a line, and does nothing (needs Linux)",
  ignore: !onLinux,
  async fn() {
    const folder = await Deno.makeTempDir();
    const wrong = [
      [["--root", folder, "--binary", "/none"], 1, /^install\.sh: there is no program at \/none: make it with .+\n$/],
      [["--root"], 2, /^install\.sh: --root needs a value; see --help\n$/],
      [["--root", folder, "--purge"], 2, /^install\.sh: --purge goes with --uninstall\n$/],
      [["--prefix", "/usr"], 2, /^install\.sh: unknown option: --prefix; see --help\n$/],
    ] as const;
    for (const [args, code, message] of wrong) {
      const result = await runTool("sh", [SCRIPT, ...args]);
      assert.equal(result.code, code);
      assert.match(result.stderr, message);
    }
    assert.deepEqual(Array.from(Deno.readDirSync(folder)), []);
    await Deno.remove(folder);
  },
});

Deno.test({
  name: "the install script is sound in the eyes of shellcheck (needs shellcheck)",
  ignore: !isInstalled("shellcheck"),
  async fn() {
    assert.deepEqual(await runTool("shellcheck", [SCRIPT]), { code: 0, stdout: "", stderr: "" });
  },
});

Deno.test({
  name:
    "a folder that a group may pass through stays so in an update, and one that others see into does not (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withRoot(async (root, install) => {
      await install();
      const modeBehind = async (mode: number) => {
        Deno.chmodSync(`${root}/srv/mc-proxy`, mode);
        await install();
        return (Deno.statSync(`${root}/srv/mc-proxy`).mode ?? 0) & 0o7777;
      };
      assert.equal(await modeBehind(0o710), 0o710);
      assert.equal(await modeBehind(0o755), 0o750);
    });
  },
});

Deno.test("the configuration that is installed is sound", async () => {
  const folder = await Deno.makeTempDir();
  const text = Deno.readTextFileSync(new URL("../config/first.toml", import.meta.url));
  Deno.writeTextFileSync(`${folder}/config.toml`, text.replaceAll("/srv/mc-proxy", folder));
  const { code, stdout, stderr } = await runProgram(["check", "-c", `${folder}/config.toml`]);
  assert.deepEqual([code, stderr, stdout], [0, "", `${folder}/config.toml: OK (1 listener, 0 routes)\n`]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name:
    "the units that the documents start are those that are installed, and their script's options are its own (needs Linux)",
  ignore: !onLinux,
  async fn() {
    await withRoot(async (root, install) => {
      await install();
      const lines = [...examples("README.md"), ...examples("docs/INSTALL.md")];
      const starts = lines.filter((line) => line.includes("systemctl enable"));
      assert.equal(starts.length, 2);
      for (const unit of starts.flatMap((line) => line.split(" ").filter((word) => word.startsWith("mc-proxy")))) {
        assert.ok(Deno.statSync(`${root}/usr/local/lib/systemd/system/${unit}`).isFile, unit);
      }
      const scripts = lines.filter((line) => line.startsWith("sudo scripts/install.sh"));
      assert.deepEqual(scripts.map((line) => line.split(" ").slice(2)), [[], [], ["--uninstall"]]);
      await install("--uninstall");
    });
  },
});

Deno.test("the backup of docs/INSTALL.md is made while the server runs", async () => {
  const [snapshot, ...others] = examples("docs/INSTALL.md").filter((line) => line.startsWith("mc-proxy snapshot "));
  assert.ok(snapshot !== undefined && others.length === 0);
  const unit = Deno.readTextFileSync(new URL("../config/systemd/mc-proxy-backup.service", import.meta.url));
  assert.ok(unit.includes(`\nExecStart=/usr/local/bin/${snapshot}\n`), "it is the command of the timer's unit");
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  await Deno.mkdir(`${folder}/backups`);
  await using _proxy = await Proxy.start({ listeners: [{ addr: "127.0.0.1:0", routes: [] }] }, { folder });
  // Only the folder is other than in the document.
  const args = snapshot.replaceAll("/srv/mc-proxy", folder).replace("config.toml", "mc-proxy.toml").split(" ").slice(1);
  const { code, stdout, stderr } = await runProgram(args);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout.slice(folder.length), /^\/backups\/mc-proxy-\d{8}T\d{6}Z\.db \(\d+ bytes\)\n$/);
});
