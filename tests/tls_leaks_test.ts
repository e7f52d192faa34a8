/**
 * What is left of L7 connections of every kind: nothing. `MC_PROXY_LEAKS=100000 deno test -A tests/tls_leaks_test.ts`
 * makes so many rather than 2,000, and says what was measured.
 */
import assert from "node:assert/strict";
import configuration from "../deno.json" with { type: "json" };
import type { Held } from "../lib/edge/linux/testdata/counting_libssl.ts";
import { ROOT, taskCommand } from "../scripts/program.ts";
import { authority, certificateFor, HttpBackend } from "./harness/http.ts";
import { LibsslClient, type LibsslOptions } from "./harness/libssl_client.ts";
import { endSeen, helloFor, sayHello } from "./harness/peers.ts";
import { Proxy } from "./harness/proxy.ts";
import {
  END_HEADERS,
  frame,
  headers,
  octets,
  PREFACE,
  pseudo,
  type Reachable,
  settings,
  uint32,
} from "./harness/raw_http.ts";
import { HalvingBackend } from "./harness/tls_states.ts";

const ASKED = Deno.env.get("MC_PROXY_LEAKS");
const CONNECTIONS = Number(ASKED ?? 2_000);
const AT_ONCE = 20;
/** Of those that wait for a time-out, one in so many rounds. */
const SLOW_EACH = 10;
/** Long enough that no other client is that late, however busy the machine is in the minutes that many take. */
const HELLO_TIMEOUT = ASKED === undefined ? "4s" : "10s";

const REQUEST = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n";
const GARBAGE = octets("no TLS at all ".repeat(20));
/** A record that looks as if it were encrypted. */
const BAD_RECORD = octets(`\x17\x03\x03\x00\x50${"x".repeat(0x50)}`);
const SMALL = 16_384;

/** What one connection does, up to its end or to that of its client. */
type Kind = (to: Reachable) => Promise<void>;

/** A connection with a client that does something, and then leaves. */
function kind(
  run: (client: LibsslClient) => Promise<unknown>,
  leave: "close" | "reset" = "close",
  options: LibsslOptions = {},
): Kind {
  return async (to) => {
    const client = await LibsslClient.connect(to, options);
    await run(client);
    client.close(leave);
  };
}

/** One that gets no further than within the handshake. */
function broken(run: (client: LibsslClient) => Promise<unknown>, leave: "close" | "reset" = "close"): Kind {
  return async (to) => {
    const client = await LibsslClient.greeting(to);
    await run(client);
    client.close(leave);
  };
}

/** One that sends no true ClientHello. */
function raw(bytes: Uint8Array<ArrayBuffer>, leave: "close" | "reset" | "waits"): Kind {
  return async (to) => {
    const client = LibsslClient.open(to);
    await client.established();
    client.sendRaw(bytes);
    if (leave === "waits") await client.arrival();
    client.close(leave === "reset" ? "reset" : "close");
  };
}

const H2 = { protocols: ["h2"] };
const GRPC = { protocols: ["h2"], serverName: "grpc.test" };
const HELLO = octets(String.fromCharCode(...helloFor("a.test")));

const served: readonly Kind[] = [
  kind(async (client) => {
    await client.send(REQUEST);
    await client.readUntil("hello");
    client.shut();
    await client.readToEnd();
  }),
  kind(async (client) => {
    for (let i = 0; i < 3; i++) {
      await client.send(REQUEST);
      await client.readUntil("hello");
    }
  }),
  kind(
    async (client) => {
      await client.send(PREFACE, settings(), headers(1, pseudo()), headers(3, pseudo()));
      await client.readUntil("hello");
    },
    "close",
    H2,
  ),
  kind(
    async (client) => {
      const fields = pseudo({
        ":method": "POST",
        ":authority": "grpc.test",
        "content-type": "application/grpc",
        te: "trailers",
      });
      await client.send(PREFACE, settings(), headers(1, fields, END_HEADERS), frame("DATA", 1, 1, "\0\0\0\0\x02hi"));
      await client.readUntil("said");
    },
    "close",
    GRPC,
  ),
  kind(async (client) => {
    await client.send(
      "GET /tunnel HTTP/1.1\r\nhost: a.test\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nfirst",
    );
    await client.readUntil("\r\n\r\nfirst");
  }),
  async function resumed(to) {
    using first = await LibsslClient.connect(to, { version: "1.2" });
    const session = first.session();
    first.close();
    using second = await LibsslClient.connect(to, { version: "1.2", session });
    session?.free();
    await second.send(REQUEST);
    await second.readUntil("hello");
  },
];

const cutOff: readonly Kind[] = [
  raw(octets(""), "close"),
  raw(octets(""), "reset"),
  raw(HELLO.subarray(0, 40), "reset"),
  raw(GARBAGE, "waits"),
  raw(HELLO, "waits"), // has nothing in common with the proxy
  broken(async () => {}),
  broken(async () => {}, "reset"),
  broken((client) => client.arrival(), "reset"),
  broken(async (client) => {
    await client.arrival();
    client.sendRaw(GARBAGE);
  }),
  broken(async (client) => {
    await client.arrival();
    client.sendRaw(BAD_RECORD); // in place of Finished
  }),
  kind(async () => {}, "reset"),
  kind((client) => Promise.resolve(client.sendRaw(GARBAGE))),
  kind((client) => Promise.resolve(client.sendRaw(BAD_RECORD)), "close", H2),
  kind((client) => client.send(REQUEST.slice(0, 20)), "reset"),
  kind((client) => client.send("POST /echo/1 HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1000\r\n\r\nhalf"), "reset"),
  kind((client) => client.send(REQUEST), "reset"),
  kind(async (client) => {
    await client.send("GET /held/1 HTTP/1.1\r\nhost: a.test\r\n\r\n");
    await client.arrival();
  }, "reset"),
  kind((client) => Promise.resolve(client.shut("nothing"))),
  kind((client) => client.send("GET / HTTP/9.9\r\n\r\n"), "close"),
];

