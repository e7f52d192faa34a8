/**
 * Certificates of many kinds for tests.
 *
 * @module
 */

import "reflect-metadata"; // tsyringe, inside @peculiar/x509, will not load before it
import {
  type JsonGeneralNames,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { KeyPair } from "../../../scripts/dev/certificates.ts";

const ALGORITHMS = {
  "rsa 512": rsa(512),
  "rsa 1024": rsa(1024),
  "rsa 2048": rsa(2048),
  "ecdsa p-256": ecdsa("P-256", "SHA-256"),
  "ecdsa p-384": ecdsa("P-384", "SHA-384"),
  "ecdsa p-521": ecdsa("P-521", "SHA-512"),
  ed25519: { name: "Ed25519" },
};

function rsa(modulusLength: number) {
  return { name: "RSASSA-PKCS1-v1_5", modulusLength, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" };
}

function ecdsa(namedCurve: string, hash: string) {
  return { name: "ECDSA", namedCurve, hash };
}

/** Makes a self-signed certificate for `a.example` that is valid now. */
export async function selfSigned(
  kind: keyof typeof ALGORITHMS,
  names: JsonGeneralNames = [{ type: "dns", value: "a.example" }],
): Promise<KeyPair> {
  const keys = await generateKeys(ALGORITHMS[kind]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: ["a.example"] }],
    keys,
    signingAlgorithm: ALGORITHMS[kind],
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 90 * 86_400_000),
    extensions: names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : [],
  });
  const key = PemConverter.encode(await crypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  return { cert: certificate.toString("pem") + "\n", key: key + "\n" };
}

async function generateKeys(algorithm: Algorithm): Promise<CryptoKeyPair> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  if ("privateKey" in keys) return keys;
  throw new TypeError(`${algorithm.name} makes one key, not two`);
}
