import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect } from "node:http2";
import { createConnection } from "node:net";
import { create, fromBinary } from "@bufbuild/protobuf";
import { statsOfMessage } from "../lib/admin/convert_stats.ts";
import { ProxyAdminService, WatchStatsRequestSchema } from "../lib/admin/gen/mc_proxy/v1/admin_pb.ts";
import { encode } from "../lib/admin/grpc.ts";
import { AdminClient, type Stats } from "../mod.ts";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { ADDR, type Administered, administered } from "./harness/admin.ts";
import { Backend, readExactly, sayHello } from "./harness/peers.ts";

/** The next that a watcher is told. */
async function next(watcher: AsyncGenerator<Stats, void>): Promise<Stats> {
  const { value, done } = await watcher.next();
  assert.ok(!done, "the stream goes on");
  return value;
}

Deno.test("a watcher is told at once, and again in every interval, what was counted", async () => {
  using backend = new Backend();
  await using test = await administered([{ hostname: "a.test", backend: backend.addr }]);
  const watcher = test.admin.watchStats({ intervalMs: 100 });
  const first = await next(watcher);
  const { startedAt, version } = await test.admin.getStatus();
  assert.deepEqual([first.version, first.startedAt], [version, startedAt]);
  assert.equal(first.threads.up, first.threads.wanted);
  assert.deepEqual(first.listeners, [{
    addr: ADDR,
    maxConnections: 0,
    routeCount: 1,
    counts: { accepted: 0, active: 0, bytesIn: 0, bytesOut: 0, rejected: {} },
    acceptFailures: 0,
  }]);
  assert.deepEqual([first.backends, first.hostnames, first.certificates, first.firewallBlocked], [[], [], [], {}]);

  using refused = await sayHello(test.proxy.address(), "b.test");
  await test.proxy.end(refused);
  using _client = await sayHello(test.proxy.address(), "a.test");
  using served = await backend.accept();
  await readExactly(served, 1);
  let last = await next(watcher);
  while (last.listeners[0]?.counts.accepted !== 2) last = await next(watcher);
  assert.equal(last.listeners[0].counts.active, 1);
  assert.deepEqual(last.listeners[0].counts.rejected, { no_route: 1 });
  assert.equal(last.backends[0]?.backend, backend.addr);
  assert.equal(last.backends[0].dials.buckets.length, last.dialBounds.length + 1);
  assert.equal(last.backends[0].dials.buckets.reduce((sum, count) => sum + count), 1);
  assert.ok(last.uptimeMs > first.uptimeMs);
  await watcher.return();
});

Deno.test("watchers do not know of each other, and one that leaves leaves the others", async () => {
  await using test = await administered();
  const watchers = Array.from({ length: 5 }, () => test.admin.watchStats({ intervalMs: 100 }));
  await Promise.all(watchers.map(next));
  const [first, ...others] = watchers;
  await first?.return();
  await Promise.all(others.map(next));
  const ending = new AbortController();
  const aborted = test.admin.watchStats({ signal: ending.signal });
  await next(aborted);
  ending.abort();
  assert.equal((await aborted.next()).done, true);
  await Promise.all(others.map(next));
  await Promise.all(others.map((watcher) => watcher.return()));
});

Deno.test("an interval out of bounds is refused by its field", async () => {
  await using test = await administered();
  for (const intervalMs of [-1, 0, 99, 99.999, 60_000.001, 1e9]) {
    await assert.rejects(test.admin.watchStats({ intervalMs }).next(), {
      code: "INVALID_ARGUMENT",
      field: "interval",
      message: `interval: expected 100 ms to 60 s, got ${intervalMs} ms`,
    });
  }
  for (const intervalMs of [100, 60_000]) {
    const watcher = test.admin.watchStats({ intervalMs });
    await next(watcher);
    await watcher.return();
  }
});

