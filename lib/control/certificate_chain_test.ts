import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { Authorities } from "./authorities.ts";
import { examineChain } from "./certificate_chain.ts";
import { crossSigned, makeChain } from "./testdata/make_chain.ts";

const made = await makeChain("a.test");
const [leaf, intermediate, root] = [made.leaf, made.intermediate, made.root].map((pem) => new X509Certificate(pem));
const [other] = [(await makeChain("b.test")).root].map((pem) => new X509Certificate(pem));
assert.ok(leaf && intermediate && root && other);

const silent = await makeChain("a.test", false);
const [silentLeaf, silentIntermediate] = [silent.leaf, silent.intermediate].map((pem) => new X509Certificate(pem));
const cross = new X509Certificate(await crossSigned(silent, "Older root"));
assert.ok(silentLeaf && silentIntermediate);

function missingOf(chain: readonly X509Certificate[], trusted: readonly X509Certificate[]): string | undefined {
  return examineChain(chain, () => new Authorities(trusted)).missing;
}

Deno.test("a chain is complete with its root, or where the system has the root", () => {
  for (
    const [chain, trusted, missing] of [
      [[leaf], [other], "Intermediate"],
      [[leaf], [root], "Intermediate"],
      [[leaf, intermediate], [other], "Root"],
      [[leaf, intermediate], [other, root], undefined],
      [[leaf, intermediate, root], [other], undefined],
      [[intermediate, root], [], undefined],
      [[root], [other], undefined],
      [[leaf, intermediate], [], undefined], // nothing is known
      [[leaf], [intermediate], undefined],
    ] as const
  ) {
    assert.equal(missingOf(chain, trusted), missing);
  }
});

Deno.test("a server's certificate alone leads nowhere, whether it tells where its signer's is or not", () => {
  assert.equal(missingOf([silentLeaf], [root]), "Intermediate");
  assert.equal(missingOf([silentLeaf], []), "Intermediate");
  assert.equal(missingOf([silentLeaf], [silentIntermediate]), undefined);
});

Deno.test("a private authority may leave its root out behind its intermediates", () => {
  assert.equal(missingOf([silentLeaf, silentIntermediate], [other]), undefined);
});

Deno.test("a chain that goes on beyond an authority of the system, to an older root, is complete", () => {
  const own = new X509Certificate(silent.root);
  const path = [silentLeaf, silentIntermediate, cross];
  assert.deepEqual(examineChain(path, () => new Authorities([own])).unrelated, []);
  assert.equal(missingOf(path, [own]), undefined);
  assert.equal(missingOf(path, [other]), "Older root");
});

Deno.test("a chain whose signatures the runtime cannot verify is followed by its names", async () => {
  const { leaf, intermediate, root } = await makeChain("a.test", true, "P-521");
  const [first, second, third] = [leaf, intermediate, root].map((pem) => new X509Certificate(pem));
  assert.ok(first && second && third);
  assert.deepEqual(examineChain([first, second, third], () => new Authorities([])).unrelated, []);
  assert.equal(missingOf([first, second, third], []), undefined);
  assert.equal(missingOf([first, second], [third]), undefined);
  assert.equal(missingOf([first], [third]), "Intermediate");
});

Deno.test("an authority of the same name and another key is another one", () => {
  assert.equal(other.subject, root.subject);
  assert.equal(missingOf([leaf, intermediate], [other]), "Root");
  assert.equal(missingOf([leaf, intermediate], [other, root]), undefined);
  assert.deepEqual(examineChain([leaf, intermediate, other], () => new Authorities([root])).unrelated, ["Root"]);
});

Deno.test("wrong order and certificates without a part are told apart, and who signs is listed", () => {
  const examine = (...chain: X509Certificate[]) => examineChain(chain, () => new Authorities([root]));
  assert.deepEqual(examine(leaf, intermediate, root), {
    isInOrder: true,
    unrelated: [],
    signers: [intermediate, root].map(({ subject, validToDate }) => ({
      name: subject.slice("CN=".length),
      notAfter: validToDate,
    })),
    missing: undefined,
  });
  const swapped = examine(leaf, root, intermediate);
  assert.deepEqual([swapped.isInOrder, swapped.unrelated, swapped.signers.length], [false, [], 2]);
  assert.deepEqual(examine(leaf, other, intermediate).unrelated, ["Root"]);
});
