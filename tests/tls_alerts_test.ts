/** Clients that refuse the certificate of an L7 route: the log says why that mostly is. */
import assert from "node:assert/strict";
import { authority, L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";

const DAY_MS = 86_400_000;

/** Asks for a host, and refuses its certificate. */
async function refuse({ hostname, port }: Deno.NetAddr, name: string, caCerts: string[]): Promise<void> {
  const conn = await Deno.connect({ hostname, port });
  const tls = await Deno.startTls(conn, { hostname: name, caCerts });
  await assert.rejects(tls.handshake());
  tls.close();
}

testEachEngine("a client that refuses the certificate has its alert and the likely cause in the log", async () => {
  const { issue, cert: root } = await authority();
  const validity = { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  const expired = await issue({ hostnames: ["old.test"], validity });
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  Deno.writeTextFileSync(`${folder}/old.pem`, expired.cert);
  Deno.writeTextFileSync(`${folder}/old.key`, expired.key);
  await using l7 = await L7.start([
    { hostname: "a.test", backend: "127.0.0.1:1" },
    { hostname: "old.test", backend: "127.0.0.1:1", tls_cert: `${folder}/old.pem`, tls_key: `${folder}/old.key` },
  ]);
  const { proxy } = l7;
  for (
    const [name, trusted, alert, cause] of [
      ["a.test", [], /alert:? unknown ?ca /i, "the client does not trust the certificate: is the intermediate missing"],
      ["old.test", [root], /alert:? certificate ?expired /i, "the client finds a certificate of tls_cert expired"],
    ] as const
  ) {
    await refuse(proxy.address(), name, [...trusted]);
    const { end, detail } = await proxy.event("connection", { sni: name });
    assert.equal(end, "tls_failed");
    assert.match(String(detail), alert);
    assert.ok(String(detail).includes(`(${cause}`), String(detail));
  }
  await Deno.remove(folder, { recursive: true });
});
