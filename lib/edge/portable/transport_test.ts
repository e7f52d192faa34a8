import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { accept } from "../listen.ts";
import { BufferPool } from "../buffer_pool.ts";
import { ConnTransport } from "./conn_transport.ts";
import { SocketTransport } from "./socket_transport.ts";
import { tlsSource } from "./tls_source.ts";
import type { Transport, TransportEvents } from "../http/transport.ts";
import { TimedDeadlines } from "../timed_deadlines.ts";
import { EventLoopTurn } from "./turn.ts";

const turn = new EventLoopTurn(new TimedDeadlines());

/** Writes down what a transport tells, and lets a test wait for it. */
class Told implements TransportEvents {
  readonly events: string[] = [];
  received_ = 0;
  #changed = Promise.withResolvers<void>();

  received(bytes: Uint8Array): void {
    this.received_ += bytes.length;
    this.#tell(`received ${bytes.length > 10 ? "much" : new TextDecoder().decode(bytes)}`);
  }

  ended(): void {
    this.#tell("ended");
  }

  drained(): void {
    this.#tell("drained");
  }

  closed(error: string | undefined): void {
    this.#tell(error === undefined ? "closed" : `closed ${error}`);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  /** Waits until an event has been told that begins so. */
  async event(start: string): Promise<string> {
    const found = () => this.events.find((event) => event.startsWith(start));
    await this.until(() => found() !== undefined);
    return found() ?? "";
  }

  #tell(event: string): void {
    this.events.push(event);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A transport and the other end of its connection. */
interface Pair extends Disposable {
  readonly transport: Transport;
  readonly told: Told;
  readonly peer: Deno.TcpConn;
  /** What its owner's faults were. */
  readonly faults: readonly unknown[];
}

const KINDS: Readonly<Record<string, () => Promise<Pair>>> = {
  async SocketTransport() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const socket: Socket = connect({ host: "127.0.0.1", port: listener.addr.port, allowHalfOpen: true });
    const [peer] = await Promise.all([accept(listener), once(socket, "connect")]); // whichever comes first
    const faults: unknown[] = [];
    const transport = new SocketTransport(
      turn,
      socket,
      tlsSource(socket),
      { read: () => {}, written: () => {} },
      (thrown) => faults.push(thrown),
    );
    return pair(transport, peer, faults);
  },
  async ConnTransport() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const [conn, peer] = await Promise.all([Deno.connect({ port: listener.addr.port }), accept(listener)]);
    const faults: unknown[] = [];
    return pair(new ConnTransport(turn, conn, new BufferPool(), (thrown) => faults.push(thrown)), peer, faults);
  },
};

function pair(transport: Transport, peer: Deno.TcpConn, faults: unknown[]): Pair {
  const told = new Told();
  return {
    transport,
    told,
    peer,
    faults,
    [Symbol.dispose]() {
      transport.destroy();
      try {
        peer.close();
      } catch {
        // The test closed it.
      }
    },
  };
}

async function readText(conn: Deno.Conn): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(100);
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text;
}

/** Reads until so many bytes have come, or the end. @returns How many came. */
async function readBytes(conn: Deno.Conn, most: number): Promise<number> {
  const buffer = new Uint8Array(64 * 1024);
  let length = 0;
  while (length < most) {
    const read = await conn.read(buffer);
    if (read === null) break;
    length += read;
  }
  return length;
}

const octets = (text: string) => new TextEncoder().encode(text);
const MUCH = 32 * 1024 * 1024; // more than any socket's buffers take

