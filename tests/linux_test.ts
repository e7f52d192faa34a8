import assert from "node:assert/strict";
import { programCommand } from "../scripts/program.ts";
import {
  Backend,
  connectRefused,
  connectResettable,
  endSeen,
  helloFor,
  readExactly,
  REFUSING,
  sayHello,
  writeAll,
} from "./harness/peers.ts";
import { Proxy, type ProxyConfig } from "./harness/proxy.ts";

// What only the epoll engine promises, or only Linux lets us see.

const HELLO = helloFor("a.test");

function linuxTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

/** No time-out ends a client that this process is too busy to let speak. */
const PATIENT = "1h";

function epoll(config: ProxyConfig, workers = 2): ProxyConfig {
  return { ...config, proxy: { hello_timeout: PATIENT, ...config["proxy"] as object, engine: "epoll", workers } };
}

function to(backend: string, more: Record<string, unknown> = {}) {
  return [{ addr: "127.0.0.1:0", routes: [{ hostname: "a.test", backend }], ...more }];
}

linuxTest("every client that is refused gets a true reset, and not a byte before it", async () => {
  const config = {
    listeners: [
      ...to(REFUSING),
      { addr: "[::1]:0", proxy_protocol: true, routes: [{ hostname: "a.test", backend: REFUSING }] },
    ],
    firewall: { blocked_ips: ["192.0.2.1"] },
  };
  await using patient = await Proxy.start(epoll(config));
  await using hasty = await Proxy.start(epoll({ ...config, proxy: { hello_timeout: "300ms" } }));
  const text = (line: string) => new TextEncoder().encode(line);
  const cases: readonly (readonly [listener: number, bytes: Uint8Array, reason: string])[] = [
    [0, text("GET / HTTP/1.1\r\n"), "not_tls"],
    [0, Uint8Array.of(0x16, 3, 1, 0, 4, 2, 0, 0, 0), "hello_malformed"],
    [0, HELLO.subarray(0, 50), "hello_timeout"],
    [0, helloFor("b.test"), "no_route"],
    [0, HELLO, "backend_refused"],
    [1, text("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), "blocked_ip"],
    [1, text("PROXY TCP9\r\n"), "proxy_header_malformed"],
  ];
  for (const [listener, bytes, reason] of cases) {
    const proxy = reason === "hello_timeout" ? hasty : patient;
    const { hostname, port } = proxy.address(listener);
    using client = await Deno.connect({ hostname, port });
    await writeAll(client, bytes).catch(() => {}); // the hasty one may have given it up already
    assert.equal(await endSeen(client), "reset", reason);
    await proxy.event("connection", { end: reason });
  }
});

linuxTest("a client that is blocked, or finds the listener full, is reset as it is accepted", async () => {
  using backend = new Backend();
  await using blocking = await Proxy.start(epoll({
    listeners: to(backend.addr),
    firewall: { blocked_cidrs: ["127.0.0.0/8"] },
  }));
  assert.equal(await connectRefused(blocking.address()), "reset");
  await using full = await Proxy.start(epoll({ listeners: to(backend.addr, { max_connections: 1 }) }));
  using _first = await sayHello(full.address(), "a.test");
  using _served = await backend.accept();
  assert.equal(await connectRefused(full.address()), "reset");
});

linuxTest("a reset on one side is a reset on the other", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start(epoll({ listeners: to(backend.addr) }));
  const client = await connectResettable(proxy.address());
  client.write(HELLO);
  using served = await backend.accept();
  await readExactly(served, HELLO.length);
  client.resetAndDestroy();
  assert.equal(await endSeen(served), "reset");
  assert.equal((await proxy.event("connection"))["end"], "client_reset");
});

linuxTest("out of descriptors, accepting rests, open connections go on, and it recovers by itself", async () => {
  using backend = new Backend();
  const echoing = backend.echo();
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const limited = `ulimit -n 100 && exec "$0" "$@"`;
  await using proxy = Proxy.spawn(
    epoll({ listeners: to(backend.addr) }, 1),
    { folder, wrapper: ["sh", "-c", limited] },
  );
  await proxy.event("ready");
  using open = await sayHello(proxy.address(), "a.test");
  await readExactly(open, HELLO.length);

  const { hostname, port } = proxy.address();
  const silent = await Promise.all(Array.from({ length: 120 }, () => Deno.connect({ hostname, port })));
  assert.equal((await proxy.event("accept_failed"))["reason"], "EMFILE");
  await writeAll(open, Uint8Array.of(42));
  assert.deepEqual(await readExactly(open, 1), Uint8Array.of(42));

  for (const conn of silent) conn.close();
  await proxy.event("accept_recovered");
  using later = await sayHello(proxy.address(), "a.test");
  await readExactly(later, HELLO.length);
  assert.equal(proxy.log.seen.filter(({ event }) => event === "accept_failed").length, 1, "it is logged once");
  backend[Symbol.dispose]();
  await echoing;
});

linuxTest("a connection limit is exact across two workers", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start(epoll({ listeners: to(backend.addr, { max_connections: 20 }) }));
  const { hostname, port } = proxy.address();
  const attempts = await Promise.allSettled(Array.from({ length: 100 }, () => Deno.connect({ hostname, port })));
  await proxy.log.findAll(80, ({ end }) => end === "max_connections");
  for (const attempt of attempts) if (attempt.status === "fulfilled") attempt.value.close();
  await proxy.log.findAll(20, ({ end }) => end === "client_gone");
});

