import assert from "node:assert/strict";
import { buildMmdb } from "../lib/rules/testdata/build_mmdb.ts";
import { Backend, connectRefused, endSeen, helloFor, readExactly, writeAll } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

const HELLO = helloFor("a.test");

/** A client whose address is what the header says. */
async function connectAs(proxy: Proxy, ip: string): Promise<Deno.TcpConn> {
  const client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.address().port });
  const [family, own] = ip.includes(":") ? ["TCP6", "2001:db8::1"] : ["TCP4", "198.51.100.1"];
  await writeAll(client, new TextEncoder().encode(`PROXY ${family} ${ip} ${own} 5555 443\r\n`));
  return client;
}

function behindHeaders(backend: Backend) {
  return [{ addr: "127.0.0.1:0", proxy_protocol: true, routes: [{ hostname: "*", backend: backend.addr }] }];
}

function named(ip: string): string {
  return ip.includes(":") ? `[${ip}]:5555` : `${ip}:5555`;
}

testEachEngine(
  "addresses, prefixes and countries that are blocked are refused by reason, others are served",
  async () => {
    using backend = new Backend();
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    Deno.writeFileSync(
      `${folder}/geo.mmdb`,
      buildMmdb([
        { cidr: "203.0.113.0/24", record: { country: { iso_code: "XK" } } },
        { cidr: "2001:db8:c::/48", record: { country: { iso_code: "XK" } } },
        { cidr: "198.51.100.0/24", record: { country: { iso_code: "CH" } } },
      ]),
    );
    await using proxy = await Proxy.start({
      listeners: behindHeaders(backend),
      firewall: {
        blocked_ips: ["192.0.2.1", "2001:db8::bad"],
        blocked_cidrs: ["10.0.0.0/8", "2001:db8:bad::/48"],
        blocked_countries: ["XK"],
        geoip_db: "geo.mmdb",
      },
    }, { folder });
    const blocked = [
      ["192.0.2.1", "blocked_ip"],
      ["::ffff:192.0.2.1", "blocked_ip"],
      ["2001:db8::bad", "blocked_ip"],
      ["10.255.0.1", "blocked_cidr"],
      ["2001:db8:bad:1::1", "blocked_cidr"],
      ["203.0.113.77", "blocked_country"],
      ["2001:db8:c::9", "blocked_country"],
    ] as const;
    for (const [ip, reason] of blocked) {
      using client = await connectAs(proxy, ip);
      await endSeen(client);
      const logged = ip.replace("::ffff:192", "192");
      await proxy.event("connection", { client: named(logged), end: reason });
    }
    for (const ip of ["192.0.2.2", "11.0.0.1", "198.51.100.7", "8.8.8.8", "2001:db8:d::1"]) {
      using client = await connectAs(proxy, ip);
      await writeAll(client, HELLO);
      using served = await backend.accept();
      await readExactly(served, HELLO.length);
    }
  },
);

testEachEngine(
  "a source that opens more connections than rate_limit in a window is refused, and no other source",
  async () => {
    using backend = new Backend();
    await using proxy = await Proxy.start({
      listeners: behindHeaders(backend),
      firewall: { rate_limit: 3, rate_window: "1h", blocked_ips: ["192.0.2.9"] },
    });
    for (const ip of ["192.0.2.1", "192.0.2.2", "2001:db8::1"]) {
      for (let i = 0; i < 3; i++) {
        using client = await connectAs(proxy, ip);
        await writeAll(client, HELLO);
        using _served = await backend.accept();
      }
      using fourth = await connectAs(proxy, ip);
      await endSeen(fourth);
      await proxy.event("connection", { client: named(ip), end: "rate_limited" });
    }
    using sameNetwork = await connectAs(proxy, "2001:db8::2:1");
    await endSeen(sameNetwork);
    await proxy.event("connection", { client: "[2001:db8::2:1]:5555", end: "rate_limited" });
  },
);

testEachEngine("a client that is blocked is never read from and gets no byte", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "*", backend: backend.addr }] }],
    firewall: { blocked_cidrs: ["127.0.0.0/8"] },
  });
  await connectRefused(proxy.address());
  const end = await proxy.event("connection");
  assert.equal(end["end"], "blocked_cidr");
  assert.equal(end["sni"], undefined);
});
