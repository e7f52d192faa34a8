import assert from "node:assert/strict";
import { createAuthority } from "../../../scripts/dev/certificates.ts";
import type { Dialled, DialOptions } from "../http/backend/dial.ts";
import { DEFAULT_TLS } from "../tls_settings.ts";
import { BackendTls } from "./backend_tls.ts";
import { IPPROTO_TCP, TCP_CORK } from "./libc.ts";
import { BROKEN } from "./libssl/connection.ts";
import type { Libssl, LibsslFunctions } from "./libssl/library.ts";
import { counting } from "./testdata/counting_libssl.ts";
import { Secured, TestBackend, TestDial } from "./testdata/test_backend.ts";
import { TestThread, Told } from "./testdata/test_thread.ts";
import { AUTHORITY, CERTIFICATE, libsslUnderTest, TlsSide } from "./testdata/tls_pair.ts";

const PROXY_HEADER = "PROXY TCP4 192.0.2.1 198.51.100.1 1 443\r\n";
const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
const TLS1_2_VERSION = 0x0303n;
const NO_OVERLAP = 2;

function linuxTest(name: string, fn: (scene: Scene) => void | Promise<void>): void {
  Deno.test({
    name,
    ignore: Deno.build.os !== "linux",
    async fn() {
      using scene = new Scene();
      await fn(scene);
      assert.equal(BigInt(scene.libssl.functions.ERR_peek_error()), 0n, "no error is left behind");
    },
  });
}

type Changes = Partial<Omit<DialOptions, "settings" | "fault">> & {
  readonly settings?: Partial<DialOptions["settings"]>;
};

/** A thread, TLS as the program has it, and what is to be given up in the end. */
class Scene extends DisposableStack {
  readonly thread: TestThread = this.use(new TestThread());
  readonly #counted = counting(libsslUnderTest());
  readonly libssl: Libssl = this.#counted.libssl;
  readonly backends: BackendTls = new BackendTls(this.libssl, DEFAULT_TLS);

  /** How many connections of TLS there are, at either end. */
  get connections(): number {
    return this.#counted.held.SSL_new;
  }

  backend(backlog?: number): TestBackend {
    return this.use(new TestBackend(this.thread, backlog));
  }

  /** A server of TLS. */
  side(options: ConstructorParameters<typeof TlsSide>[0] = {}): TlsSide {
    return this.use(new TlsSide({ libssl: this.libssl, ...options }));
  }

  /** A dial of a backend over TLS to these; its result is waited for by {@linkcode Scene.result}. */
  dial(
    to: readonly TestBackend[],
    { settings, ...options }: Changes = {},
    done?: (result: Dialled | Error) => void,
  ): TestDial {
    const all: Omit<DialOptions, "fault"> = {
      settings: {
        name: "a.test:443",
        backendTls: true,
        backendProtocol: "",
        backendCa: AUTHORITY.cert,
        backendServerName: "",
        backendPins: [],
        ...settings,
      },
      addresses: to.map(({ endpoint }) => endpoint),
      prefix: undefined,
      http1Only: false,
      connectMs: 60_000,
      ...options,
    };
    return this.use(new TestDial(this.thread, this.backends, all, done));
  }

  /** Goes on until it is over; the backend goes on with its handshake meanwhile. */
  result(dial: TestDial, secured?: Secured): TestDial {
    this.thread.until(() => dial.isOver, () => secured?.greet());
    return dial;
  }

  /** Dials a backend of TLS, which goes along. */
  connect(backend: TestBackend, side: TlsSide, changes: Changes = {}): { dial: TestDial; secured: Secured } {
    const dial = this.dial([backend], changes);
    const secured = this.use(backend.secure(side.server, changes.prefix?.length));
    this.result(dial, secured);
    if (dial.results[0] instanceof Error) this.thread.until(() => secured.handshake < -2, () => secured.greet());
    else secured.shake();
    return { dial, secured };
  }
}

const PLAIN = { backendTls: false, backendCa: "" };

