import assert from "node:assert/strict";
import { certificateWarnings, renewalWarnings } from "./certificate_warnings.ts";
import type { ChainFindings } from "./certificate_chain.ts";
import type { Certificate } from "./certificates.ts";

const NOW = new Date("2026-02-01T00:00:00Z");
const DAY_MS = 86_400_000;

const CHAIN: ChainFindings = { isInOrder: true, unrelated: [], signers: [], missing: undefined };

function certificate(changes: Partial<Certificate> = {}): Certificate {
  const dates = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2026-04-01T00:00:00Z") };
  return {
    cert: "",
    key: "",
    names: ["a.example"],
    chain: CHAIN,
    keyKind: "ec prime256v1",
    ...dates,
    ...changes,
  };
}

Deno.test("a name covers itself, and a wildcard one label", () => {
  const names = ["a.example", "*.b.example", "192.0.2.1"];
  for (
    const [pattern, isCovered] of [
      ["a.example", true],
      ["x.b.example", true],
      ["*.b.example", true],
      ["*", true],
      ["b.example", false],
      ["x.y.b.example", false],
      ["*.y.b.example", false],
      ["*.a.example", false],
      ["x.a.example", false],
      ["*.example", false],
    ] as const
  ) {
    const warnings = certificateWarnings(pattern, certificate({ names }), NOW);
    const text = `does not cover "${pattern}": the certificate is for "a.example", "*.b.example", "192.0.2.1"`;
    assert.deepEqual(warnings, isCovered ? [] : [text], pattern);
  }
});

Deno.test("a certificate without names covers none, and one with many names some of them", () => {
  assert.deepEqual(certificateWarnings("a.example", certificate({ names: [] }), NOW), [
    'does not cover "a.example": the certificate has no subject alternative name',
  ]);
  const names = ["1", "2", "3", "4", "5", "6", "7"];
  assert.deepEqual(certificateWarnings("a.example", certificate({ names }), NOW), [
    'does not cover "a.example": the certificate is for "1", "2", "3", "4", "5" and 2 more',
  ]);
});

Deno.test("the end of a certificate is told from 14 days before it", () => {
  const end = new Date("2026-02-15T00:00:00Z");
  for (
    const [now, warning] of [
      [end.getTime() - 14 * DAY_MS, undefined],
      [end.getTime() - 14 * DAY_MS + 1, "expires at 2026-02-15T00:00:00Z, in 13 days; renew it"],
      [end.getTime() - DAY_MS, "expires at 2026-02-15T00:00:00Z, in 1 day; renew it"],
      [end.getTime(), "expires at 2026-02-15T00:00:00Z, in less than a day; renew it"],
      [end.getTime() + 1, "expired at 2026-02-15T00:00:00Z; renew it"],
    ] as const
  ) {
    const warnings = certificateWarnings("a.example", certificate({ notAfter: end }), new Date(now));
    assert.deepEqual(warnings, warning === undefined ? [] : [warning]);
  }
});

Deno.test("a certificate that is not valid yet, and a chain out of order, are told", () => {
  const notBefore = new Date(NOW.getTime() + 1000);
  assert.deepEqual(
    certificateWarnings("a.example", certificate({ notBefore, chain: { ...CHAIN, isInOrder: false } }), NOW),
    [
      "is not valid before 2026-02-01T00:00:01Z; look at this machine's clock too",
      "is out of order: each certificate should be followed by the one that signs it",
    ],
  );
  assert.deepEqual(certificateWarnings("a.example", certificate({ notBefore: NOW }), NOW), []);
});

Deno.test("certificates without a part in the chain, expired ones and a missing one are told by their names", () => {
  const chain: ChainFindings = {
    isInOrder: false,
    unrelated: ["Old CA", "Other"],
    signers: [
      { name: "Intermediate", notAfter: new Date("2026-01-15T00:00:00Z") },
      { name: "Upper", notAfter: NOW },
    ],
    missing: "Root",
  };
  assert.deepEqual(certificateWarnings("a.example", certificate({ chain }), NOW), [
    'holds certificates that have no part in its chain: "Old CA", "Other"; take them out',
    'the certificate of "Intermediate" behind it expired at 2026-01-15T00:00:00Z; put the new one there',
    'its chain does not lead to a root: "Root", which signed its last certificate, is neither in the file nor among ' +
    "this machine's authorities, and clients that do not have it refuse the connection (unknown_ca); if it is an " +
    "intermediate, use the full chain (fullchain.pem); if it is a private root, add it to this machine's authorities",
  ]);
});

Deno.test("a renewed certificate is warned of for all its routes at once, and not for its end", () => {
  const renewed = certificate({ notAfter: NOW, notBefore: new Date(NOW.getTime() + 1000) });
  assert.deepEqual(renewalWarnings(["a.example", "b.example", "*.c.example", "*"], renewed, NOW), [
    'does not cover "b.example", "*.c.example": the certificate is for "a.example"',
    "is not valid before 2026-02-01T00:00:01Z; look at this machine's clock too",
  ]);
  assert.deepEqual(renewalWarnings(["a.example"], certificate({ notAfter: NOW }), NOW), []);
});
