/** A certificate file without the intermediate, which browsers mend and most other clients refuse. */
import assert from "node:assert/strict";
import { makeChain } from "../lib/control/testdata/make_chain.ts";
import { programCommand } from "../scripts/program.ts";
import { administered } from "./harness/admin.ts";

const MISSING = (name: string) =>
  `its chain is incomplete: the file lacks the intermediate certificate of "${name}", and clients refuse it ` +
  "(unknown_ca); use the full chain, such as fullchain.pem";

async function run(environment: Record<string, string>, ...arguments_: readonly string[]) {
  const { executable, args } = programCommand();
  const command = new Deno.Command(executable, { args: [...args, ...arguments_], env: environment, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("check, a start and routes add tell of a chain that ends before an authority of the system", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const { leaf, intermediate, root, key } = await makeChain("a.test");
  Deno.writeTextFileSync(`${folder}/root.pem`, root);
  Deno.writeTextFileSync(`${folder}/key.pem`, key);
  const environment = { SSL_CERT_FILE: `${folder}/root.pem` };
  const route = { hostname: "a.test", backend: "127.0.0.1:1", mode: "l7", tls_cert: "cert.pem", tls_key: "key.pem" };
  Deno.writeTextFileSync(`${folder}/cert.pem`, leaf);
  await using test = await administered([route], {}, { folder, environment });
  const line = await test.proxy.event("config", { key: "listeners[0].routes[0].tls_cert" });
  assert.equal(line["message"], `${folder}/cert.pem: ${MISSING("Intermediate")}`);
  const file = `${folder}/mc-proxy.toml`;
  const check = async () => {
    const { stderr } = await run(environment, "check", "-c", file);
    return stderr.split("\n").filter((line) => line.includes("chain is incomplete"));
  };
  const [told = "", ...more] = await check();
  assert.ok(told.endsWith(MISSING("Intermediate")) && more.length === 0, told);
  const add = ["ctl", "-c", file, "routes", "add", test.addr, "*.test", "127.0.0.1:1", "--mode", "l7"];
  const files = ["--tls-cert", `${folder}/cert.pem`, "--tls-key", `${folder}/key.pem`];
  const added = await run(environment, ...add, ...files);
  assert.equal(added.code, 0, added.stderr);
  assert.match(added.stderr, /warning: .*lacks the intermediate certificate of "Intermediate"/);
  Deno.writeTextFileSync(`${folder}/cert.pem`, leaf + intermediate);
  assert.deepEqual(await check(), []);
});