linuxTest("without TLS, the PROXY header goes first, and HTTP behind it", (scene) => {
  const backend = scene.backend();
  const prefix = new TextEncoder().encode(PROXY_HEADER);
  const dial = scene.dial([backend], { settings: PLAIN, prefix });
  assert.deepEqual(dial.results, [], "nothing is told from within the call");
  const fd = backend.accept();
  const { transport, protocol, address } = scene.result(dial).dialled;
  assert.deepEqual([protocol, address], ["h2", `127.0.0.1 ${backend.endpoint.port}`]);
  const told = new Told();
  transport.start(told);
  transport.write(new TextEncoder().encode("request"));
  assert.equal(backend.hear(fd, PROXY_HEADER.length + 7), `${PROXY_HEADER}request`);
  scene.thread.libc.send(fd, new TextEncoder().encode("answer"), 6);
  scene.thread.until(() => told.text === "answer");
  backend.hangUp(fd, "close");
  scene.thread.until(() => told.has("ended"));
  transport.end();
  scene.thread.until(() => told.has("closed"));
  assert.deepEqual(told.events, ["received", "ended", "closed"]);
});

linuxTest("what is spoken without TLS is what the route says, and HTTP/1.1 for who can only that", (scene) => {
  const backend = scene.backend();
  for (
    const [backendProtocol, http1Only, expected] of [
      ["h2", false, "h2"],
      ["http1", false, "http/1.1"],
      ["h2", true, "http/1.1"],
    ] as const
  ) {
    const dial = scene.result(scene.dial([backend], { settings: { ...PLAIN, backendProtocol }, http1Only }));
    assert.equal(dial.dialled.protocol, expected);
  }
});

linuxTest("a backend without an address, and one that refuses, are told at the end of the turn", (scene) => {
  const unresolved = scene.dial([]);
  const refusing = scene.dial([scene.backend(-1)]);
  assert.deepEqual([unresolved.results, refusing.results], [[], []]);
  assert.equal(scene.result(unresolved).failure, "unresolved: the backend's name has no address");
  assert.equal(scene.result(refusing).failure, "refused: the backend refuses connections");
});

linuxTest("where one address refuses, the next is tried, and each says once what came of it", (scene) => {
  const backend = scene.backend();
  const refusing = scene.backend(-1);
  const dial = scene.result(scene.dial([refusing, refusing, backend], { settings: PLAIN }));
  assert.equal(dial.dialled.address, `127.0.0.1 ${backend.endpoint.port}`);
  const inVain = scene.result(scene.dial([refusing, scene.backend(-1)], { settings: PLAIN }));
  for (let i = 0; i < 3; i++) scene.thread.step();
  assert.equal(inVain.results.length, 1);
});

/** A backend whose queue is full, so that whoever connects hears nothing. */
function silent(scene: Scene): TestBackend {
  const backend = scene.backend(0);
  for (let i = 0; i < 2; i++) scene.dial([backend], { settings: PLAIN });
  for (let i = 0; i < 10; i++) scene.thread.step();
  return backend;
}

linuxTest("an address that does not answer has its share of the time, and the next has its own", (scene) => {
  const backend = silent(scene);
  const dial = scene.dial([backend], { settings: PLAIN, connectMs: 20 });
  assert.equal(scene.result(dial).failure, "timeout: the backend does not answer");
  const other = scene.backend();
  const next = scene.dial([backend, other], { settings: PLAIN, connectMs: 20_000 });
  // As far as the wheel is concerned, half of the time has passed.
  const { deadlines, libc } = scene.thread;
  scene.thread.step();
  assert.equal(next.isOver, false);
  deadlines.advance(libc.now() + 10_100);
  let turns = 0;
  while (!next.isOver && turns++ < 10_000) {
    deadlines.advance(libc.now() + 10_100);
    scene.thread.loop.dispatch(scene.thread.loop.wait(0));
  }
  assert.equal(next.dialled.address, `127.0.0.1 ${other.endpoint.port}`);
});

linuxTest("a backend that accepts and says nothing of TLS is given up in time, and its socket closed", (scene) => {
  const backend = scene.backend();
  const dial = scene.dial([backend], { connectMs: 50 });
  const fd = backend.accept();
  assert.equal(scene.result(dial).failure, "timeout: the backend does not answer");
  assert.ok(backend.hear(fd, 65_536).length > 100, "its ClientHello, and the end behind it");
  assert.equal(scene.connections, 0);
});

