import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { newTicketKey } from "../../ticket_key.ts";
import { TestThread } from "../testdata/test_thread.ts";
import { AUTHORITY, CERTIFICATE, TlsPair, TlsSide } from "../testdata/tls_pair.ts";
import { sessionOf, type TlsSession } from "./client_context.ts";
import { WANT_READ } from "./connection.ts";

const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
const VERSIONS = { "TLS 1.2": 0x0303n, "TLS 1.3": 0x0304n } as const;
const NOTHING = new Uint8Array(new ArrayBuffer(1));

/** What came of one connection. */
interface Outcome {
  readonly resumed: boolean;
  /** Of the server's key, as the client knows it. */
  readonly pin: string | undefined;
  /** What the next one can go on from, and what it says; of TLS 1.2 without a new ticket, that of this one. */
  readonly session: TlsSession | undefined;
}

/** Connects once, exchanges a word, and ends in order. */
function connect(thread: TestThread, side: TlsSide, version: bigint, session?: TlsSession): Outcome {
  using pair = new TlsPair(thread, side, session === undefined ? {} : { session });
  side.libssl.functions.SSL_ctrl(pair.peer.pointer, SSL_CTRL_SET_MAX_PROTO_VERSION, version, NOTHING);
  pair.shake();
  assert.equal(pair.handshake, "h2");
  pair.transport.write(new TextEncoder().encode("hello"));
  const heard: number[] = [];
  thread.until(() => heard.length === 5, () => assert.equal(pair.hear(heard), WANT_READ));
  assert.equal(BigInt(side.libssl.functions.ERR_peek_error()), 0n);
  return { resumed: pair.peer.isResumed, pin: pair.peer.peerPin, session: sessionOf(side.libssl, pair.peer) };
}

for (const [name, version] of Object.entries(VERSIONS)) {
  const linuxTest = (what: string, fn: (thread: TestThread, side: TlsSide) => void) =>
    Deno.test({
      name: `${name}: ${what}`,
      ignore: Deno.build.os !== "linux",
      fn() {
        using thread = new TestThread();
        using side = new TlsSide();
        fn(thread, side);
      },
    });

  linuxTest("a session that is gone on from has the public key that it began with", (thread, side) => {
    const spki = new X509Certificate(CERTIFICATE.cert).publicKey.export({ type: "spki", format: "der" });
    const pin = `sha256/${createHash("sha256").update(spki).digest("base64")}`;
    const first = connect(thread, side, version);
    const second = connect(thread, side, version, first.session);
    assert.deepEqual([first.resumed, second.resumed], [false, true]);
    assert.deepEqual([first.pin, second.pin], [pin, pin]);
    for (const session of new Set([first.session, second.session])) session?.free();
  });

  linuxTest("a session is gone on from, again and again, by any worker with the keys", (thread, side) => {
    const keys = [newTicketKey()];
    side.keys.set(keys);
    using other = new TlsSide({ tickets: keys });
    let { session, resumed } = connect(thread, side, version);
    assert.equal(resumed, false);
    for (const worker of [side, other, side, other]) {
      const used = session;
      ({ session, resumed } = connect(thread, worker, version, used));
      used?.free();
      assert.equal(resumed, true);
    }
    session?.free();
  });

  linuxTest("a ticket of the key before is taken and replaced, one of the key before that is not", (thread, side) => {
    const keys = [newTicketKey(), newTicketKey(), newTicketKey()];
    side.keys.set(keys.slice(2));
    const first = connect(thread, side, version);
    side.keys.set(keys.slice(1));
    const second = connect(thread, side, version, first.session);
    assert.equal(second.resumed, true);
    side.keys.set(keys.slice(0, 2));
    assert.equal(connect(thread, side, version, first.session).resumed, false, "its key is gone");
    assert.equal(connect(thread, side, version, second.session).resumed, true, "a new ticket came with the second key");
    first.session?.free();
    second.session?.free();
  });

  linuxTest("without keys there are no tickets, and connections all the same", (thread, side) => {
    side.keys.set([]);
    const { session } = connect(thread, side, version);
    assert.equal(connect(thread, side, version, session).resumed, false);
    session?.free();
  });

  linuxTest("a session of another certificate is not gone on from", (thread, side) => {
    const keys = [newTicketKey()];
    side.keys.set(keys);
    const { session } = connect(thread, side, version);
    using other = new TlsSide({ tickets: keys, pem: OTHER });
    assert.equal(connect(thread, other, version, session).resumed, false);
    session?.free();
  });

  linuxTest("a session of a connection that was cut off is gone on from", (thread, side) => {
    const { session } = connect(thread, side, version); // `connect` says no close_notify
    assert.equal(connect(thread, side, version, session).resumed, true);
    session?.free();
  });
}

const OTHER = await AUTHORITY.issue({ hostnames: ["a.test"] });
