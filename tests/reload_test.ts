/** What SIGHUP says: one line, whatever came of it. */
import assert from "node:assert/strict";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { buildMmdb } from "../lib/rules/testdata/build_mmdb.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

const authority = await createAuthority("Test authority");

testEachEngine("SIGHUP is answered by one line that says what was looked at, renewed and broken", async () => {
  if (Deno.build.os === "windows") return;
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  // Put in the place of the one before: two writes within a tick of the clock could not be told apart.
  const put = (name: string, text: string) => {
    Deno.writeTextFileSync(`${folder}/new`, text);
    Deno.renameSync(`${folder}/new`, `${folder}/${name}`);
  };
  const issue = async () => {
    const { cert, key } = await authority.issue({ hostnames: ["a.test"] });
    put("a.pem", cert + key);
  };
  await issue();
  const route = { hostname: "a.test", backend: "127.0.0.1:1", mode: "l7", tls_cert: "a.pem", tls_key: "a.pem" };
  const config = { listeners: [{ addr: "127.0.0.1:0", routes: [route] }] };
  await using proxy = await Proxy.start(config, { folder });
  let reloads = 0;
  const reload = async () => {
    proxy.signal("SIGHUP");
    const line = (await proxy.log.findAll(++reloads, ({ event }) => event === "reloaded")).at(-1);
    return [line?.["geoip"], line?.["certificates"], line?.["renewed"], line?.["broken"]];
  };
  assert.deepEqual(await reload(), ["none", 1, 0, 0]);
  await issue();
  assert.deepEqual(await reload(), ["none", 1, 1, 0]);
  assert.deepEqual(await reload(), ["none", 1, 0, 0]);
});

Deno.test({
  name: "SIGHUP says whether the GeoIP database was loaded (needs Unix)",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    Deno.writeFileSync(
      `${folder}/geo.mmdb`,
      buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: "DE" } } }]),
    );
    const config = { listeners: [{ addr: "127.0.0.1:0" }], firewall: { geoip_db: "geo.mmdb" } };
    await using proxy = await Proxy.start(config, { folder });
    proxy.signal("SIGHUP");
    await proxy.event("reloaded", { geoip: "loaded" });
    Deno.writeTextFileSync(`${folder}/geo.mmdb`, "none");
    proxy.signal("SIGHUP");
    await proxy.event("reloaded", { geoip: "failed" });
  },
});