linuxTest("the PROXY header goes before the ClientHello, and h2 is chosen where the backend can", (scene) => {
  const prefix = new TextEncoder().encode(PROXY_HEADER);
  const { dial, secured } = scene.connect(scene.backend(), scene.side(), { prefix });
  assert.equal(secured.head, PROXY_HEADER);
  assert.equal(dial.dialled.protocol, "h2");
  const told = new Told();
  dial.dialled.transport.start(told);
  dial.dialled.transport.write(new TextEncoder().encode("request"));
  secured.hear("request");
  secured.say("answer");
  scene.thread.until(() => told.text === "answer");
});

linuxTest(
  "a certificate for another name, of another authority, or past its time is refused by its reason",
  async (scene) => {
    const day = 24 * 3_600_000;
    const past = { notBefore: new Date(Date.now() - 30 * day), notAfter: new Date(Date.now() - day) };
    const coming = { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 30 * day) };
    const cases = [
      ["hostname mismatch", {}, { backendServerName: "b.test" }],
      ["hostname mismatch", {}, { name: "other.a.test:443" }],
      ["IP address mismatch", {}, { name: "127.0.0.1:443" }],
      ["self-signed certificate in certificate chain", {}, { backendCa: (await createAuthority("another")).cert }],
      ["certificate has expired", { pem: await AUTHORITY.issue({ hostnames: ["a.test"], validity: past }) }, {}],
      ["certificate is not yet valid( or the system clock is incorrect)?", {
        pem: await AUTHORITY.issue({ hostnames: ["a.test"], validity: coming }),
      }, {}],
    ] as const;
    const backend = scene.backend();
    for (const [reason, side, settings] of cases) {
      const { dial, secured } = scene.connect(backend, scene.side(side), { settings });
      assert.match(dial.failure, new RegExp(`^tls: the certificate of \\S+ is not valid: ${reason}$`, "i"));
      assert.equal(secured.handshake, BROKEN, `${reason}: the backend is told so`);
      // The next is none the worse for it.
      assert.equal(scene.connect(backend, scene.side()).dial.dialled.protocol, "h2");
    }
  },
);

linuxTest("a certificate for the address of the backend is taken, and none of a part of a name", async (scene) => {
  const pem = await AUTHORITY.issue({ hostnames: ["127.0.0.1", "::1", "*.b.test", "x*.c.test"] });
  const backend = scene.backend();
  for (
    const [name, isTaken] of [
      ["127.0.0.1:1", true],
      ["[::1]:1", true],
      ["127.0.0.2:1", false],
      ["any.b.test:1", true],
      ["any.any.b.test:1", false],
      ["xy.c.test:1", false],
    ] as const
  ) {
    const { dial } = scene.connect(backend, scene.side({ pem }), { settings: { name } });
    assert.equal(dial.results[0] instanceof Error, !isTaken, name);
  }
});

/** Has a backend speak no newer TLS than 1.2. */
function limitToTls12({ libssl }: TlsSide, { tls }: Secured): void {
  libssl.functions.SSL_ctrl(tls.pointer, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS1_2_VERSION, null);
}

/** A library whose server chooses no protocol: it knows of no ALPN, or refuses what is offered. */
function choosing(libssl: Libssl, how: "nothing" | "refuses"): Libssl {
  const functions: LibsslFunctions = how === "nothing"
    ? { ...libssl.functions, SSL_CTX_set_alpn_select_cb: () => {} }
    : { ...libssl.functions, SSL_select_next_proto: () => NO_OVERLAP };
  return { ...libssl, functions };
}

