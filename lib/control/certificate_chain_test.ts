import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { examineChain } from "./certificate_chain.ts";
import { makeChain } from "./testdata/make_chain.ts";

const made = await makeChain("a.test");
const [leaf, intermediate, root] = [made.leaf, made.intermediate, made.root].map((pem) => new X509Certificate(pem));
const [other] = [(await makeChain("b.test")).root].map((pem) => new X509Certificate(pem));
assert.ok(leaf && intermediate && root && other);

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
      [[leaf], [], undefined], // nothing is known
      [[leaf], [intermediate], undefined],
    ] as const
  ) {
    assert.equal(examineChain(chain, () => trusted).missing, missing);
  }
});

Deno.test("an authority of the same name and another key is another one", () => {
  assert.equal(other.subject, root.subject);
  assert.equal(examineChain([leaf, intermediate], () => [other]).missing, "Root");
  assert.deepEqual(examineChain([leaf, intermediate, other], () => [root]).unrelated, ["Root"]);
});

Deno.test("a certificate of a private authority that does not say where its signer's is needs no other", async () => {
  const silent = await makeChain("a.test", false);
  assert.equal(examineChain([new X509Certificate(silent.leaf)], () => [root]).missing, undefined);
});

Deno.test("wrong order and certificates without a part are told apart, and who signs is listed", () => {
  const examine = (...chain: X509Certificate[]) => examineChain(chain, () => [root]);
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