for (const [kind, open] of Object.entries(KINDS)) {
  Deno.test(`${kind}: bytes pass both ways, each half ends for itself, and then it is over`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    await peer.write(octets("up"));
    await told.event("received up");
    await peer.closeWrite();
    await told.event("ended");
    transport.write(octets("do"));
    transport.write(octets("wn"));
    transport.end();
    assert.equal(await readText(peer), "down");
    await told.event("closed");
    assert.equal(told.events.at(-1), "closed");
    assert.equal(told.events.filter((event) => event === "closed").length, 1);
  });

  Deno.test(`${kind}: our half ends first, and the peer's is heard to its end`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    transport.end();
    transport.end();
    transport.write(octets("too late"));
    assert.equal(await readText(peer), "");
    await peer.write(octets("up"));
    await peer.closeWrite();
    await told.event("closed");
    assert.deepEqual(told.events.filter((event) => event !== "drained"), ["received up", "ended", "closed"]);
  });

  Deno.test(`${kind}: a connection that the peer resets is closed with an error, once`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    transport.write(new Uint8Array(MUCH)); // unread at the peer: its close is a reset
    peer.close();
    assert.match(await told.event("closed"), /^closed .+/);
    transport.write(octets("x"));
    transport.end();
    transport.destroy();
    assert.equal(told.events.filter((event) => event.startsWith("closed")).length, 1);
  });

  Deno.test(`${kind}: while it is paused the peer has to wait, and nothing is told`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    await peer.write(octets("one"));
    await told.event("received");
    transport.pause();
    const writing = (async () => {
      for (let sent = 0; sent < MUCH;) sent += await peer.write(new Uint8Array(Math.min(64 * 1024, MUCH - sent)));
    })();
    // What was being read when it paused may come yet; a write of ours that leaves shows that time has passed.
    transport.write(octets("ping"));
    assert.equal(await readBytes(peer, 4), 4);
    assert.ok(told.received_ < 1024 * 1024, `${told.received_}`);
    transport.resume();
    await writing;
    await told.until(() => told.received_ === MUCH + 3);
  });

  Deno.test(`${kind}: what cannot leave is backlog, and when it has left that is told`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    transport.write(new Uint8Array(MUCH));
    transport.write(new Uint8Array(1000));
    assert.ok(transport.backlog > MUCH / 2, `${transport.backlog}`);
    assert.equal(await readBytes(peer, MUCH + 1000), MUCH + 1000);
    await told.until(() => transport.backlog === 0 && told.events.includes("drained"));
  });

  Deno.test(`${kind}: what waits is sent before the end, however long it takes`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    transport.write(new Uint8Array(MUCH));
    transport.end();
    assert.equal(await readBytes(peer, Infinity), MUCH);
    await peer.closeWrite();
    await told.event("closed");
  });

  Deno.test(`${kind}: destroyed while it writes, it is gone, and nothing is told`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    transport.write(new Uint8Array(MUCH));
    transport.destroy();
    transport.destroy();
    transport.write(octets("x"));
    transport.end();
    transport.resume();
    const read = await readBytes(peer, Infinity).catch(() => 0); // ended or reset, as the system likes
    assert.ok(read < MUCH);
    assert.deepEqual(told.events, []);
  });

  Deno.test(`${kind}: destroyed within an event, it tells nothing more`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start({
      received: (bytes) => {
        told.received(bytes);
        transport.destroy();
      },
      ended: () => told.ended(),
      drained: () => told.drained(),
      closed: (error) => told.closed(error),
    });
    await peer.write(octets("one"));
    await peer.closeWrite();
    await told.event("received");
    await readBytes(peer, Infinity).catch(() => 0);
    assert.deepEqual(told.events, ["received one"]);
  });

  Deno.test(`${kind}: paused and destroyed, it leaves nothing behind`, async () => {
    using pair = await open();
    const { transport, told, peer } = pair;
    transport.start(told);
    transport.pause();
    await peer.write(octets("one"));
    transport.destroy();
    await readBytes(peer, Infinity).catch(() => 0);
    assert.ok(told.events.length <= 1, told.events.join());
  });
}

const EVENTS: readonly (keyof TransportEvents)[] = ["received", "ended", "drained", "closed"];

