/** A chain of three for tests: a root, an intermediate, and a server's certificate that says where its signer's is. */

import "reflect-metadata"; // tsyringe, inside @peculiar/x509, will not load before it
import {
  AuthorityInfoAccessExtension,
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const ECDSA_SHA256 = { name: "ECDSA", hash: "SHA-256" };

/** Certificates in PEM, and the key of the first. */
export interface MadeChain {
  readonly leaf: string;
  readonly intermediate: string;
  readonly root: string;
  readonly key: string;
  /** That of the root. */
  readonly rootKeys: CryptoKeyPair;
}

/**
 * Makes such a chain for a host name.
 *
 * @param hasAccess Whether leaf and intermediate tell where their signer's is.
 * @param curve Of the keys of root and intermediate.
 */
export async function makeChain(hostname: string, hasAccess = true, curve = "P-256"): Promise<MadeChain> {
  const [rootKeys, middleKeys, leafKeys] = await Promise.all([newKeys(curve), newKeys(curve), newKeys()]);
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
    rootKeys,
  };
}

/** The root of a chain as an older one has signed it (RFC 4158 §1.4.1), in PEM; it tells where the older one's is. */
export async function crossSigned({ rootKeys: { publicKey } }: MadeChain, issuer: string): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    subject: "CN=Root",
    issuer: `CN=${issuer}`,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 60 * 86_400_000),
    signingAlgorithm: ECDSA_SHA256,
    publicKey,
    signingKey: (await newKeys()).privateKey,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new AuthorityInfoAccessExtension({ caIssuers: ["http://ca.test/older.crt"] }),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

function newKeys(namedCurve = "P-256"): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);
}
