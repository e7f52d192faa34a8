import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { isInstalled } from "../../../../tests/harness/tools.ts";
import { DEFAULT_TLS } from "../../tls_settings.ts";
import { newTicketKey } from "../../ticket_key.ts";
import { counting, NONE } from "../testdata/counting_libssl.ts";
import { TestThread } from "../testdata/test_thread.ts";
import { AUTHORITY, CERTIFICATE, libsslUnderTest, TlsPair, TlsSide } from "../testdata/tls_pair.ts";
import { ClientContext, sessionOf, type TlsSession } from "./client_context.ts";
import { LibsslError, loadLibssl } from "./library.ts";

const onLinux = Deno.build.os === "linux";

function linuxTest(name: string, fn: () => void | Promise<void>, ignore = false): void {
  Deno.test({ name, ignore: !onLinux || ignore, fn });
}

linuxTest("libssl is OpenSSL 3.0 or newer, and loaded once", () => {
  const libssl = libsslUnderTest();
  assert.match(libssl.version, /^OpenSSL [3-9]\./);
  assert.equal(libsslUnderTest(), libssl);
});

linuxTest("a path that leads nowhere, to no library or to another one is refused by name", async () => {
  const folder = await Deno.makeTempDir();
  const text = `${folder}/libssl.so.3`;
  await Deno.writeTextFile(text, "no library");
  const cases: [path: string, message: RegExp][] = [
    [`${folder}/none.so`, /^cannot load .*none\.so: /],
    [text, /^cannot load .*libssl\.so\.3: /],
    ["libc.so.6", /^libc\.so\.6 is not the libssl of OpenSSL 3\.0 or newer: it has no function \w+$/],
  ];
  for (const [path, message] of cases) {
    assert.throws(() => loadLibssl(path), (error) => error instanceof LibsslError && message.test(error.message));
  }
  await Deno.remove(folder, { recursive: true });
});

linuxTest("an OpenSSL that is too old, and what is none, are called what they are", async () => {
  const folder = await Deno.makeTempDir();
  const cases: [name: string, version: string, number: string, message: RegExp][] = [
    [
      "old",
      "OpenSSL 1.1.1w  11 Sep 2023",
      "0x1010117fL",
      /is OpenSSL 1\.1\.1w {2}11 Sep 2023, and OpenSSL 3\.0 or newer/,
    ],
    ["libre", "LibreSSL 3.8.2", "0x20000000L", /is LibreSSL 3\.8\.2, and OpenSSL is needed$/],
  ];
  for (const [name, version, number, message] of cases) {
    const source = `const char *OpenSSL_version(int t) { return "${version}"; }\n` +
      `unsigned long OpenSSL_version_num(void) { return ${number}; }\n`;
    await Deno.writeTextFile(`${folder}/${name}.c`, source);
    const path = `${folder}/${name}.so`;
    const args = ["-shared", "-fPIC", "-o", path, `${folder}/${name}.c`];
    assert.equal((await new Deno.Command("cc", { args }).output()).success, true);
    assert.throws(() => loadLibssl(path), (error) => error instanceof LibsslError && message.test(error.message));
  }
  await Deno.remove(folder, { recursive: true });
}, !isInstalled("cc"));

linuxTest("certificates and keys that are not sound are refused, and no error is left behind", () => {
  const { cert, key } = CERTIFICATE;
  const damaged = AUTHORITY.cert.replace(/\n\w{8}/, "\n!!!!!!!!");
  const encrypted = String(
    createPrivateKey(key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" }),
  );
  const cases: [what: string, pem: { cert: string; key: string }, message: RegExp][] = [
    ["nothing", { cert: "", key }, /^there is no certificate in it$/],
    ["a damaged authority", { cert: cert + damaged, key }, /^certificate 3: /],
    ["the key of another", { cert, key: AUTHORITY.key }, /^the private key cannot be used: key values mismatch$/],
    ["a certificate as a key", { cert, key: cert }, /^the private key cannot be read: /],
    ["an encrypted key", { cert, key: encrypted }, /^the private key cannot be read: /],
  ];
  for (const [what, pem, message] of cases) {
    assert.throws(
      () => new TlsSide({ pem }),
      (error) => error instanceof LibsslError && message.test(error.message),
      what,
    );
    assert.equal(BigInt(libsslUnderTest().functions.ERR_peek_error()), 0n, what);
  }
  for (const ca of [damaged, cert + damaged, "nothing"]) {
    assert.throws(() => new ClientContext(libsslUnderTest(), DEFAULT_TLS, ca), LibsslError);
  }
  assert.equal(BigInt(libsslUnderTest().functions.ERR_peek_error()), 0n);
});

linuxTest("thousands of handshakes, good and bad, leave nothing of OpenSSL's behind", () => {
  using thread = new TestThread();
  const { libssl, held } = counting(libsslUnderTest());
  const round = (count: number) => {
    using side = new TlsSide({ libssl, tickets: [newTicketKey()] });
    let session: TlsSession | undefined;
    for (let i = 0; i < count; i++) {
      using pair = new TlsPair(thread, side, {
        ...i % 4 === 1 && { protocols: ["none"] },
        ...session !== undefined && { session },
      });
      if (i % 4 === 2) pair.greet();
      if (i % 4 >= 2) {
        pair.leave();
        thread.until(() => pair.handshake !== "");
        continue;
      }
      pair.shake();
      if (i % 4 === 0) {
        pair.say("request");
        thread.until(() => pair.told.has("received"));
      }
      session?.free();
      session = pair.peerHandshake === 1 ? sessionOf(libssl, pair.peer) : undefined;
    }
    session?.free();
    for (const cert of ["", "damaged"]) {
      assert.throws(() => new TlsSide({ libssl, pem: { cert, key: CERTIFICATE.key } }), LibsslError);
    }
  };
  round(4_000);
  assert.deepEqual(held, NONE);
});
