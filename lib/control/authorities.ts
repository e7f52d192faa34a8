/**
 * The certificate authorities that a machine trusts.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { readPemFile } from "./pem.ts";

/** Authorities, found by their name. */
export class Authorities {
  readonly #bySubject = new Map<string, X509Certificate[]>();

  constructor(certificates: readonly X509Certificate[]) {
    for (const certificate of certificates) {
      const { subject } = certificate;
      const others = this.#bySubject.get(subject);
      if (others === undefined) this.#bySubject.set(subject, [certificate]);
      else others.push(certificate);
    }
  }

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#bySubject.size === 0;
  }

  /** Whether one of them signed a certificate. */
  haveSigned(certificate: X509Certificate): boolean {
    return this.#bySubject.get(certificate.issuer)?.some((each) => hasSigned(each, certificate)) ?? false;
  }
}

/** Whether a certificate names another one as its signer, and carries that one's signature. */
export function hasSigned(signer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(signer) && carriesSignature(certificate, signer);
}

/** Whether a certificate has signed itself. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && carriesSignature(certificate, certificate);
}

/** Of a signature that the runtime cannot verify (Deno 2.9.6: ECDSA P-521), nothing bad is to be said. */
function carriesSignature(certificate: X509Certificate, { publicKey }: X509Certificate): boolean {
  try {
    return certificate.verify(publicKey);
  } catch {
    return true;
  }
}

let known: Authorities | undefined;

/** Where systems keep their authorities in one file: Debian and Arch, Fedora, Alpine and BSD, openSUSE. */
const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
  "/etc/ssl/ca-bundle.pem",
];

/** The authorities of this machine, or of `SSL_CERT_FILE`; none where they cannot be read. They are read once. */
export function systemAuthorities(): Authorities {
  known ??= new Authorities(readAuthorities());
  return known;
}

/** Reads them from files, as the runtime lets only a program with the right to all of the system ask for them. */
function readAuthorities(): readonly X509Certificate[] {
  const variable = "SSL_CERT_FILE";
  const mayRead = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  const named = mayRead ? Deno.env.get(variable) : undefined;
  for (const path of named === undefined ? BUNDLES : [named]) {
    const reading = readPemFile(path);
    if (reading.kind === "wrong") continue;
    const certificates = reading.blocks.map(({ text }) => parsed(text)).filter((each) => each !== undefined);
    if (certificates.length > 0) return certificates;
  }
  return [];
}

function parsed(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined; // what is not understood vouches for nothing
  }
}
