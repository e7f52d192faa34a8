import assert from "node:assert/strict";
import { DEFAULT_TLS } from "../tls_settings.ts";
import { BackendTls, type TlsPeer } from "./backend_tls.ts";
import { LibsslError } from "./libssl/library.ts";
import { counting, type Held } from "./testdata/counting_libssl.ts";
import { socketPair, TestThread } from "./testdata/test_thread.ts";
import { AUTHORITY, libsslUnderTest, TlsPair, TlsSide } from "./testdata/tls_pair.ts";

const CONTEXTS = 256;
const SESSIONS = 1_024;

const PEER: TlsPeer = { ca: AUTHORITY.cert, name: "a.test", pins: [], protocols: ["h2"], address: "127.0.0.1 443" };

/** TLS to backends, a socket for it, and what it holds. */
interface Scene {
  readonly thread: TestThread;
  readonly backends: BackendTls;
  readonly side: TlsSide;
  readonly fd: number;
  readonly held: Held;
  readonly made: Held;
}

function linuxTest(name: string, fn: (scene: Scene) => void): void {
  Deno.test({
    name,
    ignore: Deno.build.os !== "linux",
    fn() {
      using stack = new DisposableStack();
      const thread = stack.use(new TestThread());
      const { libssl, held, made } = counting(libsslUnderTest());
      const [fd, other] = socketPair(thread.libc);
      stack.defer(() => {
        for (const each of [fd, other]) thread.libc.close(each);
      });
      // Its own library: what it holds is not counted.
      const side = stack.use(new TlsSide());
      fn({ thread, backends: new BackendTls(libssl, DEFAULT_TLS), side, fd, held, made });
      assert.equal(BigInt(libssl.functions.ERR_peek_error()), 0n, "no error is left behind");
    },
  });
}

linuxTest("backends of the same authorities share a context; of many, those that were used last are kept", (scene) => {
  const { backends, fd, held, made } = scene;
  const connect = (ca: string) => backends.connect(fd, { ...PEER, ca }).free();
  const ca = (number: number) => `${AUTHORITY.cert}${"\n".repeat(number)}`;
  for (let i = 0; i < 3; i++) connect(ca(0));
  assert.deepEqual([held.SSL_CTX_new, held.SSL_new], [1, 0]);
  for (let i = 0; i < CONTEXTS; i++) connect(ca(i));
  assert.equal(held.SSL_CTX_new, CONTEXTS);
  connect(ca(0)); // and so 1 is the one that was not used for the longest time
  connect(ca(CONTEXTS));
  assert.equal(held.SSL_CTX_new, CONTEXTS);
  const before = made.SSL_CTX_new;
  connect(ca(0));
  assert.equal(made.SSL_CTX_new, before, "0 was kept");
  connect(ca(1));
  assert.equal(made.SSL_CTX_new, before + 1, "1 was not");
  assert.equal(held.SSL_CTX_new, CONTEXTS);
});

linuxTest("the authorities of the system are read once, and kept whatever others are used", (scene) => {
  const { backends, fd, held, made } = scene;
  backends.readSystemAuthorities();
  backends.readSystemAuthorities();
  assert.equal(made.SSL_CTX_new, 1);
  for (let i = 0; i <= CONTEXTS; i++) {
    backends.connect(fd, { ...PEER, ca: `${AUTHORITY.cert}${"\n".repeat(i)}` }).free();
  }
  const before = made.SSL_CTX_new;
  backends.connect(fd, { ...PEER, ca: "" }).free();
  assert.deepEqual([made.SSL_CTX_new, held.SSL_CTX_new], [before, CONTEXTS + 1]);
});

linuxTest("a connection outlives the context that it was made with", ({ backends, fd, held }) => {
  const tls = backends.connect(fd, PEER);
  for (let i = 1; i <= CONTEXTS; i++) {
    backends.connect(fd, { ...PEER, ca: `${AUTHORITY.cert}${"\n".repeat(i)}` }).free();
  }
  assert.equal(tls.handshake() < 0, true, "it waits for an answer");
  tls.free();
  assert.deepEqual([held.SSL_CTX_new, held.SSL_new], [CONTEXTS, 0]);
});

linuxTest("authorities that cannot be read leave nothing behind, and are not remembered as good", (scene) => {
  for (let i = 0; i < 2; i++) {
    assert.throws(() => scene.backends.connect(scene.fd, { ...PEER, ca: "nothing" }), LibsslError);
    assert.deepEqual([scene.held.SSL_CTX_new, scene.held.BIO_new_mem_buf], [0, 0]);
  }
});

linuxTest("sessions are kept one for each peer, many of them, and given up as others come", (scene) => {
  const { thread, backends, side, held } = scene;
  using pair = new TlsPair(thread, side);
  pair.shake();
  thread.until(() => pair.hear([]) < 0); // up to the ticket
  for (let i = 0; i < 3; i++) backends.remember(pair.peer, PEER);
  assert.equal(held.SSL_get1_session, 1);
  backends.forget(PEER);
  backends.forget(PEER);
  assert.equal(held.SSL_get1_session, 0);
  for (let i = 0; i < SESSIONS + 10; i++) backends.remember(pair.peer, { ...PEER, address: `127.0.0.1 ${i}` });
  assert.equal(held.SSL_get1_session, SESSIONS);
  backends.forget({ ...PEER, address: "127.0.0.1 9" });
  assert.equal(held.SSL_get1_session, SESSIONS, "it was given up");
  backends.forget({ ...PEER, address: "127.0.0.1 10" });
  assert.equal(held.SSL_get1_session, SESSIONS - 1);
});

linuxTest("a session that cannot be gone on from is not kept", ({ thread, backends, side, held }) => {
  using pair = new TlsPair(thread, side); // its handshake has not begun
  backends.remember(pair.peer, PEER);
  assert.equal(held.SSL_get1_session, 0);
});
