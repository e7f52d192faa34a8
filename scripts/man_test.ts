import assert from "node:assert/strict";
import type { Command } from "commander";
import { makeProgram } from "../lib/cli/main.ts";
import { isInstalled, runTool } from "../tests/harness/tools.ts";
import { MAN_PAGE, manPage } from "./man.ts";

Deno.test("the manual page is what the definitions of the command line make it: deno task man", () => {
  assert.equal(Deno.readTextFileSync(MAN_PAGE), manPage());
});

Deno.test("every command and every option is in the manual page", () => {
  const page = manPage().replaceAll("\\-", "-");
  const visit = (command: Command, path: string) => {
    const help = command.createHelp();
    assert.ok(page.includes(command.description()), path);
    for (const { flags } of help.visibleOptions(command).filter(({ long }) => long !== "--help")) {
      assert.ok(page.includes(`\n.B ${flags}\n`), `${path} ${flags}`);
    }
    for (const each of help.visibleCommands(command).filter((each) => each.name() !== "help")) {
      assert.match(page, new RegExp(`^\\.SS "${path} ${each.name()}[ "]`, "m"));
      visit(each, `${path} ${each.name()}`);
    }
  };
  const program = makeProgram("mc-proxy", { out: () => {}, err: () => {} }, () => {});
  for (const each of program.commands.filter((each) => each.name() !== "mcproxyctl")) {
    visit(each, `mc-proxy ${each.name()}`);
  }
});

Deno.test({
  name: "the manual page is sound roff (needs groff)",
  ignore: !isInstalled("groff"),
  async fn() {
    const { code, stdout, stderr } = await runTool("groff", ["-man", "-Tutf8", "-ww", MAN_PAGE]);
    assert.deepEqual([code, stderr], [0, ""]);
    // deno-lint-ignore no-control-regex
    const text = stdout.replaceAll(/\x1b\[[\d;]*m|.\x08/g, ""); // bold is told by sequences, or by overprinting
    assert.match(text, /^NAME\n +mc-proxy, mcproxyctl - a TLS edge proxy\n/m);
    assert.match(text, /^ {3}mc-proxy ctl routes add <LISTENER> <HOST> <BACKEND>$/m);
  },
});
