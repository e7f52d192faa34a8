import assert from "node:assert/strict";
import { Backend, connectResettable, endSeen, helloFor, readExactly, REFUSING, writeAll } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

const HELLO = helloFor("a.test");
const CONNECTIONS = 5_000;
const AT_ONCE = 50;

/** What the process holds: open descriptors, and resident memory in bytes. Linux: proc(5). */
function held(pid: number): { descriptors: number; resident: number } {
  const descriptors = [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return { descriptors, resident: Number(kilobytes) * 1024 };
}

/** One connection of every kind; each resolves when the client has seen its end. */
const KINDS: readonly ((to: Deno.NetAddr) => Promise<void>)[] = [
  async function served(to) {
    using client = await connect(to, "PROXY TCP4 192.0.2.1 198.51.100.1 1 443\r\n");
    await writeAll(client, HELLO);
    await readExactly(client, HELLO.length);
    await client.closeWrite();
    await endSeen(client);
  },
  async function halfClosedAtOnce(to) {
    using client = await connect(to, "PROXY UNKNOWN\r\n");
    await writeAll(client, HELLO);
    await client.closeWrite();
    await readExactly(client, HELLO.length);
    await endSeen(client);
  },
  async function closedByClient(to) {
    using client = await connect(to, "PROXY UNKNOWN\r\n");
    await writeAll(client, HELLO);
    await readExactly(client, HELLO.length);
  },
  async function blocked(to) {
    using client = await connect(to, "PROXY TCP4 192.0.2.66 198.51.100.1 1 443\r\n");
    await endSeen(client);
  },
  async function garbage(to) {
    using client = await connect(to, "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n\r\n");
    await endSeen(client);
  },
  async function badHeader(to) {
    using client = await connect(to, "PROXY TCP9 x\r\n");
    await endSeen(client);
  },
  async function gone(to) {
    (await connect(to, "PROXY UNK")).close();
  },
  async function reset(to) {
    const client = await connectResettable(to);
    client.write("PROXY UNKNOWN\r\n");
    client.write(HELLO);
    await new Promise((resolve) => client.once("data", resolve));
    client.resetAndDestroy();
  },
  async function noRoute(to) {
    using client = await connect(to, "PROXY UNKNOWN\r\n");
    await writeAll(client, helloFor("b.test"));
    await endSeen(client);
  },
  async function backendDown(to) {
    using client = await connect(to, "PROXY UNKNOWN\r\n");
    await writeAll(client, helloFor("down.test"));
    await endSeen(client);
  },
  async function tooSlow(to) {
    using client = await connect(to, "PROXY UNKNOWN\r\n");
    await writeAll(client, HELLO.subarray(0, 40));
    await endSeen(client);
  },
];

async function connect({ hostname, port }: Deno.NetAddr, header: string): Promise<Deno.TcpConn> {
  const client = await Deno.connect({ hostname, port });
  await writeAll(client, new TextEncoder().encode(header));
  return client;
}

async function run(proxy: Proxy, connections: number): Promise<void> {
  const to = proxy.address();
  const before = proxy.log.seen.length;
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let i = next++; i < connections; i = next++) await KINDS[i % KINDS.length]?.(to);
  }));
  let ended = 0;
  let line = 0;
  await proxy.log.find((each) => {
    if (line++ < before) return false;
    if (each.event === "connection") ended++;
    if (each.event === "lines_suppressed") ended += Number(each["lines"]); // of refusals there are too many for a line each
    return ended === connections;
  });
}

if (Deno.build.os === "linux") {
  testEachEngine(`descriptors and memory are back after ${CONNECTIONS} connections of every kind`, async () => {
    using backend = new Backend();
    const echoing = backend.echo();
    await using proxy = await Proxy.start({
      listeners: [{
        addr: "127.0.0.1:0",
        proxy_protocol: true,
        routes: [{ hostname: "a.test", backend: backend.addr }, { hostname: "down.test", backend: REFUSING }],
      }],
      firewall: { blocked_ips: ["192.0.2.66"], rate_limit: 65535 },
      proxy: { hello_timeout: "200ms" },
    }, { environment: { DENO_V8_FLAGS: "--max-semi-space-size=1,--max-old-space-size=40" } });
    const idle = held(proxy.pid);
    await run(proxy, CONNECTIONS); // code is compiled, pools are filled, the heap takes its size
    const warm = held(proxy.pid);
    await run(proxy, CONNECTIONS);
    const after = held(proxy.pid);
    const grown = ((after.resident - warm.resident) / CONNECTIONS).toFixed(0);
    assert.ok(after.descriptors <= idle.descriptors + 2, `descriptors: ${idle.descriptors}, then ${after.descriptors}`);
    // A connection that were kept would cost its buffers, 4 KiB each, and its objects.
    assert.ok(after.resident - warm.resident < CONNECTIONS * 1024, `memory grew by ${grown} bytes a connection`);

    proxy.signal("SIGTERM");
    const counts = await proxy.event("listener_closed");
    assert.equal(counts["accepted"], 2 * CONNECTIONS);
    assert.equal(counts["active"], 0);
    assert.equal((await proxy.exit()).code, 0);
    backend[Symbol.dispose]();
    await echoing;
  });
}