const floods: readonly Kind[] = [
  kind((client) => client.send(REQUEST.repeat(50)), "reset"),
  kind(
    async (client) => {
      const resets = Array.from({ length: 50 }, (_, i) => [
        headers(2 * i + 1, pseudo()),
        frame("RST_STREAM", 0, 2 * i + 1, uint32(8)),
      ]).flat();
      await client.send(PREFACE, settings(), ...resets).catch(() => {});
    },
    "close",
    H2,
  ),
  kind((client) => client.send(PREFACE, ...Array.from({ length: 300 }, () => settings())).catch(() => {}), "close", H2),
];

const KINDS = [...served, ...cutOff, ...floods];

/** One that waits until it is given up. */
const SLOW = raw(HELLO.subarray(0, 40), "waits");

/** Connections of every kind, until their clients have left. */
async function run(to: Reachable, connections: number): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let i = next++; i < connections; i = next++) {
      const isSlow = i % (KINDS.length * SLOW_EACH) === 0;
      await (isSlow ? SLOW : KINDS[i % KINDS.length])?.(to);
    }
  }));
}

/** How many sockets the process has: proc(5). */
function socketsOf({ pid }: Proxy): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/${pid}/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // it was closed meanwhile
    }
  }).length;
}

/** Resident memory in bytes. */
function resident({ pid }: Proxy): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) * 1024;
}

/** What the worker holds of OpenSSL's, and has made, once no connection of a client is open: nothing tells when. */
async function counts(proxy: Proxy, file: string): Promise<{ readonly held: Held; readonly made: Held }> {
  for (let left = 1_000;; left--) {
    using client = await sayHello(proxy.address(), "count.test");
    await endSeen(client);
    const counted: { readonly held: Held; readonly made: Held } = JSON.parse(Deno.readTextFileSync(file));
    if (counted.held.SSL_new === 0) return counted;
    assert.ok(left > 0, `${counted.held.SSL_new} are open`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test({
  name: `descriptors, memory and objects of OpenSSL's are back after ${CONNECTIONS} L7 connections of every kind`,
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using backend = await HalvingBackend.start();
    await using grpc = await HttpBackend.start("h2c", (_, response) => {
      response.setHeader("content-type", "application/grpc");
      response.setHeader("trailer", "grpc-status");
      response.addTrailers({ "grpc-status": "0" });
      response.end("\0\0\0\0\x04said");
    });
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const count = `${folder}/count`;
    const { executable, args } = taskCommand(configuration, ROOT);
    const l7 = { mode: "l7" } as const;
    await using proxy = await Proxy.start({
      listeners: [{
        addr: "127.0.0.1:0",
        routes: [
          { hostname: "a.test", ...l7, ...backend.route, ...await certificateFor(folder, "a.test") },
          { hostname: "grpc.test", ...l7, backend: grpc.addr, ...await certificateFor(folder, "grpc.test") },
        ],
      }],
      proxy: { engine: "epoll", workers: 1, hello_timeout: HELLO_TIMEOUT },
    }, {
      folder,
      command: { executable, args: [...args.slice(0, -1), `${ROOT}tests/testdata/counting_program.ts`] },
      environment: { COUNT_FILE: count, DENO_V8_FLAGS: "--max-old-space-size=60" },
    });
    const to = { proxy, authority: await authority() };
    const idle = socketsOf(proxy);
    await run(to, CONNECTIONS / 2); // code is compiled, pools are filled, the heap takes its size
    const [warm, before] = [await counts(proxy, count), resident(proxy)];
    await run(to, CONNECTIONS / 2);
    const [after, grown] = [await counts(proxy, count), resident(proxy) - before];

    assert.ok(after.made.SSL_new > CONNECTIONS / 2, `${after.made.SSL_new} connections of TLS were counted`);
    assert.deepEqual(after.held, warm.held);
    // One that were kept would cost an SSL and its buffers, 20 KiB or more.
    assert.ok(grown < Math.max(SMALL * 1024, CONNECTIONS * 128), `memory grew by ${grown} bytes`);
    await Promise.all([backend.http.stop(), grpc.stop()]); // and the connections that are kept for the next request
    for (let left = 1_000; socketsOf(proxy) !== idle; left--) {
      assert.ok(left > 0, `sockets: ${idle}, then ${socketsOf(proxy)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.deepEqual(proxy.log.seen.filter(({ level }) => level === "error"), []);
    if (ASKED !== undefined) {
      console.log(
        JSON.stringify({ tls: after.made.SSL_new, held: after.held, before, grown, sockets: idle }),
      );
    }
    proxy.signal("SIGTERM");
    assert.equal((await proxy.event("listener_closed"))["active"], 0);
    assert.equal((await proxy.exit()).code, 0);
  },
});
