/** A chain of three for tests: a root, an intermediate, and a server's certificate that says where its signer's is. */

import "reflect-metadata"; // tsyringe, inside @peculiar/x509, will not load before it
import {
  AuthorityInfoAccessExtension,
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const ECDSA_P256 = { name: "ECDSA", namedCurve: "P-256" };
const ECDSA_SHA256 = { name: "ECDSA", hash: "SHA-256" };

/** Certificates in PEM, and the key of the first. */
export interface MadeChain {
  readonly leaf: string;
  readonly intermediate: string;
  readonly root: string;
  readonly key: string;
}

/** Makes such a chain for a host name. @param hasAccess Whether leaf and intermediate tell where their signer's is. */
export async function makeChain(hostname: string, hasAccess = true): Promise<MadeChain> {
  const [rootKeys, middleKeys, leafKeys] = await Promise.all([newKeys(), newKeys(), newKeys()]);
  const signed = (subject: string, issuer: string, keys: CryptoKeyPair, by: CryptoKeyPair) => {
    const isLeaf = keys === leafKeys;
    return X509CertificateGenerator.create({
      subject: `CN=${subject}`,
      issuer: `CN=${issuer}`,
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 60 * 86_400_000),
      signingAlgorithm: ECDSA_SHA256,
      publicKey: keys.publicKey,
      signingKey: by.privateKey,
      extensions: [
        new BasicConstraintsExtension(!isLeaf, undefined, true),
        ...isLeaf ? [new SubjectAlternativeNameExtension([{ type: "dns", value: hostname }])] : [],
        ...hasAccess && keys !== rootKeys
          ? [new AuthorityInfoAccessExtension({ caIssuers: [`http://ca.test/${issuer}.crt`] })]
          : [],
      ],
    });
  };
  const root = await signed("Root", "Root", rootKeys, rootKeys);
  const intermediate = await signed("Intermediate", "Root", middleKeys, rootKeys);
  const leaf = await signed(hostname, "Intermediate", leafKeys, middleKeys);
  const pem = (certificate: X509Certificate) => `${certificate.toString("pem")}\n`;
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", leafKeys.privateKey)).toBase64();
  const body = key.replaceAll(/.{64}/g, "$&\n");
  return {
    leaf: pem(leaf),
    intermediate: pem(intermediate),
    root: pem(root),
    key: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
  };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ECDSA_P256, true, ["sign", "verify"]);
}
