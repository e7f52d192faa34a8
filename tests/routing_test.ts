import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectNodeTls } from "node:tls";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { incoming } from "../lib/edge/listen.ts";
import { splitIntoRecords } from "../lib/wire/testdata/build_client_hello.ts";
import { Backend, connectTls, endSeen, helloFor, readExactly, sayHello, writeAll } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

/** TLS backends that greet with their own name. */
async function greeters(names: readonly string[]) {
  const authority = await createAuthority("mc-proxy tests");
  const stack = new DisposableStack();
  const routes = [];
  for (const name of names) {
    const { cert, key } = await authority.issue({ hostnames: [name] });
    const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key, alpnProtocols: ["h2", "http/1.1"] });
    stack.defer(() => listener.close());
    void greetAll(listener, name);
    routes.push({ hostname: name, backend: `127.0.0.1:${listener.addr.port}` });
  }
  return { authority: authority.cert, routes, [Symbol.dispose]: () => stack.dispose() };
}

async function greetAll(listener: Deno.TlsListener, name: string): Promise<void> {
  for await (const conn of incoming(listener)) {
    void conn.write(new TextEncoder().encode(name)).then(() => conn.close(), () => conn.close());
  }
}

async function greeting(conn: Deno.Conn): Promise<string> {
  return await new Response(conn.readable).text();
}

testEachEngine("routes TLS 1.2 and 1.3 clients by server name to their own backends", async () => {
  using backends = await greeters(["a.test", "b.test"]);
  await using proxy = await Proxy.start({ listeners: [{ addr: "127.0.0.1:0", routes: backends.routes }] });
  for (const serverName of ["a.test", "b.test"]) {
    const conn = await connectTls(proxy.address(), serverName, backends.authority, ["h2"]);
    assert.equal((await conn.handshake()).alpnProtocol, "h2");
    assert.equal(await greeting(conn), serverName);

    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const { hostname: host, port } = proxy.address();
      const socket = connectNodeTls({
        host,
        port,
        servername: serverName,
        ca: backends.authority,
        minVersion: version,
        maxVersion: version,
      });
      const [data] = await once(socket, "data");
      assert.equal(socket.getProtocol(), version);
      assert.equal(String(data), serverName);
      socket.destroy();
    }
  }
  const end = await proxy.event("connection", { sni: "b.test", end: "closed" });
  assert.equal(end["backend"], backends.routes[1]?.backend);
  assert.equal(end["route"], "b.test");
});

testEachEngine(
  "an exact host name goes before the longest wildcard, that before a shorter one, all before *",
  async () => {
    const patterns = ["x.example.com", "*.deep.example.com", "*.example.com", "*"];
    const backends = patterns.map(() => new Backend());
    await using proxy = await Proxy.start({
      listeners: [{
        addr: "127.0.0.1:0",
        routes: patterns.map((hostname, i) => ({ hostname, backend: backends[i]?.addr })),
      }],
    });
    const cases = [
      ["x.example.com", "x.example.com"],
      ["X.Example.COM.", "x.example.com"],
      ["y.example.com", "*.example.com"],
      ["a.b.example.com", "*.example.com"],
      ["deep.example.com", "*.example.com"],
      ["a.deep.example.com", "*.deep.example.com"],
      ["example.com", "*"],
      [undefined, "*"],
    ] as const;
    for (const [serverName, route] of cases) {
      using client = await sayHello(proxy.address(), serverName);
      using served = await backends[patterns.indexOf(route)]?.accept();
      assert.ok(served);
      const hello = helloFor(serverName);
      assert.deepEqual(await readExactly(served, hello.length), hello);
      served.close();
      client.close();
      assert.equal((await proxy.end(client))["route"], route);
    }
    for (const backend of backends) backend[Symbol.dispose]();
  },
);

testEachEngine("a name without a route, and none where there is no * route, is refused without a byte", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "a.test", backend: backend.addr }] }],
  });
  for (const serverName of ["b.test", "a.test.evil", undefined]) {
    using client = await sayHello(proxy.address(), serverName);
    await endSeen(client);
    const end = await proxy.end(client);
    assert.equal(end["end"], "no_route");
    assert.equal(end["sni"], serverName);
  }
});

testEachEngine("a ClientHello may come a byte at a time, or in several TLS records", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "a.test", backend: backend.addr }] }],
  });
  const hello = helloFor("a.test");
  const forms = [
    { bytes: hello, step: 1 },
    { bytes: splitIntoRecords(hello, [1, 40]), step: 7 },
    { bytes: splitIntoRecords(hello, [60]), step: 100_000 },
  ];
  for (const { bytes, step } of forms) {
    using client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.address().port });
    client.setNoDelay(true);
    for (let at = 0; at < bytes.length; at += step) await writeAll(client, bytes.subarray(at, at + step));
    using served = await backend.accept();
    assert.deepEqual(await readExactly(served, bytes.length), bytes, "the records arrive as they were sent");
  }
});

testEachEngine("serves IPv4 and IPv6 clients, and reaches IPv4 and IPv6 backends", async () => {
  using backend4 = new Backend("127.0.0.1");
  using backend6 = new Backend("::1");
  const routes = [{ hostname: "four.test", backend: backend4.addr }, { hostname: "six.test", backend: backend6.addr }];
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes }, { addr: "[::1]:0", routes }],
  });
  for (const [index, prefix] of [[0, "127.0.0.1:"], [1, "[::1]:"]] as const) {
    for (const [serverName, backend] of [["four.test", backend4], ["six.test", backend6]] as const) {
      using client = await sayHello(proxy.address(index), serverName);
      using served = await backend.accept();
      await writeAll(served, new Uint8Array([42]));
      assert.deepEqual(await readExactly(client, 1), new Uint8Array([42]));
      served.close();
      client.close();
      assert.ok(String((await proxy.end(client))["client"]).startsWith(prefix));
    }
  }
});

testEachEngine("a backend may be a host name", async () => {
  using backend = new Backend();
  const { port } = new URL(`tcp://${backend.addr}`);
  await using proxy = await Proxy.start({
    listeners: [{ addr: "localhost:0", routes: [{ hostname: "*", backend: `localhost:${port}` }] }],
  });
  using _client = await sayHello(proxy.address(), "a.test");
  using _served = await backend.accept();
});

testEachEngine("a backend whose name has no address refuses its own connections only", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({
    listeners: [{
      addr: "127.0.0.1:0",
      routes: [{ hostname: "a.test", backend: "nowhere.invalid:443" }, { hostname: "b.test", backend: backend.addr }],
    }],
  });
  assert.equal((await proxy.event("resolve_failed"))["backend"], "nowhere.invalid:443");
  using lost = await sayHello(proxy.address(), "a.test");
  await endSeen(lost);
  assert.equal((await proxy.end(lost))["end"], "backend_unresolved");
  using _client = await sayHello(proxy.address(), "b.test");
  using _served = await backend.accept();
});
