import assert from "node:assert/strict";
import { encodeProxyHeaderV2, parseProxyHeader } from "../lib/wire/proxy_protocol.ts";
import { parseIpAddress } from "../lib/wire/ip_address.ts";
import { type Endpoint, formatEndpoint } from "../lib/wire/socket_address.ts";
import { Backend, endSeen, helloFor, readExactly, writeAll } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

const HELLO = helloFor("a.test");

function endpoint(ip: string, port: number): Endpoint {
  const address = parseIpAddress(ip);
  assert.ok(address);
  return { address, port };
}

function text(line: string): Uint8Array {
  return new TextEncoder().encode(line);
}

async function connectAndSend(proxy: Proxy, ...parts: Uint8Array[]): Promise<Deno.TcpConn> {
  const client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.address().port });
  for (const part of parts) await writeAll(client, part);
  return client;
}

/** Reads the PROXY header that the proxy sent, to its last byte and no further. */
async function readHeader(conn: Deno.TcpConn) {
  let bytes = new Uint8Array(0);
  for (;;) {
    const header = parseProxyHeader(bytes);
    if (header.kind !== "need_more") return header;
    bytes = new Uint8Array([...bytes, ...await readExactly(conn, header.needed - bytes.length)]);
  }
}

testEachEngine(
  "a listener that wants PROXY headers takes the client from v1 and v2, and leaves the rest to the backend",
  async () => {
    using backend = new Backend();
    await using proxy = await Proxy.start({
      listeners: [{
        addr: "127.0.0.1:0",
        proxy_protocol: true,
        routes: [{ hostname: "a.test", backend: backend.addr }],
      }],
    });
    const source = endpoint("2001:db8::7", 4444);
    const destination = endpoint("2001:db8::1", 443);
    const headers = [
      [text("PROXY TCP4 192.0.2.7 198.51.100.1 5555 443\r\n"), "192.0.2.7:5555"],
      [text("PROXY TCP6 2001:db8::5 2001:db8::1 6666 443\r\n"), "[2001:db8::5]:6666"],
      [encodeProxyHeaderV2({ source, destination }), "[2001:db8::7]:4444"],
      [text("PROXY UNKNOWN\r\n"), undefined],
      [new Uint8Array([...text("\r\n\r\n\0\r\nQUIT\n"), 0x20, 0, 0, 0]), undefined], // v2 LOCAL
      [new Uint8Array([...text("\r\n\r\n\0\r\nQUIT\n"), 0x21, 0x12, 0, 12, ...new Uint8Array(12)]), undefined], // UDP
    ] as const;
    for (const [header, client] of headers) {
      using conn = await connectAndSend(proxy, header, HELLO);
      using served = await backend.accept();
      assert.deepEqual(await readExactly(served, HELLO.length), HELLO);
      served.close();
      conn.close();
      const { port } = conn.localAddr as Deno.NetAddr;
      assert.equal((await proxy.event("connection", { client: client ?? `127.0.0.1:${port}` }))["end"], "closed");
    }
  },
);

testEachEngine("a PROXY header may come a byte at a time", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", proxy_protocol: true, routes: [{ hostname: "*", backend: backend.addr }] }],
  });
  const bytes = new Uint8Array([...text("PROXY TCP4 192.0.2.7 198.51.100.1 5555 443\r\n"), ...HELLO]);
  using _client = await connectAndSend(proxy, ...Array.from(bytes, (byte) => Uint8Array.of(byte)));
  using served = await backend.accept();
  assert.deepEqual(await readExactly(served, HELLO.length), HELLO);
});

