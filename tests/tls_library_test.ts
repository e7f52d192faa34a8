import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { loadConfig } from "../lib/control/config.ts";
import { Store } from "../lib/control/store/store.ts";
import { selfSigned } from "../lib/control/testdata/make_certificate.ts";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { administered } from "./harness/admin.ts";
import { HttpBackend, L7, reflect } from "./harness/http.ts";
import { compileLibrary, testWithCompiler, versionSource } from "./harness/libraries.ts";
import { Proxy, runProgram, testEachEngine } from "./harness/proxy.ts";

/** OpenSSL 3.5 or newer, where the system's is older. */
const NEWER = Deno.env.get("MC_PROXY_TEST_LIBSSL") ?? "";

const ignore = Deno.build.os !== "linux";
const linuxTest = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore, fn });

/** A folder that is removed in the end. */
function temporaryFolder() {
  const path = Deno.makeTempDirSync({ prefix: "mc-proxy-tls-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** Writes a configuration with one L7 route; `proxy` is what stands in `[proxy]`. */
async function writeConfig(
  folder: string,
  proxy: string,
  { cert, key }: { readonly cert: string; readonly key: string },
): Promise<string> {
  const file = `${folder}/mc-proxy.toml`;
  await Deno.writeTextFile(`${folder}/a.pem`, cert);
  await Deno.writeTextFile(`${folder}/a.key`, key);
  await Deno.writeTextFile(
    file,
    `database.path = "x.db"
[[listeners]]
addr = "127.0.0.1:0"
[[listeners.routes]]
hostname = "a.test"
backend = "127.0.0.1:1"
mode = "l7"
tls_cert = "a.pem"
tls_key = "a.key"
[proxy]
${proxy}
`,
  );
  return file;
}

const pair = createAuthority("Test authority").then((authority) => authority.issue({ hostnames: ["a.test"] }));

/** What `check` and a start say, which is the same, in a folder whose name is cut out. */
async function refusals(proxy: string, folder: string, keys = pair): Promise<string> {
  const file = await writeConfig(folder, proxy, await keys);
  const [check, start] = await Promise.all([runProgram(["check", "-c", file]), runProgram(["server", "-c", file])]);
  assert.deepEqual([check.code, check.stdout, start.code], [1, "", 1], check.stderr + start.stderr);
  // Which of the functions that a library lacks is told, is chance.
  const problems = (text: string) =>
    text.replaceAll(/it has no function \w+/g, "it has no function").split("\n")
      .filter((line) => !line.includes(": warning: ")).join("\n");
  assert.equal(problems(check.stderr), problems(start.stderr));
  return start.stderr.replaceAll(folder, "DIR").trimEnd();
}

linuxTest("a libssl that is not there, or is something else, is told by check and by the start", async () => {
  using folder = temporaryFolder();
  const remedy = 'name another one, or none for the system\'s, or set engine = "portable"';
  for (const engine of ["auto", "epoll"]) {
    const setting = (path: string) => `engine = "${engine}"\nlibssl = "${path}"`;
    assert.equal(
      await refusals(setting("none/libssl.so.3"), folder.path),
      "DIR/mc-proxy.toml: line 12: proxy.libssl: cannot load DIR/none/libssl.so.3: cannot open shared object file: " +
        `No such file or directory; ${remedy}`,
    );
    assert.match(
      await refusals(setting("a.pem"), folder.path),
      /^DIR\/mc-proxy\.toml: line 12: proxy\.libssl: cannot load DIR\/a\.pem: .+; name another one, or none for the system's/,
    );
  }
});

testWithCompiler("a library that is no libssl, another's, or an old one is told as such", async () => {
  using folder = temporaryFolder();
  const cases = [
    ["other", "int other(void) { return 1; }", "it has no function OpenSSL_version"],
    ["old", versionSource("OpenSSL 1.1.1w  11 Sep 2023", 0x1010117f), "and OpenSSL 3.0 or newer is needed"],
    ["libre", versionSource("LibreSSL 4.0.0", 0x20000000), "is LibreSSL 4.0.0, and OpenSSL is needed"],
    ["half", versionSource("OpenSSL 3.0.0 7 sep 2021", 0x30000000), "it has no function "],
    ["unbound", "int missing(void); int OpenSSL_version_num(void) { return missing(); }", "undefined symbol: missing"],
  ] as const;
  for (const [name, source, reason] of cases) {
    await compileLibrary(`${folder.path}/${name}.so`, source);
    const said = await refusals(`libssl = "${name}.so"`, folder.path);
    assert.match(said, /^DIR\/mc-proxy\.toml: line 11: proxy\.libssl: /);
    assert.ok(said.includes(reason), said);
  }
});

testWithCompiler("one of libssl and libcrypto without the other is told as such, with what was tried", async () => {
  using folder = temporaryFolder();
  const { path } = folder;
  const source = versionSource("OpenSSL 3.0.0 7 sep 2021", 0x30000000);
  const absent = "cannot open shared object file: No such file or directory";
  const both = "install both, of one build";
  await compileLibrary(`${path}/libcrypto.so.97`, source);
  assert.ok(
    (await refusals('libssl = "libssl.so.97"', path)).includes(
      `proxy.libssl: DIR/libcrypto.so.97 is there, but DIR/libssl.so.97 is not (DIR/libssl.so.97: ${absent}); ${both}`,
    ),
  );
  for (const name of ["libssl.so.97", "libssl.so.4", "libssl.so.3"]) {
    await compileLibrary(`${path}/${name}`, source, [`${path}/libcrypto.so.97`]);
  }
  await Deno.remove(`${path}/libcrypto.so.97`);
  const without = (libssl: string) =>
    `${libssl} is there, but libcrypto.so.97, which it needs, is not (libcrypto.so.97: ${absent}); ${both}`;
  assert.ok((await refusals('libssl = "libssl.so.97"', path)).includes(`proxy.libssl: ${without("DIR/libssl.so.97")}`));

  const file = await writeConfig(path, 'engine = "epoll"', await pair);
  const checked = await runProgram(["check", "-c", file], { environment: { LD_LIBRARY_PATH: path } });
  assert.equal(checked.code, 1);
  assert.match(
    checked.stderr,
    /proxy\.engine: "epoll" cannot run here: no usable libssl; install OpenSSL 3\.0 or newer \(Debian .*libssl3.*Alpine.*\): /,
  );
  assert.ok(checked.stderr.includes(`): ${without("libssl.so.4")}; ${without("libssl.so.3")}`), checked.stderr);
});

testWithCompiler(
  "where the system's libssl is too old, auto is portable and says what to install, and epoll is refused",
  async () => {
    using folder = temporaryFolder();
    const old = versionSource("OpenSSL 1.1.1w  11 Sep 2023", 0x1010117f);
    for (const name of ["libssl.so.4", "libssl.so.3"]) await compileLibrary(`${folder.path}/${name}`, old);
    const environment = { LD_LIBRARY_PATH: folder.path };
    const wanted =
      /^no usable libssl; install OpenSSL 3\.0 or newer \(.*Debian.*RHEL.*Alpine.*\): .*1\.1\.1w.*3\.0 or newer is needed/;
    const listeners = [{ addr: "127.0.0.1:0", routes: [] }];
    await using auto = await Proxy.start({ listeners }, { environment });
    assert.equal((await auto.event("ready"))["engine"], "portable");
    assert.match(String((await auto.event("engine_portable"))["reason"]), wanted);
    assert.match(
      String((await auto.event("config", { key: "proxy.engine" }))["message"]),
      /"auto" is the portable engine here: no usable/,
    );
    assert.match(String((await auto.event("tls_library"))["library"]), /^rustls of Deno /);

    await using refused = Proxy.spawn({ listeners, proxy: { engine: "epoll" } }, { environment });
    assert.equal((await refused.exit()).code, 1);
    const line = String(refused.log.seen[0]?.["line"]);
    assert.match(
      line,
      /mc-proxy\.toml: line 12: proxy\.engine: "epoll" cannot run here: no usable libssl; install OpenSSL 3\.0 or newer/,
    );
    assert.match(line, /; use "auto" or "portable"$/);
  },
);

linuxTest("groups that the library has not are told by check and by the start, one by one", async () => {
  using folder = temporaryFolder();
  const lines = (await refusals('tls_groups = ["Curve41417", "secp256r1", "M511"]', folder.path)).split("\n");
  assert.equal(lines.length, 2);
  for (const [i, [index, name]] of [[0, "Curve41417"], [2, "M511"]].entries()) {
    const has = `DIR/mc-proxy.toml: line 11: proxy.tls_groups[${index}]: OpenSSL `;
    assert.ok(lines[i]?.startsWith(has), lines.join());
    assert.match(lines[i] ?? "", new RegExp(` has no group "${name}" \\(.+\\); use some of .*secp256r1`));
  }
});

linuxTest("a chain that the library does not take is told by check, the start, and routes add", async () => {
  using folder = temporaryFolder();
  const { cert, key } = await pair;
  const weak = { cert: cert + (await selfSigned("rsa 512")).cert, key };
  const said = await refusals('engine = "epoll"', folder.path, Promise.resolve(weak));
  assert.match(
    said,
    /^DIR\/mc-proxy\.toml: line 8: listeners\[0\]\.routes\[0\]\.tls_cert \(a\.test\): DIR\/a\.pem: OpenSSL .* does not take it: certificate 3: ca key too small; have it issued with a key of today/,
  );
  await using test = await administered([], { proxy: { engine: "epoll" } });
  const route = { hostname: "a.test", backend: "127.0.0.1:1", mode: "l7" } as const;
  const files = { tls_cert: `${folder.path}/a.pem`, tls_key: `${folder.path}/a.key` };
  const added = await runProgram([
    ...["ctl", "-c", `${test.proxy.folder}/mc-proxy.toml`, "routes", "add", test.addr, route.hostname, route.backend],
    ...["--mode", "l7", "--tls-cert", files.tls_cert, "--tls-key", files.tls_key],
  ]);
  assert.notEqual(added.code, 0);
  assert.match(added.stderr, /--tls-cert: .*a\.pem: OpenSSL .* does not take it: certificate 3: ca key too small/);
});

linuxTest("a renewed chain that the library does not take is not served: the one before stays in use", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], { proxy: { engine: "epoll" } });
  const [certificate] = (await l7.admin.getStatus()).certificates;
  assert.ok(certificate !== undefined);
  const sound = await Deno.readTextFile(certificate.certFile);
  await Deno.writeTextFile(certificate.certFile, sound + (await selfSigned("rsa 512")).cert);
  l7.proxy.signal("SIGHUP");
  const failed = await l7.proxy.event("certificate_reload_failed");
  assert.match(String(failed["error"]), /does not take it: certificate 3: ca key too small/);
  using client = await l7.connect("h2", "a.test");
  assert.equal((await client.ask()).status, 200);
});

