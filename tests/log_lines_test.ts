import assert from "node:assert/strict";
import { Backend, endSeen, helloFor, readExactly, sayHello } from "./harness/peers.ts";
import { type LogEvent, Proxy, testEachEngine } from "./harness/proxy.ts";

// Lines of connections are passed on in batches: none may be lost or overtaken on the way.

const HELLO = helloFor("a.test");

/** More than a batch, and no multiple of it. */
const CONNECTIONS = 300;

function settings(backend: Backend, workers: number) {
  return {
    listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "*", backend: backend.addr }] }],
    proxy: { shutdown_timeout: "1h", workers },
  };
}

async function open(proxy: Proxy, backend: Backend) {
  const client = await sayHello(proxy.address(), "a.test");
  const served = await backend.accept();
  await readExactly(served, HELLO.length);
  return { client, served };
}

function clientsOf(lines: readonly LogEvent[]): unknown[] {
  return lines.filter(({ event }) => event === "connection").map((line) => line["client"]);
}

function addressOf(client: Deno.TcpConn): string {
  return `${client.localAddr.hostname}:${client.localAddr.port}`;
}

testEachEngine("every connection that is ended with the program has its line, before the last ones", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start(settings(backend, 2));
  const all = [];
  for (let i = 0; i < CONNECTIONS; i++) all.push(await open(proxy, backend));
  proxy.signal("SIGTERM");
  assert.equal((await proxy.event("draining"))["connections"], CONNECTIONS);
  proxy.signal("SIGTERM");
  assert.equal((await proxy.exit()).code, 0);
  const { seen } = proxy.log;
  assert.deepEqual(clientsOf(seen).toSorted(), all.map(({ client }) => addressOf(client)).toSorted());
  const last = seen.findLastIndex(({ event }) => event === "connection");
  assert.ok(
    last < seen.findIndex(({ event }) => event === "listener_closed"),
    "a connection ended behind its listener",
  );
  for (const { client, served } of all) {
    await endSeen(client);
    await endSeen(served);
    client.close();
    served.close();
  }
});

testEachEngine(
  "connections that end before the program does have their lines, in the order of their ends",
  async () => {
    using backend = new Backend();
    await using proxy = await Proxy.start(settings(backend, 1));
    const ended: string[] = [];
    for (let i = 0; i < CONNECTIONS; i++) {
      const { client, served } = await open(proxy, backend);
      ended.push(addressOf(client));
      client.close();
      await endSeen(served);
      served.close();
    }
    proxy.signal("SIGTERM");
    assert.equal((await proxy.exit()).code, 0);
    assert.deepEqual(clientsOf(proxy.log.seen), ended);
  },
);