linuxTest("a rate limit is exact across two workers", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start(epoll({
    listeners: to(backend.addr),
    firewall: { rate_limit: 25, rate_window: "1h" },
  }));
  const { hostname, port } = proxy.address();
  const attempts = await Promise.allSettled(Array.from({ length: 100 }, () => Deno.connect({ hostname, port })));
  await proxy.log.findAll(75, ({ end }) => end === "rate_limited");
  for (const attempt of attempts) if (attempt.status === "fulfilled") attempt.value.close();
  await proxy.log.findAll(25, ({ end }) => end === "client_gone");
});

linuxTest("5,000 connections stay open while idle, and each is served when it speaks again", async () => {
  using backend = new Backend();
  const echoing = backend.echo();
  await using proxy = await Proxy.start(epoll({ listeners: to(backend.addr) }));
  const clients: Deno.TcpConn[] = [];
  for (let i = 0; i < 50; i++) {
    clients.push(...await Promise.all(Array.from({ length: 100 }, () => sayHello(proxy.address(), "a.test"))));
  }
  for (const client of clients) await readExactly(client, HELLO.length);
  for (const [i, client] of clients.entries()) {
    await writeAll(client, Uint8Array.of(i & 0xff));
    assert.deepEqual(await readExactly(client, 1), Uint8Array.of(i & 0xff));
    client.close();
  }
  await proxy.log.findAll(clients.length, ({ end }) => end === "closed");
  backend[Symbol.dispose]();
  await echoing;
});

linuxTest("where libc may not be called, auto says so in one line and epoll is refused", async () => {
  const { executable, args } = programCommand();
  if (args.length === 0) return; // a binary has its permissions built in
  const without = args.filter((argument) => argument !== "--allow-ffi");
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const listeners = [{ addr: "127.0.0.1:0", routes: [] }];
  await using proxy = Proxy.spawn({ listeners }, { folder, command: { executable, args: without } });
  assert.equal((await proxy.event("ready"))["engine"], "portable");
  const lines = proxy.log.seen.filter(({ event }) => event === "engine_portable");
  assert.deepEqual(lines.map(({ reason }) => reason), ["Deno may not call libc: --allow-ffi is not given"]);

  await using refused = Proxy.spawn({ listeners, proxy: { engine: "epoll" } }, {
    command: { executable, args: without },
  });
  assert.equal((await refused.exit()).code, 1);
  assert.match(
    String(refused.log.seen[0]?.["line"]),
    /mc-proxy\.toml: line \d+: proxy\.engine: "epoll" cannot run here: .*; use "auto" or "portable"$/,
  );
});
