import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type AuthorityOptions, createAuthority, type KeyPair, loadAuthority } from "./certificates.ts";

/** Whether a client that trusts `ca` alone completes a handshake for `hostname` with a server that shows `pair`. */
async function handshake(pair: KeyPair, ca: string, hostname: string): Promise<"trusted" | "refused"> {
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...pair });
  const serve = async () => {
    using conn = await listener.accept();
    // The handshake fails on this side too where the client refuses; the client's word is what counts.
    await conn.handshake().then(() => conn.read(new Uint8Array(1))).catch(() => {});
  };
  const served = serve();
  try {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    using tls = await Deno.startTls(conn, { hostname, caCerts: [ca] });
    await tls.handshake();
    return "trusted";
  } catch (error) {
    assert.ok(error instanceof Deno.errors.InvalidData, String(error));
    assert.match(error.message, /invalid peer certificate/);
    return "refused";
  } finally {
    await served;
  }
}

async function handshakeWith(hostnames: string[], hostname: string, options?: AuthorityOptions): Promise<string> {
  const authority = await createAuthority("Test authority", options);
  return handshake(await authority.issue({ hostnames }), authority.cert, hostname);
}

Deno.test("a client that trusts the authority connects to every host name and address in the certificate", async () => {
  const hostnames = ["a.example", "*.b.example", "127.0.0.1", "::1"];
  for (const name of ["a.example", "any.b.example", "127.0.0.1", "::1"]) {
    assert.equal(await handshakeWith(hostnames, name), "trusted", name);
  }
});

Deno.test("a client refuses a host name that is not in the certificate", async () => {
  for (const name of ["b.example", "a.a.example", "127.0.0.2"]) {
    assert.equal(await handshakeWith(["a.example", "127.0.0.1"], name), "refused", name);
  }
});

Deno.test("a host name too long for a common name is in the certificate all the same", async () => {
  const name = `${"a".repeat(60)}.${"b".repeat(60)}.example`;
  assert.equal(await handshakeWith([name], name), "trusted");
});

Deno.test("a client refuses the certificate of another authority of the same name", async () => {
  const [ours, theirs] = [await createAuthority("Same name"), await createAuthority("Same name")];
  assert.equal(await handshake(await theirs.issue({ hostnames: ["a.example"] }), ours.cert, "a.example"), "refused");
});

Deno.test("a client refuses a certificate that has expired or is not valid yet", async () => {
  const authority = await createAuthority("Test authority");
  const day = 24 * 3_600_000;
  for (const [from, to, expected] of [[-2, -1, "refused"], [1, 2, "refused"], [-1, 1, "trusted"]] as const) {
    const validity = { notBefore: new Date(Date.now() + from * day), notAfter: new Date(Date.now() + to * day) };
    const pair = await authority.issue({ hostnames: ["a.example"], validity });
    assert.equal(await handshake(pair, authority.cert, "a.example"), expected);
  }
});

Deno.test("an authority for one domain is trusted within that domain only", async () => {
  for (
    const [name, expected] of [
      ["localhost", "trusted"],
      ["a.localhost", "trusted"],
      ["a.example", "refused"],
    ] as const
  ) assert.equal(await handshakeWith([name], name, { domain: "localhost" }), expected, name);
});

Deno.test("an authority that was stored signs for those who trusted it before", async () => {
  const before = await createAuthority("Test authority");
  const after = await loadAuthority({ cert: before.cert, key: before.key });
  assert.deepEqual([after.cert, after.key], [before.cert, before.key]);
  assert.equal(await handshake(await after.issue({ hostnames: ["a.example"] }), before.cert, "a.example"), "trusted");
});

Deno.test("an authority does not load with the key of another", async () => {
  const [one, other] = [await createAuthority("One"), await createAuthority("Other")];
  await assert.rejects(loadAuthority({ cert: one.cert, key: other.key }), /not that of the certificate/);
});

Deno.test("a certificate without a host name, or for more than 397 days, is not issued", async () => {
  const authority = await createAuthority("Test authority");
  await assert.rejects(authority.issue({ hostnames: [] }), RangeError);
  const validity = { notBefore: new Date("2030-01-01"), notAfter: new Date("2031-02-03") };
  await assert.rejects(authority.issue({ hostnames: ["a.example"], validity }), RangeError);
});

Deno.test("serial numbers are positive, random and at most 20 octets long", async () => {
  const authority = await createAuthority("Test authority");
  const serials = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { cert } = await authority.issue({ hostnames: ["a.example"] });
    const serial = new X509Certificate(cert).serialNumber; // RFC 5280 §4.1.2.2
    assert.match(serial, /^(?!0+$)[0-9A-F]{2,40}$/);
    serials.add(serial);
  }
  assert.equal(serials.size, 20);
});

Deno.test({
  name: "openssl verify -x509_strict accepts the certificates (skipped where there is no openssl)",
  ignore: !hasOpenssl(),
  fn: async () => {
    const authority = await createAuthority("Test authority", { domain: "localhost" });
    const { cert } = await authority.issue({ hostnames: ["a.localhost", "127.0.0.1"] });
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/ca.pem`, authority.cert);
      await Deno.writeTextFile(`${folder}/leaf.pem`, cert);
      const options = ["-x509_strict", "-purpose", "sslserver", "-verify_hostname", "a.localhost"];
      const args = ["verify", ...options, "-CAfile", `${folder}/ca.pem`, `${folder}/leaf.pem`];
      const { success, stdout, stderr } = await new Deno.Command("openssl", { args }).output();
      assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function hasOpenssl(): boolean {
  try {
    return new Deno.Command("openssl", { args: ["version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