linuxTest("the log, status and check say the same library and groups", async () => {
  using folder = temporaryFolder();
  await using l7 = await L7.start([{ hostname: "a.test", backend: "127.0.0.1:1" }], {
    proxy: { engine: "epoll", tls_groups: ["secp384r1", "secp256r1"], tls_min_version: "1.3" },
  });
  const event = await l7.proxy.event("tls_library");
  const { library, path } = event as unknown as { library: string; path: string };
  assert.deepEqual([event["groups"], event["min_version"]], ["secp384r1 secp256r1", "1.3"]);
  assert.match(`${library} ${path}`, /^OpenSSL 3\..* \/.*libssl\.so/);
  const { tls } = await l7.admin.getStatus();
  assert.deepEqual(tls, { library, path, minVersion: "1.3", groups: ["secp384r1", "secp256r1"] });
  const settings = 'engine = "epoll"\ntls_min_version = "1.3"\ntls_groups = ["secp384r1", "secp256r1"]';
  const file = await writeConfig(folder.path, settings, await pair);
  const { code, stdout, stderr } = await runProgram(["check", "-c", file]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(stdout.split("\n"), [
    `${file}: engine epoll, TLS 1.3 or newer by ${library} (${path}), groups secp384r1, secp256r1`,
    `${file}: OK (1 listener, 1 route)`,
    "",
  ]);
});

linuxTest(
  "where the library agrees on no post-quantum group, the log and check warn, and portable does not",
  async () => {
    using folder = temporaryFolder();
    // What a distribution may do too, whatever the version of the library.
    const conf = `${folder.path}/openssl.cnf`;
    await Deno.writeTextFile(
      conf,
      "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = X25519:P-256\n",
    );
    const environment = { OPENSSL_CONF: conf };
    const routes = [{ hostname: "a.test", backend: "127.0.0.1:1" }];
    await using classical = await L7.start(routes, { proxy: { engine: "epoll" } }, {}, environment);
    assert.equal((await classical.proxy.event("tls_library"))["groups"], "X25519 secp256r1");
    await classical.proxy.event("tls_not_post_quantum");
    await using chosen = await L7.start(routes, { proxy: { engine: "epoll", tls_groups: ["P-256"] } }, {}, environment);
    await using portable = await L7.start(routes, { proxy: { engine: "portable" } }, {}, environment);
    for (const { proxy } of [chosen, portable]) {
      await proxy.event("ready");
      assert.deepEqual(proxy.log.seen.filter(({ event }) => event === "tls_not_post_quantum"), []);
    }
    await using plain = await administered([{ hostname: "a.test", backend: "127.0.0.1:1" }], {
      proxy: { engine: "epoll" },
    }, { environment });
    assert.deepEqual(plain.proxy.log.seen.filter(({ event }) => event === "tls_not_post_quantum"), []);
  },
);

linuxTest("check suggests ECDSA where a key is of RSA, in one line", async () => {
  using folder = temporaryFolder();
  const file = await writeConfig(folder.path, 'tls_groups = ["secp256r1"]', await selfSigned("rsa 2048"));
  const { code, stdout } = await runProgram(["check", "-c", file]);
  assert.equal(code, 0);
  assert.ok(
    stdout.includes(
      `${file}: line 9: listeners[0].routes[0].tls_key (a.test): suggestion: ${folder.path}/a.key is a key of RSA 2048; a TLS handshake ` +
        "with one of ECDSA P-256 takes about a third of the CPU\n",
    ),
    stdout,
  );
});

linuxTest(
  "of a filled database, the files that its routes name are tried and judged, and not those of the file",
  async () => {
    using folder = temporaryFolder();
    const settings = 'engine = "epoll"\ntls_groups = ["secp256r1"]';
    const rsa = await selfSigned("rsa 2048");
    const file = await writeConfig(folder.path, settings, rsa);
    const { config } = loadConfig(file, {});
    const store = Store.open(config.database.path);
    store.prepare(config);
    store.commit();
    store.close();
    const route = '[[listeners.routes]]\nhostname = "b.test"\nbackend = "127.0.0.1:1"\n';
    await Deno.writeTextFile(
      file,
      `database.path = "x.db"\n[[listeners]]\naddr = "127.0.0.1:0"\n${route}[proxy]\n${settings}\n`,
    );
    const stored = `${folder.path}/x.db: route a.test on 127.0.0.1:0`;
    const sound = await runProgram(["check", "-c", file]);
    assert.equal(sound.code, 0);
    const [differing, uncovered] = sound.stderr.split("\n");
    assert.match(
      differing ?? "",
      /mc-proxy\.toml: warning: the database .* has other listeners, routes or firewall rules/,
    );
    assert.ok(uncovered?.startsWith(`${stored}.tls_cert: warning: ${folder.path}/a.pem: does not cover`), sound.stderr);
    const [library, suggestion] = sound.stdout.split("\n");
    assert.match(library ?? "", /mc-proxy\.toml: engine epoll, TLS 1\.2 or newer by OpenSSL /);
    assert.ok(
      suggestion?.startsWith(`${stored}.tls_key: suggestion: ${folder.path}/a.key is a key of RSA 2048`),
      sound.stdout,
    );

    await Deno.writeTextFile(`${folder.path}/a.pem`, rsa.cert + (await selfSigned("rsa 512")).cert);
    const weak = await runProgram(["check", "-c", file]);
    assert.equal(weak.code, 0);
    assert.ok(weak.stderr.includes(`\n${stored}.tls_cert: warning: ${folder.path}/a.pem: OpenSSL `), weak.stderr);
    assert.match(weak.stderr, / does not take it: certificate 2: ca key too small/);
  },
);

linuxTest("apply without a server refuses what the library does not take, as check does", async () => {
  using folder = temporaryFolder();
  const file = await writeConfig(folder.path, "", await pair);
  const { config } = loadConfig(file, {});
  const store = Store.open(config.database.path);
  store.prepare({ ...config, listeners: [] });
  store.commit();
  store.close();
  const { cert, key } = await pair;
  const weak = cert + (await selfSigned("rsa 512")).cert;
  const cases = [
    ['engine = "epoll"', weak, /^DIR\/mc-proxy\.toml: line 8: .* ca key too small;/],
    ['libssl = "none.so"', cert, /^DIR\/mc-proxy\.toml: line 11: proxy\.libssl: cannot load DIR\/none\.so: /],
  ] as const;
  for (const [settings, cert, reason] of cases) {
    await writeConfig(folder.path, settings, { cert, key });
    const applied = await runProgram(["apply", "-c", file]);
    assert.deepEqual([applied.code, applied.stdout], [1, ""]);
    assert.match(applied.stderr.replaceAll(folder.path, "DIR"), reason);
  }
  await writeConfig(folder.path, 'engine = "epoll"', { cert, key });
  const { code, stderr } = await runProgram(["apply", "-c", file]);
  assert.deepEqual([code, stderr], [0, ""]);
});

Deno.test("the portable engine says which settings of TLS it ignores", async () => {
  using folder = temporaryFolder();
  const settings = 'libssl = "x.so"\ntls_groups = ["X448"]\ntls_ciphers = ["TLS_AES_256_GCM_SHA384"]';
  const file = await writeConfig(folder.path, `engine = "portable"\n${settings}`, await pair);
  const { code, stderr } = await runProgram(["check", "-c", file]);
  assert.equal(code, 0, stderr);
  const warnings = stderr.split("\n").filter((line) => line.includes("proxy."));
  assert.deepEqual(
    warnings.map((line) => line.replace(/^.*?(proxy\.\w+): warning: (is ignored:.*? engine) .*$/, "$1 $2")),
    [
      "proxy.libssl is ignored: the portable engine",
      "proxy.tls_groups is ignored: the portable engine",
      "proxy.tls_ciphers is ignored: the portable engine",
    ],
  );
});

/** Shakes hands with a proxy, and says what came of it. */
async function handshake(l7: L7, options: ConnectionOptions): Promise<string> {
  const { hostname: host, port } = l7.proxy.address();
  const tls = connectTls({ host, port, servername: "a.test", ca: l7.authority.cert, ...options });
  try {
    await once(tls, "secureConnect");
    return `${tls.getProtocol()} ${tls.getCipher().name}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    tls.destroy();
  }
}

testEachEngine("with tls_min_version 1.3, a client of TLS 1.2 is refused and one of TLS 1.3 is served", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { tls_min_version: "1.3" },
  });
  assert.doesNotMatch(await handshake(l7, { maxVersion: "TLSv1.2" }), /^TLSv/);
  const { detail } = await l7.proxy.event("connection", { end: "tls_failed" });
  assert.match(String(detail), /unsupported protocol|Tls12NotOffered|SupportedVersionsExtensionRequired/);
  assert.match(await handshake(l7, {}), /^TLSv1\.3 /);
  using client = await l7.connect("h2", "a.test");
  assert.equal((await client.ask()).status, 200);
});

testEachEngine("without it, a client of TLS 1.2 is served", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  assert.match(await handshake(l7, { maxVersion: "TLSv1.2" }), /^TLSv1\.2 /);
});

linuxTest("tls_ciphers decides, in its order, whatever the client prefers", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  const tls_ciphers = ["TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"];
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { engine: "epoll", tls_ciphers },
  });
  assert.equal(await handshake(l7, {}), "TLSv1.3 TLS_AES_256_GCM_SHA384");
  assert.equal(await handshake(l7, { maxVersion: "TLSv1.2" }), "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384");
  await using ours = await L7.start([{ hostname: "a.test", backend: backend.addr }], { proxy: { engine: "epoll" } });
  assert.equal(await handshake(ours, {}), "TLSv1.3 TLS_AES_128_GCM_SHA256");
});

const SERVER_HELLO = 2;
const KEY_SHARE = 51;

/** The groups of the ServerHellos at the beginning of a flight; a HelloRetryRequest is one of them. */
function keyShares(flight: Uint8Array): number[] {
  const view = new DataView(flight.buffer, flight.byteOffset, flight.byteLength);
  const groups: number[] = [];
  for (
    let record = 0;
    record + 9 < flight.length && view.getUint8(record) === 22;
    record += 5 + view.getUint16(record + 3)
  ) {
    if (view.getUint8(record + 5) !== SERVER_HELLO) break;
    let at = record + 5 + 4 + 2 + 32;
    at += 1 + view.getUint8(at) + 2 + 1; // session id, cipher suite, compression method
    const end = at + 2 + view.getUint16(at);
    for (at += 2; at < end; at += 4 + view.getUint16(at + 2)) {
      if (view.getUint16(at) === KEY_SHARE) groups.push(view.getUint16(at + 4));
    }
  }
  return groups;
}

/** The group that the runtime's TLS and a proxy agree on; the runtime offers X25519, P-256, P-384 and X25519MLKEM768. */
async function agreedGroup(l7: L7): Promise<number | undefined> {
  using relay = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = relay.addr as Deno.NetAddr;
  const connected = Deno.connect({ hostname: "127.0.0.1", port });
  const client = await relay.accept();
  const server = await Deno.connect({ ...l7.proxy.address(), transport: "tcp" });
  const flight: number[] = [];
  const up = client.readable.pipeTo(server.writable).catch(() => {});
  const recorder = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      flight.push(...chunk);
      controller.enqueue(chunk);
    },
  });
  const down = server.readable.pipeThrough(recorder).pipeTo(client.writable).catch(() => {});
  const tls = await Deno.startTls(await connected, { hostname: "a.test", caCerts: [l7.authority.cert] });
  await tls.handshake();
  tls.close();
  await Promise.all([up, down]);
  return keyShares(Uint8Array.from(flight)).at(-1);
}

linuxTest("tls_groups decides which group keys are agreed on with", async () => {
  for (const [name, group] of [["secp384r1", 24], ["P-256", 23], ["X25519", 29]] as const) {
    await using l7 = await L7.start([{ hostname: "a.test", backend: "127.0.0.1:1" }], {
      proxy: { engine: "epoll", tls_groups: [name] },
    });
    assert.equal(await agreedGroup(l7), group, name);
  }
});

const noNewer = ignore || NEWER === "";
const newerName = "with OpenSSL 3.5 or newer, keys are agreed on with X25519MLKEM768, and nothing warns";
Deno.test({
  name: noNewer ? `${newerName} (needs MC_PROXY_TEST_LIBSSL)` : newerName,
  ignore: noNewer,
  async fn() {
    await using backend = await HttpBackend.start("h2c", reflect);
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
      proxy: { engine: "epoll", libssl: NEWER, tls_groups: ["X25519MLKEM768"] },
    });
    assert.equal(await agreedGroup(l7), 4588);
    await using unset = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
      proxy: { engine: "epoll", libssl: NEWER },
    });
    const { path, groups } = await unset.proxy.event("tls_library");
    assert.deepEqual([path, String(groups).split(" ")[0]], [NEWER, "X25519MLKEM768"]);
    assert.deepEqual(unset.proxy.log.seen.filter(({ event }) => event === "tls_not_post_quantum"), []);
    using client = await unset.connect("h2", "a.test");
    assert.equal((await client.ask()).status, 200);
  },
});

linuxTest("the running program ignores SIGPIPE, which libssl's writes raise", async () => {
  await using proxy = await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes: [] }],
    proxy: { engine: "epoll" },
  });
  const status = await Deno.readTextFile(`/proc/${proxy.pid}/status`);
  const ignored = BigInt(`0x${/^SigIgn:\s+([0-9a-f]+)$/m.exec(status)?.[1]}`);
  assert.equal((ignored >> 12n) & 1n, 1n, status);
});
