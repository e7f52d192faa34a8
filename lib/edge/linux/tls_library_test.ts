import assert from "node:assert/strict";
import { createAuthority } from "../../../scripts/dev/certificates.ts";
import { DEFAULT_TLS, TLS12_CIPHERS, TLS13_CIPHERS, type TlsSettings } from "../tls_settings.ts";
import { LibsslError } from "./libssl/library.ts";
import { LIBSSL_UNDER_TEST, libsslUnderTest } from "./testdata/tls_pair.ts";
import { readLibrary } from "./tls_library.ts";

/** Without the system's library, these say so by their names. */
function hasLibssl(): boolean {
  try {
    libsslUnderTest();
    return true;
  } catch (error) {
    if (error instanceof LibsslError) return false;
    throw error;
  }
}

const ignore = !hasLibssl();

function testWithLibssl(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name: ignore ? `${name} (needs libssl)` : name, ignore, fn });
}

function read(settings: Partial<TlsSettings> = {}) {
  return readLibrary({ ...DEFAULT_TLS, libssl: LIBSSL_UNDER_TEST, ...settings });
}

function soundly(settings: Partial<TlsSettings> = {}) {
  const reading = read(settings);
  assert.ok(reading.kind === "ok", JSON.stringify(reading));
  return reading.library;
}

function problemsOf(settings: Partial<TlsSettings>): string[] {
  const reading = read(settings);
  assert.ok(reading.kind === "wrong");
  return reading.problems.map(({ key, message }) => `${key}: ${message}`);
}

testWithLibssl("the library says its name, its file, and the groups that it really offers", () => {
  const { name, path, groups } = soundly();
  assert.match(name, /^OpenSSL \d+\.\d+\.\d+/);
  assert.match(path, /^\/.*libssl\.so/);
  assert.ok(groups.includes("secp256r1"), groups.join());
  assert.deepEqual(soundly({ groups: ["P-384", "secp256r1"] }).groups, ["secp384r1", "secp256r1"]);
  assert.deepEqual(soundly({ minVersion: "1.3", ciphers: [...TLS13_CIPHERS, ...TLS12_CIPHERS] }).groups, groups);
});

testWithLibssl("a group that the library has not is told by its place, with those that it has", () => {
  const [problem, ...others] = problemsOf({ groups: ["secp256r1", "Curve41417"] });
  assert.match(problem ?? "", /^tls_groups\[1\]: OpenSSL .* has no group "Curve41417" \(.+\); use some of .*secp256r1/);
  assert.deepEqual(others, []);
});

testWithLibssl("a cipher that the library has not is told by its place, with those that it has", () => {
  const [problem, ...others] = problemsOf({ ciphers: ["TLS_AES_128_GCM_SHA256", "TLS_AES_512_GCM_SHA999"] });
  assert.match(
    problem ?? "",
    /^tls_ciphers\[1\]: OpenSSL .* has no cipher "TLS_AES_512_GCM_SHA999" \(.*\); use some of TLS_AES_128_GCM_SHA256, /,
  );
  assert.deepEqual(others, []);
});

testWithLibssl("a sound certificate is taken, whatever its kind, and again and again", async () => {
  const authority = await createAuthority("Test authority");
  const { certificateProblem } = soundly();
  for (let i = 0; i < 3; i++) {
    assert.equal(certificateProblem(await authority.issue({ hostnames: ["a.test"] })), undefined);
  }
});

testWithLibssl(
  "a key of another certificate, text that is none, and no certificate at all are told apart",
  async () => {
    const authority = await createAuthority("Test authority");
    const [one, other] = [await authority.issue({ hostnames: ["a"] }), await authority.issue({ hostnames: ["a"] })];
    const { certificateProblem } = soundly();
    const foreign = certificateProblem({ cert: one.cert, key: other.key });
    assert.deepEqual(foreign?.of, "key");
    assert.match(foreign?.reason ?? "", /^OpenSSL .* does not take it: the private key cannot be used: .*mismatch/);
    const unreadable = certificateProblem({ cert: one.cert, key: "no key" });
    assert.match(unreadable?.reason ?? "", /the private key cannot be read: /);
    assert.equal(unreadable?.of, "key");
    const none = certificateProblem({ cert: "", key: one.key });
    assert.deepEqual([none?.of, none?.reason.replace(/^OpenSSL .*? does/, "It does")], [
      "certificate",
      "It does not take it: there is no certificate in it",
    ]);
  },
);