testEachEngine(
  "the backend is sent a v2 header with the client, the address it asked, and its server name",
  async () => {
    using backend = new Backend();
    await using proxy = await Proxy.start({
      listeners: [{
        addr: "127.0.0.1:0",
        routes: [{ hostname: "a.test", backend: backend.addr, send_proxy_protocol: true }],
      }],
    });
    using client = await connectAndSend(proxy, HELLO);
    using served = await backend.accept();
    const header = await readHeader(served);
    assert.equal(header.kind, "header");
    assert.ok(header.kind === "header" && header.source && header.destination);
    const { hostname, port } = client.localAddr as Deno.NetAddr;
    assert.equal(header.version, 2);
    assert.equal(formatEndpoint(header.source), `${hostname}:${port}`);
    assert.equal(formatEndpoint(header.destination), `127.0.0.1:${proxy.address().port}`);
    assert.deepEqual(header.tlvs.map(({ type, value }) => [type, new TextDecoder().decode(value)]), [[2, "a.test"]]);
    assert.deepEqual(await readExactly(served, HELLO.length), HELLO);
  },
);

testEachEngine("in a chain of two, the second proxy's firewall and log see the real client", async () => {
  using backend = new Backend();
  await using origin = await Proxy.start({
    listeners: [{
      addr: "127.0.0.1:0",
      proxy_protocol: true,
      routes: [{ hostname: "a.test", backend: backend.addr, send_proxy_protocol: true }],
    }],
    firewall: { blocked_ips: ["192.0.2.66"] },
  });
  await using edge = await Proxy.start({
    listeners: [{
      addr: "127.0.0.1:0",
      proxy_protocol: true, // stands for a load balancer in front, so that the client can be any
      routes: [{ hostname: "a.test", backend: `127.0.0.1:${origin.address().port}`, send_proxy_protocol: true }],
    }],
  });
  using _client = await connectAndSend(edge, text("PROXY TCP4 192.0.2.65 198.51.100.1 5555 443\r\n"), HELLO);
  using served = await backend.accept();
  const header = await readHeader(served);
  assert.ok(header.kind === "header" && header.source && header.destination);
  assert.equal(formatEndpoint(header.source), "192.0.2.65:5555");
  assert.equal(formatEndpoint(header.destination), "198.51.100.1:443");

  using blocked = await connectAndSend(edge, text("PROXY TCP4 192.0.2.66 198.51.100.1 5556 443\r\n"), HELLO);
  await endSeen(blocked);
  assert.equal((await origin.event("connection", { client: "192.0.2.66:5556" }))["end"], "blocked_ip");
});

testEachEngine("a PROXY header where none is wanted, none where one is, and a broken one are refused", async () => {
  using backend = new Backend();
  const routes = [{ hostname: "*", backend: backend.addr }];
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes }, { addr: "[::1]:0", proxy_protocol: true, routes }],
  });
  const v1 = text("PROXY TCP4 192.0.2.7 198.51.100.1 5555 443\r\n");
  const v2 = encodeProxyHeaderV2({ source: endpoint("192.0.2.7", 1), destination: endpoint("192.0.2.8", 2) });
  const cases = [
    [0, v1, "not_tls"],
    [0, v2, "not_tls"],
    [1, HELLO, "proxy_header_malformed"],
    [1, text("PROXY TCP4 192.0.2.7 198.51.100.1 99999 443\r\n"), "proxy_header_malformed"],
    [1, text("GET / HTTP/1.1\r\n"), "proxy_header_malformed"],
  ] as const;
  for (const [index, bytes, reason] of cases) {
    const { hostname, port } = proxy.address(index);
    using client = await Deno.connect({ hostname, port });
    await writeAll(client, bytes);
    await endSeen(client);
    assert.equal((await proxy.end(client))["end"], reason);
  }
});

testEachEngine("a client that leaves before its PROXY header is whole is counted as gone", async () => {
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", proxy_protocol: true, routes: [{ hostname: "*", backend: "127.0.0.1:1" }] }],
  });
  using client = await connectAndSend(proxy, text("PROXY TCP4 192.0"));
  client.close();
  assert.equal((await proxy.end(client))["end"], "client_gone");
});
