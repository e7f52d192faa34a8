import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { makeProgram } from "../main.ts";
import { completionScript } from "./completions.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** What is offered at the end of a line; `FILES` are the names of files. */
const OFFERED: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ["mc-proxy ", ["server", "check", "status", "snapshot", "apply", "ctl", "completions", "version", "help"]],
  ["mc-proxy s", ["server", "status", "snapshot"]],
  ["mc-proxy check -c ", ["FILES"]],
  ["mc-proxy server --co", ["--config"]],
  ["mc-proxy completions ", ["bash", "zsh", "fish"]],
  ["mc-proxy status --", ["--addr", "--config", "--help", "--json", "--watch"]],
  ["mc-proxy ctl ", [
    ...["status", "health", "top", "routes", "policies", "firewall", "listeners", "diff", "apply", "export", "help"],
  ]],
  ["mc-proxy ctl -c FILE r", ["routes"]],
  ["mc-proxy ctl --json routes ", ["list", "add", "remove", "help"]],
  ["mc-proxy ctl help f", ["firewall"]],
  ["mc-proxy ctl routes list ", []],
  ["mc-proxy ctl routes add :443 git.example.net 127.0.0.1:1 --tls-cert ", ["FILES"]],
  ["mc-proxy ctl routes add :443 www.example.net 127.0.0.1:1 --backend-s", ["--backend-server-name"]],
  ["mc-proxy ctl routes add --mode ", ["l4", "l7"]],
  ["mc-proxy ctl routes add :443 --backend-protocol h", ["h2", "http1"]],
  ["mc-proxy ctl policies add :443 www.example.net ", [
    "block_user_agent",
    "block_user_agent_any_case",
    "require_header",
  ]],
  ["mc-proxy ctl policies add :443 --addr SOCKET www.example.net r", ["require_header"]],
  ["mc-proxy ctl firewall remove ", ["ip", "cidr", "country"]],
  ["mc-proxy ctl listeners s", ["set-max-connections"]],
  ["mc-proxy ctl diff ", ["FILES"]],
  ["mc-proxy ctl -c FILE apply --prune ", ["FILES"]],
  ["mc-proxy ctl apply FILE ", []],
  ["mc-proxy ctl apply --p", ["--prune"]],
  ["mc-proxy ctl export -o ", ["FILES"]],
  ["mcproxyctl apply ", ["FILES"]],
  ["mcproxyctl l", ["listeners"]],
  ["mcproxyctl firewall add c", ["cidr", "country"]],
];

function isThere(shell: string): boolean {
  try {
    return new Deno.Command(shell, { args: ["-c", "exit 0"], stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function script(shell: typeof SHELLS[number]): string {
  const silent = { out: () => {}, err: () => {} };
  const programs = (["mc-proxy", "mcproxyctl"] as const).map((name) => makeProgram(name, silent, () => {}));
  return completionScript(shell, programs);
}

for (const shell of SHELLS) {
  const ignore = !isThere(shell);
  Deno.test({
    name: `${shell} completes commands, options and their values${ignore ? ` (not tested: there is no ${shell})` : ""}`,
    ignore,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
      try {
        await Deno.writeTextFile(`${folder}/script`, script(shell));
        await Deno.mkdir(`${folder}/cwd`);
        await Deno.writeTextFile(`${folder}/cwd/FILES`, "");
        const asking = fileURLToPath(new URL(`testdata/candidates.${shell}`, import.meta.url));
        const child = new Deno.Command(shell, {
          args: [...shell === "zsh" ? ["-f"] : [], asking, `${folder}/script`],
          cwd: `${folder}/cwd`,
          env: { HOME: folder },
          stdin: "piped",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(OFFERED.map(([line]) => `${line}\n`).join("")));
        await writer.close();
        const { stdout, stderr } = await child.output();
        assert.equal(new TextDecoder().decode(stderr), "");
        const answers = new TextDecoder().decode(stdout).trimEnd().split("\n");
        const offered = answers.map((line) => line.split(" ").filter((word) => word !== "").sort());
        assert.deepEqual(
          OFFERED.map(([line], i) => [line, offered[i]]),
          OFFERED.map(([line, words]) => [line, words.toSorted()]),
        );
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
