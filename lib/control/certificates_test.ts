import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { createServer } from "node:tls";
import { once } from "node:events";
import { createAuthority } from "../../scripts/dev/certificates.ts";
import { checkBackendCa, readCertificate } from "./certificates.ts";
import { selfSigned } from "./testdata/make_certificate.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const authority = await createAuthority("Test authority");
const sound = await authority.issue({ hostnames: ["A.example", "*.b.example", "192.0.2.1", "2001:db8::1"] });
const other = await authority.issue({ hostnames: ["a.example"] });

const accept = () => undefined;

function write(name: string, contents: string | Uint8Array): string {
  const path = `${folder}/${name}`;
  Deno.writeFileSync(path, typeof contents === "string" ? new TextEncoder().encode(contents) : contents);
  return path;
}

/** Reads what the texts say, from files of their own. */
function read(cert: string, key: string) {
  return readCertificate(write("x.pem", cert), write("x.key", key), accept);
}

function soundly(cert: string, key: string) {
  const reading = read(cert, key);
  assert.ok(reading.kind === "ok", JSON.stringify(reading));
  return reading.certificate;
}

function problemsOf(certFile: string, keyFile: string): string[] {
  const reading = readCertificate(certFile, keyFile, accept);
  assert.ok(reading.kind === "wrong");
  return reading.problems.map(({ path, message }) => `${path}: ${message.replaceAll(folder, "DIR")}`);
}

Deno.test("a certificate is read with its chain, key, names and dates", async () => {
  const validity = { notBefore: new Date("2026-01-05T01:02:03Z"), notAfter: new Date("2026-04-01T04:05:06Z") };
  const { cert, key } = await authority.issue({ hostnames: ["a.example"], validity });
  assert.deepEqual(soundly(cert, key), {
    cert,
    key,
    ...validity,
    names: ["a.example"],
    chain: {
      isInOrder: true,
      unrelated: [],
      signers: [{ name: "Test authority", notAfter: new X509Certificate(authority.cert).validToDate }],
      missing: undefined,
    },
    keyKind: "ec prime256v1",
  });
  assert.deepEqual(soundly(sound.cert, sound.key).names, ["a.example", "*.b.example", "192.0.2.1", "2001:db8::1"]);
});

Deno.test("names of other kinds, and the common name, are passed over", async () => {
  const mixed = await selfSigned("ed25519", [{ type: "email", value: "x@y.example" }, {
    type: "dns",
    value: "b.example",
  }]);
  assert.deepEqual(soundly(mixed.cert, mixed.key).names, ["b.example"]);
  const none = await selfSigned("ed25519", []);
  assert.deepEqual(soundly(none.cert, none.key).names, []);
});

