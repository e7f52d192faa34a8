import assert from "node:assert/strict";
import { join } from "node:path";
import { keepAuthority, keepCertificate } from "./certificate_folder.ts";
import { createAuthority } from "./certificates.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const keep = async (folder: string) => {
  const authority = await keepAuthority(folder, "Test authority", "localhost");
  return { authority, pair: await keepCertificate(folder, authority, "a.localhost") };
};

/** A validity that ends so many days from now. */
const endingIn = (days: number) => ({
  notBefore: new Date(Date.now() - 3_600_000),
  notAfter: new Date(Date.now() + days * 24 * 3_600_000),
});

Deno.test("the second start uses the certificates of the first", () =>
  withFolder(async (folder) => {
    const first = await keep(folder);
    const second = await keep(folder);
    assert.equal(second.authority.cert, first.authority.cert);
    assert.deepEqual(second.pair, first.pair);
  }));

Deno.test("private keys are for their owner only", () =>
  withFolder(async (folder) => {
    await keep(folder);
    for (const name of ["ca.key", "a.localhost.key"]) {
      assert.equal(((await Deno.stat(join(folder, name))).mode ?? 0) & 0o777, 0o600, name);
    }
  }));

Deno.test("a certificate that ends within 7 days is replaced, a later one is kept", () =>
  withFolder(async (folder) => {
    const { authority } = await keep(folder);
    for (const [days, kept] of [[6, false], [8, true]] as const) {
      const pair = await authority.issue({ hostnames: ["a.localhost"], validity: endingIn(days) });
      await Deno.writeTextFile(join(folder, "a.localhost.pem"), pair.cert);
      await Deno.writeTextFile(join(folder, "a.localhost.key"), pair.key);
      assert.equal((await keep(folder)).pair.cert === pair.cert, kept, `${days} days`);
    }
  }));

Deno.test("an authority that ends within 7 days is replaced, and its certificates with it", () =>
  withFolder(async (folder) => {
    const old = await createAuthority("Test authority", { domain: "localhost", validity: endingIn(6) });
    await Deno.writeTextFile(join(folder, "ca.pem"), old.cert);
    await Deno.writeTextFile(join(folder, "ca.key"), old.key);
    const { cert } = await keepCertificate(folder, old, "a.localhost");
    const { authority, pair } = await keep(folder);
    assert.notEqual(authority.cert, old.cert);
    assert.notEqual(pair.cert, cert);
  }));

Deno.test("damaged, missing and foreign files are replaced", () =>
  withFolder(async (folder) => {
    const foreign = await createAuthority("Test authority");
    for (const name of ["ca.pem", "ca.key", "a.localhost.pem", "a.localhost.key"]) {
      for (const content of ["", "damaged", name.endsWith(".pem") ? foreign.cert : foreign.key]) {
        const before = await keep(folder);
        await Deno.writeTextFile(join(folder, name), content);
        const after = await keep(folder);
        assert.notDeepEqual(after.pair, before.pair, `${name}: ${content}`);
        assert.deepEqual((await keep(folder)).pair, after.pair);
      }
      const before = await keep(folder);
      await Deno.remove(join(folder, name));
      assert.notDeepEqual((await keep(folder)).pair, before.pair, name);
    }
  }));
