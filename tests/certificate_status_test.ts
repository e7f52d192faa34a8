import assert from "node:assert/strict";
import { ADDR } from "./harness/admin.ts";
import { authority, HttpBackend, L7, reflect } from "./harness/http.ts";
import { runProgram, testEachEngine } from "./harness/proxy.ts";

const DAY_MS = 86_400_000;

/** Writes a certificate for a.test that ends so many days from now; its end, in whole seconds. */
async function write(folder: string, days: number): Promise<Date> {
  const notAfter = new Date(Math.floor(Date.now() / 1000 + 3600) * 1000 + days * DAY_MS);
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter };
  const { cert, key } = await (await authority()).issue({ hostnames: ["a.test"], validity });
  await Deno.writeTextFile(`${folder}/soon.pem`, cert);
  await Deno.writeTextFile(`${folder}/soon.key`, key);
  return notAfter;
}

testEachEngine("a certificate that ends soon is warned of, and status has its end until it is renewed", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  try {
    const files = { tls_cert: `${folder}/soon.pem`, tls_key: `${folder}/soon.key` };
    const end = await write(folder, 3);
    await using l7 = await L7.start([
      { hostname: "a.test", backend: backend.addr, ...files },
      { hostname: "raw.test", backend: backend.addr, mode: "l4" },
    ]);
    const { proxy, admin } = l7;
    const warned = await proxy.event("config");
    assert.match(String(warned["message"]), /soon\.pem: expires at \S+Z, in 3 days; renew it$/);
    proxy.signal("SIGHUP");
    const line = await proxy.event("certificate_expires_soon");
    assert.deepEqual([line.level, line["path"], line["hostnames"], line["left"]], [
      "warn",
      files.tls_cert,
      "a.test",
      "3 days",
    ]);
    const certificates = async () => (await admin.getStatus()).certificates;
    assert.deepEqual(await certificates(), [{
      certFile: files.tls_cert,
      keyFile: files.tls_key,
      notAfter: end,
      routes: [{ listener: ADDR, hostname: "a.test" }],
      problem: undefined,
      failures: 0,
    }]);
    const { stdout } = await runProgram(["ctl", "--addr", admin.path, "status"]);
    assert.match(stdout, /^HOST +CERTIFICATE +FILE\na\.test +ends in 3d( \d+h)?! +\S+\/soon\.pem$/m);

    const later = await write(folder, 90);
    proxy.signal("SIGHUP");
    await proxy.event("certificate_reloaded");
    assert.deepEqual((await certificates())[0]?.notAfter, later);
    await Deno.writeTextFile(files.tls_key, "broken");
    proxy.signal("SIGHUP");
    await proxy.event("certificate_reload_failed");
    const [broken] = await certificates();
    assert.deepEqual([broken?.notAfter, broken?.failures], [later, 1]);
    assert.match(String(broken?.problem), /soon\.key: /);

    await admin.removeRoute(ADDR, "a.test");
    assert.deepEqual(await certificates(), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