for (const kind of ["rsa 2048", "ecdsa p-256", "ecdsa p-384", "ecdsa p-521", "ed25519"] as const) {
  Deno.test(`a key of ${kind} is read as one that serves, and told from another of its kind`, async () => {
    const [mine, theirs] = await Promise.all([selfSigned(kind), selfSigned(kind)]);
    const { cert, key } = soundly(mine.cert, mine.key);
    const server = createServer({ cert, key }, (socket) => socket.end("served"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    using tcp = await Deno.connect({ hostname: "127.0.0.1", port: address.port });
    using tls = await Deno.startTls(tcp, {
      hostname: "a.example",
      unsafelyDisableHostnameVerification: true,
      caCerts: [mine.cert],
    });
    assert.equal(await new Response(tls.readable).text(), "served");
    server.close();
    assert.equal(read(mine.cert, theirs.key).kind, "wrong");
  });
}

Deno.test("a key that TLS cannot sign with is refused, with the kinds that serve", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  const kinds = "RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519";
  for (
    const [key, kind] of [
      [(await selfSigned("rsa 1024")).key, "rsa 1024"],
      [privateKey.export({ type: "pkcs8", format: "pem" }).toString(), "ec secp256k1"],
    ] as const
  ) {
    assert.deepEqual(problemsOf(write("x.pem", sound.cert), write("x.key", key)), [
      `tls_key: DIR/x.key: TLS cannot use a key of this kind (${kind}); use ${kinds}`,
    ]);
  }
});

Deno.test("keys in the older forms of RSA and EC are read", async () => {
  const rsa = await selfSigned("rsa 2048");
  const pkcs1 = createPrivateKey(rsa.key).export({ type: "pkcs1", format: "pem" }).toString();
  assert.equal(soundly(rsa.cert, pkcs1).key, pkcs1);
  const sec1 = createPrivateKey(sound.key).export({ type: "sec1", format: "pem" }).toString();
  const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  assert.equal(soundly(sound.cert, parameters + sec1).key, sec1);
});

Deno.test("certificate and key may stand in one file, between other text, with any line ends", () => {
  const combined = write("both.pem", `\ufeffa note\r\n${(sound.key + sound.cert).replaceAll("\n", "\r\n")}another`);
  const reading = readCertificate(combined, combined, accept);
  assert.ok(reading.kind === "ok");
  assert.deepEqual([reading.certificate.cert, reading.certificate.key], [sound.cert, sound.key]);
  const latin1 = write("latin1.pem", Uint8Array.of(0xe9, 0x0a, ...new TextEncoder().encode(sound.cert)));
  assert.equal(readCertificate(latin1, write("x.key", sound.key), accept).kind, "ok");
});

Deno.test("the first of several keys is the one", () => {
  assert.equal(soundly(sound.cert, sound.key + other.key).key, sound.key);
  assert.equal(read(sound.cert, other.key + sound.key).kind, "wrong");
});

Deno.test("the key of another certificate is refused, and so is a chain that begins with another than the server's", () => {
  const [cert, key] = [write("c.pem", sound.cert), write("k.key", other.key)];
  assert.deepEqual(problemsOf(cert, key), ["tls_key: DIR/k.key: is not the key of the certificate in DIR/c.pem"]);
  const chain = write("chain.pem", authority.cert + sound.cert);
  assert.deepEqual(problemsOf(chain, write("s.key", sound.key)), [
    "tls_cert: DIR/chain.pem: tls_key belongs to certificate 2 of the file; put the server's own certificate first " +
    "and those that sign it behind",
  ]);
});

Deno.test("a chain that is out of order behind the server's own certificate is read, and known as such", () => {
  assert.equal(soundly(sound.cert + other.cert + authority.cert, sound.key).chain.isInOrder, false);
  assert.equal(soundly(sound.cert + authority.cert, sound.key).chain.isInOrder, true);
  assert.equal(soundly(sound.cert, sound.key).chain.isInOrder, true);
});

Deno.test("an encrypted key is refused, with the way to decrypt it", () => {
  const pkcs8 = sound.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
  const pkcs1 = sound.key.replaceAll("PRIVATE KEY", "RSA PRIVATE KEY")
    .replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n");
  for (const key of [pkcs8, pkcs1]) {
    assert.deepEqual(problemsOf(write("x.pem", sound.cert), write("x.key", key)), [
      "tls_key: DIR/x.key: is encrypted with a passphrase; decrypt it: openssl pkey -in FILE -out NEW",
    ]);
  }
});

Deno.test("what is no certificate and no key is named for what it is, both at once", () => {
  const der = createPrivateKey(sound.key).export({ type: "pkcs8", format: "der" });
  const junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  for (
    const [cert, key, certProblem, keyProblem] of [
      ["", "hello", "is empty", 'is not PEM: it has no "-----BEGIN " line'],
      [sound.key, sound.cert, "holds no certificate, but a PRIVATE KEY", "holds no private key, but a CERTIFICATE"],
      [
        der,
        sound.cert.slice(0, 200),
        'is not PEM: it has no "-----BEGIN " line',
        "ends, or goes wrong, within a PEM block; write the whole file anew",
      ],
      [
        "x".repeat(2 ** 20 + 1),
        junk,
        "is larger than 1 MiB; name a PEM file",
        "holds no private key, but a CERTIFICATE",
      ],
    ] as const
  ) {
    assert.deepEqual(problemsOf(write("x.pem", cert), write("x.key", key)), [
      `tls_cert: DIR/x.pem: ${certProblem}`,
      `tls_key: DIR/x.key: ${keyProblem}`,
    ]);
  }
  const [cert, key] = problemsOf(
    write("x.pem", sound.cert + junk),
    write("x.key", junk.replaceAll("CERTIFICATE", "PRIVATE KEY")),
  );
  assert.match(cert ?? "", /^tls_cert: DIR\/x\.pem: certificate 3 of the file cannot be read: /);
  assert.match(key ?? "", /^tls_key: DIR\/x\.key: the private key cannot be read \(.*\); use RSA/);
});

Deno.test("files that are not there, folders and pipes are told, and no pipe is waited for", async () => {
  assert.deepEqual(problemsOf(`${folder}/none.pem`, folder), [
    "tls_cert: DIR/none.pem: does not exist",
    "tls_key: DIR: is a folder, not a file",
  ]);
  if (Deno.build.os === "windows") return;
  assert.ok((await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output()).success);
  assert.deepEqual(problemsOf(`${folder}/pipe`, `${folder}/pipe/x`), [
    "tls_cert: DIR/pipe: is no regular file",
    "tls_key: DIR/pipe/x: does not exist: part of its path is not a folder",
  ]);
});

Deno.test("text from a file is shown without its control characters", () => {
  const label = "\x1b[31mX";
  const file = write("x.pem", `-----BEGIN ${label}-----\n-----END ${label}-----\n`);
  assert.deepEqual(problemsOf(file, write("x.key", sound.key)), [
    "tls_cert: DIR/x.pem: holds no certificate, but a \\u001b[31mX",
  ]);
});

Deno.test("a file of trusted certificates holds at least one, and all can be read", () => {
  assert.equal(checkBackendCa(write("ca.pem", authority.cert + sound.cert)), undefined);
  assert.equal(checkBackendCa(write("ca.pem", sound.key)), `${folder}/ca.pem: holds no certificate, but a PRIVATE KEY`);
  assert.equal(checkBackendCa(`${folder}/none.pem`), `${folder}/none.pem: does not exist`);
});

Deno.test("what the library that serves does not take is wrong, and of which file is said", () => {
  const [certFile, keyFile] = [write("t.pem", sound.cert), write("t.key", sound.key)];
  const problems = (of: "certificate" | "key") => {
    const reading = readCertificate(certFile, keyFile, ({ cert, key }) => {
      assert.deepEqual([cert, key], [sound.cert, sound.key]);
      return { of, reason: "it is too weak" };
    });
    assert.ok(reading.kind === "wrong");
    return reading.problems.map(({ path, message }) => `${path}: ${message.replaceAll(folder, "DIR")}`);
  };
  const kinds = "RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519";
  assert.deepEqual(problems("certificate"), [
    `tls_cert: DIR/t.pem: it is too weak; have it issued with a key of today (${kinds}) and signed with SHA-256 or ` +
    "better, its chain too",
  ]);
  assert.deepEqual(problems("key"), [`tls_key: DIR/t.key: it is too weak; use ${kinds}`]);
});