for (const [kind, open] of Object.entries(KINDS)) {
  Deno.test(`${kind}: a fault in an event is reported, and ends this transport alone`, async () => {
    for (const faulty of EVENTS) {
      using opened = await open();
      const { transport, peer, faults } = opened;
      const over = Promise.withResolvers<string | undefined>();
      let calls = 0;
      const fault = (event: keyof TransportEvents) => {
        if (event === faulty && ++calls === 1) throw new Error(`injected into ${faulty}`);
      };
      transport.start({
        received: () => fault("received"),
        ended: () => fault("ended"),
        drained: () => fault("drained"),
        closed(error) {
          fault("closed");
          over.resolve(error);
        },
      });
      transport.write(new Uint8Array(MUCH));
      await peer.write(octets("hello"));
      if (faulty !== "drained" && faulty !== "received") {
        transport.end();
        await readBytes(peer, Infinity);
        peer.close();
      } else void readBytes(peer, Infinity).catch(() => 0);
      assert.equal(await over.promise, "a fault of the proxy's own", faulty);
      assert.deepEqual(faults.map(String), [`Error: injected into ${faulty}`]);
    }
  });

  Deno.test(`${kind}: a fault at the end of a turn is one, too, and a second one on the way is also told`, async () => {
    using opened = await open();
    const { transport, faults } = opened;
    const fail = (what: string) => () => {
      throw new Error(what);
    };
    transport.start({ received: fail("never"), ended: fail("never"), drained: fail("never"), closed: fail("second") });
    transport.fault(new Error("first"));
    assert.deepEqual(faults.map(String), ["Error: first", "Error: second"]);
    transport.fault(new Error("third"));
    assert.deepEqual(faults.map(String), ["Error: first", "Error: second", "Error: third"]);
  });
}

Deno.test("SocketTransport counts what passes", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const socket = connect({ host: "127.0.0.1", port: listener.addr.port, allowHalfOpen: true });
  using peer = await accept(listener);
  const counted = { read: 0, written: 0 };
  const transport = new SocketTransport(turn, socket, tlsSource(socket), {
    read: (bytes) => counted.read += bytes,
    written: (bytes) => counted.written += bytes,
  }, (thrown) => assert.ifError(thrown));
  const told = new Told();
  transport.start(told);
  transport.write(octets("four"));
  assert.equal(await readBytes(peer, 4), 4);
  await peer.write(octets("three"));
  await told.event("received");
  assert.deepEqual([counted, transport.bytesRead, transport.bytesWritten], [{ read: 5, written: 4 }, 5, 4]);
  transport.destroy();
});

Deno.test("ConnTransport: what the peer sent before it broke off is read, though writing has failed", async () => {
  using pair = await KINDS["ConnTransport"]?.() ?? assert.fail("no such kind");
  const { transport, told, peer } = pair;
  transport.start(told);
  await peer.write(octets("first"));
  await told.event("received first");
  transport.pause();
  transport.write(octets("unread")); // its close is a reset
  await peer.read(new Uint8Array(1));
  await peer.write(octets("second"));
  peer.close();
  transport.write(octets("fails"));
  while (transport.backlog > 0) await new Promise((resolve) => setTimeout(resolve));
  transport.resume();
  assert.match(await told.event("closed"), /^closed .+/);
  assert.ok(told.events.includes("received second"), told.events.join());
});

Deno.test("ConnTransport keeps no buffer while it is paused", async () => {
  const pool = new CountingPool();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [conn, peer] = await Promise.all([Deno.connect({ port: listener.addr.port }), accept(listener)]);
  const transport = new ConnTransport(turn, conn, pool, (thrown) => assert.fail(String(thrown)));
  const told = new Told();
  const received = told.received.bind(told);
  told.received = (bytes) => {
    received(bytes);
    transport.pause();
  };
  using _pair = pair(transport, peer, []);
  transport.start(told);
  await peer.write(new Uint8Array(100));
  await told.event("received");
  assert.equal(pool.taken, 0);
  transport.resume();
  assert.equal(pool.taken, 0, "it is taken once it is read into");
  await peer.write(new Uint8Array(100));
  await told.until(() => told.received_ === 200);
  assert.equal(pool.taken, 0);
});

class CountingPool extends BufferPool {
  taken = 0;

  override take(bytes?: number): Uint8Array<ArrayBuffer> {
    this.taken++;
    return super.take(bytes);
  }

  override give(buffer: Uint8Array<ArrayBuffer>): void {
    this.taken--;
    super.give(buffer);
  }
}
