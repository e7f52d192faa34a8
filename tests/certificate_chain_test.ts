/** A certificate file without the intermediate, which browsers mend and most other clients refuse. */
import assert from "node:assert/strict";
import { makeChain } from "../lib/control/testdata/make_chain.ts";
import { programCommand } from "../scripts/program.ts";
import { administered } from "./harness/admin.ts";

const MISSING = (name: string) =>
  `its chain does not lead to a root: "${name}", which signed its last certificate, is neither in the file nor among ` +
  "this machine's authorities, and clients that do not have it refuse the connection (unknown_ca); if it is an " +
  "intermediate, use the full chain (fullchain.pem); if it is a private root, add it to this machine's authorities";

async function run(environment: Record<string, string>, ...arguments_: readonly string[]) {
  const { executable, args } = programCommand();
  const command = new Deno.Command(executable, { args: [...args, ...arguments_], env: environment, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

for (const hasAccess of [true, false]) {
  const tells = hasAccess ? "tells" : "does not tell";
  Deno.test(`check, start, routes add and renewal warn of a certificate alone that ${tells} where its signer's is`, async () => {
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const { leaf, intermediate, root, key } = await makeChain("a.test", hasAccess);
    Deno.writeTextFileSync(`${folder}/root.pem`, root);
    Deno.writeTextFileSync(`${folder}/key.pem`, key);
    const environment = { SSL_CERT_FILE: `${folder}/root.pem` };
    const route = { hostname: "a.test", backend: "127.0.0.1:1", mode: "l7", tls_cert: "cert.pem", tls_key: "key.pem" };
    Deno.writeTextFileSync(`${folder}/cert.pem`, leaf);
    await using test = await administered([route], {}, { folder, environment });
    const { proxy } = test;
    const line = await proxy.event("config", { key: "listeners[0].routes[0].tls_cert" });
    assert.equal(line["message"], `${folder}/cert.pem: ${MISSING("Intermediate")}`);
    const file = `${folder}/mc-proxy.toml`;
    const check = async () => {
      const { stderr } = await run(environment, "check", "-c", file);
      return stderr.split("\n").filter((line) => line.includes("does not lead to a root"));
    };
    const [told = "", ...more] = await check();
    assert.ok(told.endsWith(MISSING("Intermediate")) && more.length === 0, told);
    const add = ["ctl", "-c", file, "routes", "add", test.addr, "*", "127.0.0.1:1", "--mode", "l7"];
    const files = ["--tls-cert", `${folder}/cert.pem`, "--tls-key", `${folder}/key.pem`];
    const added = await run(environment, ...add, ...files);
    assert.equal(added.code, 0, added.stderr);
    assert.match(added.stderr, /warning: .*"Intermediate", which signed its last certificate, is neither in the file/);

    Deno.writeTextFileSync(`${folder}/cert.pem`, leaf + intermediate);
    assert.deepEqual(await check(), []);
    const renewals = (count: number) => proxy.log.findAll(count, ({ event }) => event === "certificate_reloaded");
    proxy.signal("SIGHUP");
    await renewals(1);
    Deno.writeTextFileSync(`${folder}/cert.pem`, leaf);
    proxy.signal("SIGHUP");
    await renewals(2);
    await proxy.event("certificate_warning");
    const reloads = proxy.log.seen.filter(({ event }) => event === "reloaded").length;
    proxy.signal("SIGHUP");
    await proxy.log.findAll(reloads + 1, ({ event }) => event === "reloaded");
    const warned = proxy.log.seen.filter(({ event }) => event === "certificate_warning");
    assert.deepEqual(warned.map(({ level, path, hostnames, message }) => [level, path, hostnames, message]), [
      ["warn", `${folder}/cert.pem`, "a.test, *", MISSING("Intermediate")],
    ]);
  });
}