Deno.test("what is watched ends when the proxy begins to drain", async () => {
  using backend = new Backend();
  await using test = await administered([{ hostname: "a.test", backend: backend.addr }]);
  using admin = new AdminClient(test.socket); // of one stream alone: it ends before the server's last words
  const watcher = admin.watchStats({ intervalMs: 60_000 });
  await next(watcher);
  const client = await sayHello(test.proxy.address(), "a.test");
  const served = await backend.accept();
  await readExactly(served, 1);
  const ended = watcher.next();
  test.proxy.signal("SIGTERM");
  await test.proxy.event("draining");
  assert.equal((await ended).done, true);
  assert.equal((await test.admin.watchStats().next()).done, true, "and is not begun again");
  client.close();
  served.close();
  assert.equal((await test.proxy.exit()).code, 0);
});

Deno.test("to watch a server that is not there fails as every call does", async () => {
  using admin = new AdminClient("/nonexistent/mc-proxy.sock");
  await assert.rejects(admin.watchStats().next(), {
    code: "UNAVAILABLE",
    message: "no admin API at /nonexistent/mc-proxy.sock (is the server running?)",
  });
});

Deno.test("to watch a server that stands still fails after the time-out of a call", async () => {
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  using _listener = Deno.listen({ transport: "unix", path: `${folder}/admin.sock` }); // nobody accepts
  using admin = new AdminClient(`${folder}/admin.sock`, { timeoutMs: 100 });
  await assert.rejects(admin.watchStats().next(), {
    code: "DEADLINE_EXCEEDED",
    message: `nothing from ${folder}/admin.sock for 1100 ms`,
  });
  await Deno.remove(folder, { recursive: true });
});

/** A watcher that can stand still: nothing reads for it, so that the window of its stream is not opened any more. */
class StillWatcher {
  readonly #session: ReturnType<typeof connect>;
  readonly #stream: ReturnType<ReturnType<typeof connect>["request"]>;

  constructor({ socket }: Pick<Administered, "socket">) {
    this.#session = connect("http://localhost", { createConnection: () => createConnection(socket) });
    this.#stream = this.#session.request({
      ":method": "POST",
      ":path": `/${ProxyAdminService.typeName}/WatchStats`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const message = encode(
      WatchStatsRequestSchema,
      create(WatchStatsRequestSchema, {
        interval: { nanos: 100_000_000 },
      }),
    );
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    this.#stream.end(Buffer.concat([prefix, message]));
  }

  /** Resolves when the server has answered; nothing of the answer is read. */
  async answered(): Promise<void> {
    await once(this.#stream, "response");
  }

  /** Reads so many messages. */
  async read(count: number): Promise<Stats[]> {
    const found: Stats[] = [];
    let octets = Buffer.alloc(0);
    for await (const chunk of this.#stream) {
      octets = Buffer.concat([octets, chunk]);
      while (octets.length >= 5 && octets.length >= 5 + octets.readUInt32BE(1)) {
        const end = 5 + octets.readUInt32BE(1);
        found.push(statsOfMessage(fromBinary(ProxyAdminService.method.watchStats.output, octets.subarray(5, end))));
        octets = octets.subarray(end);
      }
      if (found.length >= count) break;
    }
    return found;
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

Deno.test("for a watcher that does not read no message is kept but the one under way", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const { cert, key } = await (await createAuthority("mc-proxy tests")).issue({ hostnames: ["*.many.test"] });
  Deno.writeTextFileSync(`${folder}/many.pem`, cert);
  Deno.writeTextFileSync(`${folder}/many.key`, key);
  // So many that a message is larger than the 64 KiB of HTTP/2's first window.
  const routes = Array.from({ length: 1_000 }, (_, i) => {
    const files = { tls_cert: `${folder}/many.pem`, tls_key: `${folder}/many.key` };
    return { hostname: `host-${i}-${"x".repeat(50)}.many.test`, backend: "127.0.0.1:1", mode: "l7", ...files };
  });
  await using test = await administered(routes, {}, { folder });
  const { admin } = test;
  using still = new StillWatcher(test);
  await still.answered();
  let before = 0;
  let seen = 0;
  for await (const { uptimeMs, certificates } of admin.watchStats({ intervalMs: 100 })) {
    assert.equal(certificates.length, routes.length);
    before = uptimeMs;
    if (++seen === 10) break;
  }
  const [first, second] = await still.read(2);
  assert.ok(first !== undefined && second !== undefined);
  assert.ok(first.uptimeMs < before);
  assert.ok(second.uptimeMs > before, "the second was made when there was room for it");
});
