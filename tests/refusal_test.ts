import assert from "node:assert/strict";
import { Backend, connectRefused, endSeen, helloFor, readExactly, sayHello, writeAll } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

const HELLO = helloFor("a.test");

function listening(backend: Backend, more: Record<string, unknown> = {}) {
  return [{ addr: "127.0.0.1:0", routes: [{ hostname: "*", backend: backend.addr }], ...more }];
}

async function connect(proxy: Proxy): Promise<Deno.TcpConn> {
  return await Deno.connect({ hostname: "127.0.0.1", port: proxy.address().port });
}

/** The counts that the proxy logs when it stops. */
async function countsOf(proxy: Proxy) {
  proxy.signal("SIGTERM");
  const counts = await proxy.event("listener_closed");
  assert.equal((await proxy.exit()).code, 0);
  return counts;
}

testEachEngine(
  "what is not a whole and sound ClientHello is refused by reason, and the rest is served on",
  async () => {
    using backend = new Backend();
    await using proxy = await Proxy.start({ listeners: listening(backend) });
    const badName = HELLO.slice();
    badName[badName.indexOf("a".charCodeAt(0), 60)] = 0; // in the host name
    const cases: [bytes: Uint8Array, reason: string][] = [
      [new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), "not_tls"],
      [crypto.getRandomValues(new Uint8Array(1000)).fill(0xff, 0, 1), "not_tls"],
      [Uint8Array.of(0x16, 3, 1, 0, 4, 2, 0, 0, 0), "hello_malformed"], // a ServerHello
      [badName, "hello_malformed"],
      [Uint8Array.of(0x16, 3, 1, 0x40, 0, 1, 1, 0x86, 0xa0, ...new Uint8Array(16_380)), "hello_too_large"], // 100,000
    ];
    for (const [bytes, reason] of cases) {
      using client = await connect(proxy);
      await writeAll(client, bytes);
      await endSeen(client);
      assert.equal((await proxy.end(client))["end"], reason);
    }
    using client = await sayHello(proxy.address(), "a.test");
    using served = await backend.accept();
    assert.deepEqual(await readExactly(served, HELLO.length), HELLO);
    client.close();
    served.close();
    await proxy.end(client);
    const counts = await countsOf(proxy);
    assert.equal(counts["accepted"], 6);
    assert.equal(counts["active"], 0);
    assert.equal(counts["bytes_in"], HELLO.length);
    assert.equal(counts["rejected_not_tls"], 2);
    assert.equal(counts["rejected_hello_malformed"], 2);
    assert.equal(counts["rejected_hello_too_large"], 1);
  },
);

testEachEngine(
  "a client that says nothing, and one that trickles its ClientHello, is given up after hello_timeout",
  async () => {
    using backend = new Backend();
    await using proxy = await Proxy.start({ listeners: listening(backend), proxy: { hello_timeout: "400ms" } });
    using silent = await connect(proxy);
    using trickling = await connect(proxy);
    const trickle = (async () => {
      for (const byte of HELLO.subarray(0, HELLO.length - 1)) {
        await writeAll(trickling, Uint8Array.of(byte));
        await new Promise((resolve) => setTimeout(resolve, 10)); // slower than the time-out allows: over 2 s in all
      }
    })().catch((error) => {
      assert.ok(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe, String(error));
    });
    await endSeen(silent);
    await endSeen(trickling);
    assert.equal((await proxy.end(silent))["end"], "hello_timeout");
    assert.equal((await proxy.end(trickling))["end"], "hello_timeout");
    await trickle;
  },
);

testEachEngine("a client that leaves in the middle of its ClientHello is counted as gone", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({ listeners: listening(backend) });
  using nothing = await connect(proxy);
  nothing.close();
  assert.equal((await proxy.end(nothing))["end"], "client_gone");
  using half = await connect(proxy);
  await writeAll(half, HELLO.subarray(0, 50));
  half.close();
  assert.equal((await proxy.end(half))["end"], "client_gone");
});

testEachEngine("of a full listener's connections the next is refused, until one closes", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({ listeners: listening(backend, { max_connections: 2 }) });
  using first = await sayHello(proxy.address(), "a.test");
  using servedFirst = await backend.accept();
  using second = await sayHello(proxy.address(), "a.test");
  using _servedSecond = await backend.accept();

  await connectRefused(proxy.address());
  await proxy.event("connection", { end: "max_connections" });

  first.close();
  servedFirst.close();
  await proxy.end(first);
  using fourth = await sayHello(proxy.address(), "a.test");
  using servedFourth = await backend.accept();
  await readExactly(servedFourth, HELLO.length);
  await writeAll(second, Uint8Array.of(1));
  await writeAll(fourth, Uint8Array.of(1));
  await readExactly(servedFourth, 1);
});
