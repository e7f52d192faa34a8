/**
 * The certificates that a server shows behind its own: whether clients can follow them to an authority.
 *
 * @module
 */

import type { X509Certificate } from "node:crypto";
import { type Authorities, hasSigned, isSelfSigned, systemAuthorities } from "./authorities.ts";

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
  /** Who signed the last certificate, where that leads to no root and clients may lack that signer's certificate. */
  readonly missing: string | undefined;
}

/** What stands in a certificate that tells where that of its signer is to be had (RFC 5280 §4.2.2.1). */
const HAS_SIGNER_ELSEWHERE = /^CA Issuers - URI:/m;

/**
 * Follows a chain from the server's own certificate, the first.
 *
 * @param trusted Those that the system trusts.
 */
export function examineChain(
  chain: readonly X509Certificate[],
  trusted: () => Authorities = systemAuthorities,
): ChainFindings {
  const path = chain.slice(0, 1);
  for (let next = signerOf(path, chain); next !== undefined; next = signerOf(path, chain)) path.push(next);
  return {
    isInOrder: chain.every((each, i) => i === 0 || (chain[i - 1]?.checkIssued(each) ?? false)),
    unrelated: chain.filter((each) => !path.includes(each)).map(({ subject }) => nameOf(subject)),
    signers: path.slice(1).map(({ subject, validToDate }) => ({ name: nameOf(subject), notAfter: validToDate })),
    missing: missingSigner(path, trusted),
  };
}

/** The certificate of the file that signed the last one of a path, and is not in it. */
function signerOf(path: readonly X509Certificate[], chain: readonly X509Certificate[]): X509Certificate | undefined {
  const last = path.at(-1);
  return chain.find((each) => !path.includes(each) && last !== undefined && hasSigned(each, last));
}

/**
 * Who signed the last certificate of a path that leads to no root: the last is not one itself, and no authority of the
 * system signed any of them (a cross-signed root may follow those that clients need).
 *
 * A server's certificate alone nearly always lacks an intermediate, or else was signed by a private root, and nothing in
 * it tells which. One with intermediates behind it mostly comes from a private authority whose root is left out, as it
 * may be (RFC 8446 §4.4.2): there, something is missing only where the last one says that its signer's certificate is to
 * be fetched, as intermediates of public authorities do. Where the system's authorities are not known, nothing can be
 * said of those.
 */
function missingSigner(path: readonly X509Certificate[], trusted: () => Authorities): string | undefined {
  const last = path.at(-1);
  if (last === undefined || isSelfSigned(last)) return undefined;
  const isAlone = path.length === 1;
  if (!isAlone && !HAS_SIGNER_ELSEWHERE.test(last.infoAccess ?? "")) return undefined;
  const authorities = trusted();
  if (authorities.isEmpty && !isAlone) return undefined;
  return path.some((each) => authorities.haveSigned(each)) ? undefined : nameOf(last.issuer);
}

/** The common name of a distinguished name, or its first part: there is a line for each. */
function nameOf(distinguished: string): string {
  const parts = distinguished.split("\n");
  return parts.find((part) => part.startsWith("CN="))?.slice("CN=".length) ?? parts[0] ?? "";
}
