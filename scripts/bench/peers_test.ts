import assert from "node:assert/strict";
import { createAuthority } from "../dev/certificates.ts";
import { findHaproxy } from "./haproxy.ts";
import { HTTP_HOST } from "./http_protocol.ts";
import { findNginx } from "./nginx.ts";
import type { Missing, Proxy } from "./proxies.ts";
import type { L4Setup, L7Setup, ProxySetup } from "./setup.ts";

const L4: L4Setup = { port: 1, hosts: 10, prefixes: 0, backends: { echo: 2, flood: 3, answer: 4 } };

async function l7Setup(folder: string): Promise<L7Setup> {
  const authority = await createAuthority("a test");
  const { cert, key } = await authority.issue({ hostnames: [HTTP_HOST] });
  const write = async (name: string, text: string) => {
    await Deno.writeTextFile(`${folder}/${name}`, text);
    return `${folder}/${name}`;
  };
  return {
    port: 5,
    behaviour: "small",
    backends: { small: 10, grpc: 11, body: 12, small1: 13, body1: 14, smallTls: 15, small1Tls: 16 },
    certificate: {
      cert: await write("cert.pem", cert),
      key: await write("key.pem", key),
      both: await write("both.pem", cert + key),
      ca: await write("ca.pem", authority.cert),
    },
  };
}

/** What of a setup is different from row to row. */
async function setups(folder: string): Promise<ProxySetup[]> {
  const base = { folder, connections: 100 };
  const l7 = await l7Setup(folder);
  return [
    { ...base, l4: L4 },
    { ...base, l4: L4, buffer: 256 * 1024 },
    { ...base, l4: L4, log: `${folder}/connections.log` },
    { ...base, l4: L4, l7 },
    { ...base, l7 },
    { ...base, l7: { ...l7, behaviour: "grpc" } },
    { ...base, l7: { ...l7, behaviour: "body" }, buffer: 256 * 1024 },
    { ...base, l7: { ...l7, backendTls: "h2" } },
    { ...base, l7: { ...l7, backendTls: "http1" } },
  ];
}

function accepts(peer: Proxy | Missing, name: string, checkArg: string): void {
  Deno.test({
    name: `${name} accepts the configuration of every row` + ("missing" in peer ? ` (${peer.missing})` : ""),
    ignore: "missing" in peer,
    async fn() {
      if ("missing" in peer) return;
      const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
      try {
        for (const setup of await setups(folder)) {
          const { executable, args } = await peer.prepare(setup);
          const { code, stderr } = await new Deno.Command(executable, { args: [...args, checkArg] }).output();
          const { certificate: _, ...shape } = setup.l7 ?? { certificate: undefined };
          assert.equal(code, 0, `${JSON.stringify({ ...setup, l7: shape })}: ${new TextDecoder().decode(stderr)}`);
        }
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

accepts(await findHaproxy(), "HAProxy", "-c");
accepts(await findNginx(), "nginx", "-t");