linuxTest("a backend that knows of no ALPN is spoken to in HTTP/1.1, unless the route wants HTTP/2", (scene) => {
  const backend = scene.backend();
  const side = scene.side({ libssl: choosing(scene.libssl, "nothing") });
  assert.equal(scene.connect(backend, side).dial.dialled.protocol, "http/1.1");
  assert.equal(
    scene.connect(backend, side, { settings: { backendProtocol: "http1" } }).dial.dialled.protocol,
    "http/1.1",
  );
  const dial = scene.dial([backend], { settings: { backendProtocol: "h2" } });
  const secured = scene.use(backend.secure(side.server));
  assert.match(scene.result(dial, secured).failure, /^tls: the backend does not speak HTTP\/2 over TLS; set /);
});

linuxTest(
  "the alert of a backend that speaks nothing of what is offered is told in the words of the route",
  (scene) => {
    const backend = scene.backend();
    const side = scene.side({ libssl: choosing(scene.libssl, "refuses") });
    const failure = (backendProtocol: "h2" | "http1") =>
      scene.connect(backend, side, { settings: { backendProtocol } }).dial.failure;
    assert.match(failure("h2"), /^tls: the backend does not speak HTTP\/2 over TLS; set /);
    assert.equal(failure("http1"), "tls: the backend does not speak HTTP/1.1 over TLS");
  },
);

linuxTest("who can only HTTP/1.1 offers only that", (scene) => {
  const { dial, secured } = scene.connect(scene.backend(), scene.side(), { http1Only: true });
  assert.deepEqual([dial.dialled.protocol, secured.tls.protocol], ["http/1.1", "http/1.1"]);
});

linuxTest(
  "a backend that leaves within the handshake, in any way, or speaks no TLS, leaves nothing behind",
  (scene) => {
    const backend = scene.backend();
    const side = scene.side();
    const garbage = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n");
    for (const isBegun of [false, true]) {
      for (const how of ["close", "reset", "garbage"] as const) {
        const dial = scene.dial([backend]);
        const fd = backend.accept();
        if (isBegun) {
          using secured = new Secured(scene.thread, side.server.accept(fd), fd, "");
          limitToTls12(side, secured); // of which the server's first flight does not end the handshake
          scene.thread.until(() => scene.thread.libc.peek(fd, new Uint8Array(1), 1) === 1);
          secured.greet();
        } else if (how === "close") backend.hear(fd, 5 + 200); // most of the ClientHello
        if (how === "garbage") scene.thread.libc.send(fd, garbage, garbage.length);
        else backend.hangUp(fd, how);
        assert.match(scene.result(dial).failure, /^tls: /);
        assert.equal(scene.connections, 0);
      }
    }
  },
);

linuxTest("a certificate authority that cannot be read fails the dial, and no more", (scene) => {
  const backend = scene.backend();
  const dial = scene.dial([backend], { settings: { backendCa: "nothing" } });
  backend.accept();
  assert.match(scene.result(dial).failure, /^tls: there is no certificate in backend_ca$/);
  assert.equal(scene.connections, 0);
});

linuxTest("a session is gone on from, with the same name, authorities and protocols alone", (scene) => {
  const backend = scene.backend();
  const side = scene.side();
  const isResumed = (changes: Changes = {}) => {
    const { dial, secured } = scene.connect(backend, side, changes);
    const told = new Told();
    dial.dialled.transport.start(told);
    secured.say("answer"); // behind a ticket of TLS 1.3
    scene.thread.until(() => told.text === "answer");
    dial.dialled.transport.destroy();
    return secured.tls.isResumed;
  };
  assert.deepEqual([isResumed(), isResumed(), isResumed()], [false, true, true]);
  assert.equal(isResumed({ http1Only: true }), false);
  assert.equal(isResumed({ settings: { backendCa: `${AUTHORITY.cert}\n` } }), false);
  assert.equal(isResumed(), true);
  const other = scene.connect(backend, scene.side({ pem: CERTIFICATE }));
  assert.equal(other.secured.tls.isResumed, false, "its keys are others");
});

