/**
 * The certificates that a server shows behind its own: whether clients can follow them to an authority.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { readPemFile } from "./pem.ts";

/** A certificate that signs others. */
export interface Signer {
  /** Its common name, or what stands for it. */
  readonly name: string;
  readonly notAfter: Date;
}

/** What was found of a chain. */
export interface ChainFindings {
  /** Whether each certificate is signed by the one behind it (RFC 8446 §4.4.2 wants it, and clients may do without). */
  readonly isInOrder: boolean;
  /** The names of certificates that have no part in the chain. */
  readonly unrelated: readonly string[];
  /** Those that lead from the server's own certificate to an authority, as far as they are there. */
  readonly signers: readonly Signer[];
  /** Who signed the last certificate, where clients need that signer's certificate and mostly lack it. */
  readonly missing: string | undefined;
}

/** What stands in a certificate that tells where that of its signer is to be had (RFC 5280 §4.2.2.1). */
const HAS_SIGNER_ELSEWHERE = /^CA Issuers - URI:/m;

/**
 * Follows a chain from the server's own certificate, the first.
 *
 * A certificate that was signed by an authority of the system is complete: clients have that. Of one that was signed by
 * another, the certificate itself tells whether the signer has to be fetched; a private authority's own, which signs
 * servers directly and which clients were given, mostly leaves that out.
 *
 * @param trusted Those that the system trusts.
 */
export function examineChain(
  chain: readonly X509Certificate[],
  trusted: () => readonly X509Certificate[] = systemAuthorities,
): ChainFindings {
  const path = chain.slice(0, 1);
  for (let next = signerOf(path, chain); next !== undefined; next = signerOf(path, chain)) path.push(next);
  const last = path.at(-1);
  return {
    isInOrder: chain.every((each, i) => i === 0 || (chain[i - 1]?.checkIssued(each) ?? false)),
    unrelated: chain.filter((each) => !path.includes(each)).map(({ subject }) => nameOf(subject)),
    signers: path.slice(1).map(({ subject, validToDate }) => ({ name: nameOf(subject), notAfter: validToDate })),
    missing: last !== undefined && lacksSigner(last, trusted) ? nameOf(last.issuer) : undefined,
  };
}

/** The certificate of the file that signed the last one of a path, and is not in it. */
function signerOf(path: readonly X509Certificate[], chain: readonly X509Certificate[]): X509Certificate | undefined {
  const last = path.at(-1);
  return chain.find((each) => !path.includes(each) && last !== undefined && hasSigned(each, last));
}

function hasSigned(signer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(signer) && certificate.verify(signer.publicKey);
}

function lacksSigner(last: X509Certificate, trusted: () => readonly X509Certificate[]): boolean {
  if (!HAS_SIGNER_ELSEWHERE.test(last.infoAccess ?? "")) return false;
  const authorities = trusted();
  // Where none are known, nothing can be said.
  return authorities.length > 0 && !authorities.some((each) => each.subject === last.issuer && hasSigned(each, last));
}

let known: readonly X509Certificate[] | undefined;

/** Where systems keep their authorities in one file: Debian and Arch, Fedora, Alpine and BSD, openSUSE. */
const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
  "/etc/ssl/ca-bundle.pem",
];

/** The authorities of this machine, or of `SSL_CERT_FILE`; none where they cannot be read. They are read once. */
function systemAuthorities(): readonly X509Certificate[] {
  known ??= readAuthorities();
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

/** The common name of a distinguished name, or its first part: there is a line for each. */
function nameOf(distinguished: string): string {
  const parts = distinguished.split("\n");
  return parts.find((part) => part.startsWith("CN="))?.slice("CN=".length) ?? parts[0] ?? "";
}