linuxTest("the session of a handshake that fails is not tried again", (scene) => {
  const backend = scene.backend();
  const side = scene.side();
  const once = (how: "good" | "bad") => {
    const dial = scene.dial([backend]);
    const fd = backend.accept();
    if (how === "bad") backend.hangUp(fd, "reset");
    using secured = new Secured(scene.thread, side.server.accept(fd), fd, "");
    if (how === "bad") return void scene.result(dial);
    scene.result(dial, secured);
    secured.shake();
    const told = new Told();
    dial.dialled.transport.start(told);
    secured.say("answer");
    scene.thread.until(() => told.text === "answer");
    dial.dialled.transport.destroy();
    return secured.tls.isResumed;
  };
  assert.deepEqual([once("good"), once("good"), once("bad"), once("good")], [false, true, undefined, false]);
});

linuxTest(
  "what a backend says with the end of its handshake is told, though the socket has nothing more to tell",
  (scene) => {
    const backend = scene.backend();
    const side = scene.side();
    const dial = scene.dial([backend]);
    const secured = scene.use(backend.secure(side.server));
    const { libc } = scene.thread;
    // Of TLS 1.2, the server's Finished is the last: its first word can share a segment with that.
    side.libssl.functions.SSL_ctrl(secured.tls.pointer, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS1_2_VERSION, null);
    scene.thread.until(() => {
      libc.enable(secured.fd, IPPROTO_TCP, TCP_CORK);
      secured.greet();
      if (secured.handshake !== 1) libc.disable(secured.fd, IPPROTO_TCP, TCP_CORK);
      return secured.handshake === 1;
    });
    secured.say("first");
    libc.disable(secured.fd, IPPROTO_TCP, TCP_CORK);
    scene.result(dial);
    const told = new Told();
    dial.dialled.transport.start(told);
    scene.thread.until(() => told.text === "first");
  },
);

linuxTest("the end of an answer counts where close_notify says so, and a FIN alone is a break", (scene) => {
  const backend = scene.backend();
  const side = scene.side();
  for (const says of [true, false]) {
    const { dial, secured } = scene.connect(backend, side);
    const told = new Told();
    dial.dialled.transport.start(told);
    secured.say("answer");
    if (says) secured.tls.shutdown();
    scene.thread.libc.shutdown(secured.fd);
    scene.thread.until(() => told.has("ended") || told.events.some((event) => event.startsWith("closed")));
    const last = says ? "ended" : "closed: the backend closed the connection without close_notify";
    assert.deepEqual(told.events, ["received", last]);
  }
});

linuxTest("the owner may destroy the connection as it is told of it, and what it throws is reported", (scene) => {
  const backend = scene.backend();
  const side = scene.side();
  for (const settings of [PLAIN, {}]) {
    for (const does of ["destroys", "throws"] as const) {
      const thrown = new Error("a fault of the owner's");
      const dial = scene.dial([backend], { settings }, (result) => {
        assert.ok(!(result instanceof Error));
        result.transport.destroy();
        if (does === "throws") throw thrown;
      });
      const fd = backend.accept();
      const tls = settings === PLAIN ? undefined : scene.use(new Secured(scene.thread, side.server.accept(fd), fd, ""));
      scene.result(dial, tls);
      for (let i = 0; i < 3; i++) scene.thread.step();
      assert.equal(dial.results.length, 1);
      assert.deepEqual(dial.faults, does === "throws" ? [thrown] : []);
      backend.hear(fd, 65_536); // to the end: its socket is closed
    }
  }
});

linuxTest("what the owner throws at a failure is reported, and no other address is tried", (scene) => {
  const thrown = new Error("a fault of the owner's");
  const dial = scene.dial([scene.backend(-1)], {}, () => {
    throw thrown;
  });
  scene.result(dial);
  for (let i = 0; i < 3; i++) scene.thread.step();
  assert.deepEqual([dial.results.length, dial.faults], [1, [thrown]]);
});

linuxTest("where epoll has no room for a connection, or no descriptor is left, the dial fails", (scene) => {
  const backend = scene.backend();
  const { loop, libc } = scene.thread;
  const { add } = loop;
  loop.add = () => false;
  assert.equal(scene.result(scene.dial([backend])).failure, "unreachable: ENOMEM");
  loop.add = add;
  const { socket } = libc;
  libc.socket = () => -24;
  const dial = scene.dial([backend]);
  libc.socket = socket;
  assert.equal(scene.result(dial).failure, "unreachable: EMFILE");
});
