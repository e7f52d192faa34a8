/**
 * What clients of a route will not like about its certificate.
 *
 * @module
 */

import type { ChainFindings } from "./certificate_chain.ts";
import type { Certificate } from "./certificates.ts";
import { quote } from "./quote.ts";

const DAY_MS = 86_400_000;
/** How long before its end a certificate is spoken of: half of what is left when ACME clients renew one of 90 days. */
const SOON_MS = 14 * DAY_MS;
const MAX_NAMES = 5;

/**
 * Warns where the certificate does not cover the host names of the route, where it is not valid at the moment or not for
 * 14 days more, and where its chain is out of order, incomplete or expired.
 *
 * @param pattern The host name of the route: exact, `*.suffix` or `*`.
 * @returns One sentence each, to follow the name of the file.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const certificate = {
 *   cert: "",
 *   key: "",
 *   notBefore: new Date("2026-01-01T00:00:00Z"),
 *   notAfter: new Date("2026-04-01T00:00:00Z"),
 *   names: ["*.example.com"],
 *   chain: { isInOrder: true, unrelated: [], signers: [], missing: undefined },
 *   keyKind: "ec prime256v1",
 * };
 * assert.deepEqual(certificateWarnings("www.example.com", certificate, new Date("2026-02-01T00:00:00Z")), []);
 * assert.deepEqual(certificateWarnings("example.com", certificate, new Date("2026-03-29T00:00:00Z")), [
 *   'does not cover "example.com": the certificate is for "*.example.com"',
 *   "expires at 2026-04-01T00:00:00Z, in 3 days; renew it",
 * ]);
 * ```
 */
export function certificateWarnings(pattern: string, certificate: Certificate, now: Date): string[] {
  const { notAfter } = certificate;
  const warnings = [...coverageWarnings([pattern], certificate), ...beginWarnings(certificate, now)];
  switch (expiryOf(certificate, now)) {
    case "expired":
      warnings.push(`expired at ${formatTime(notAfter)}; renew it`);
      break;
    case "soon":
      warnings.push(`expires at ${formatTime(notAfter)}, in ${daysLeft(certificate, now)}; renew it`);
      break;
    case "later":
  }
  return [...warnings, ...chainWarnings(certificate.chain, now)];
}

/**
 * Warns of a certificate that is in use from now on as {@linkcode certificateWarnings} does, but not of its end, which
 * has lines of its own in the log.
 *
 * @param patterns The host names of all its routes.
 * @returns One sentence each, to follow the name of the file.
 */
export function renewalWarnings(patterns: readonly string[], certificate: Certificate, now: Date): string[] {
  return [
    ...coverageWarnings(patterns, certificate),
    ...beginWarnings(certificate, now),
    ...chainWarnings(certificate.chain, now),
  ];
}

function coverageWarnings(patterns: readonly string[], { names }: Certificate): string[] {
  const others = patterns.filter((pattern) => !isCovered(pattern, names));
  if (others.length === 0) return [];
  const has = names.length > 0
    ? `the certificate is for ${listOf(names.map(quote))}`
    : "the certificate has no subject alternative name";
  return [`does not cover ${listOf(others.map(quote))}: ${has}`];
}

function beginWarnings({ notBefore }: Certificate, now: Date): string[] {
  if (notBefore <= now) return [];
  return [`is not valid before ${formatTime(notBefore)}; look at this machine's clock too`];
}

function chainWarnings({ isInOrder, unrelated, signers, missing }: ChainFindings, now: Date): string[] {
  const warnings: string[] = [];
  if (unrelated.length > 0) {
    warnings.push(`holds certificates that have no part in its chain: ${listOf(unrelated.map(quote))}; take them out`);
  } else if (!isInOrder) {
    warnings.push("is out of order: each certificate should be followed by the one that signs it");
  }
  for (const { name, notAfter } of signers) {
    if (notAfter >= now) continue;
    warnings.push(
      `the certificate of ${quote(name)} behind it expired at ${formatTime(notAfter)}; put the new one there`,
    );
  }
  if (missing !== undefined) {
    warnings.push(
      `its chain does not lead to a root: ${
        quote(missing)
      }, which signed its last certificate, is neither in the file ` +
        "nor among this machine's authorities, and clients that do not have it refuse the connection (unknown_ca); " +
        "if it is an intermediate, use the full chain (fullchain.pem); if it is a private root, add it to this " +
        "machine's authorities",
    );
  }
  return warnings;
}

/** How near the end of a certificate is; `soon` is within 14 days. */
export function expiryOf({ notAfter }: Pick<Certificate, "notAfter">, now: Date): "later" | "soon" | "expired" {
  const left = notAfter.getTime() - now.getTime();
  if (left < 0) return "expired";
  return left < SOON_MS ? "soon" : "later";
}

/** `1 day`, `13 days`: whole ones, rounded down. */
export function daysLeft({ notAfter }: Pick<Certificate, "notAfter">, now: Date): string {
  const days = Math.floor((notAfter.getTime() - now.getTime()) / DAY_MS);
  return days < 1 ? "less than a day" : `${days} day${days === 1 ? "" : "s"}`;
}

/** A moment in whole seconds of UTC, as certificates tell it. */
export function formatTime(time: Date): string {
  return time.toISOString().replace(".000Z", "Z");
}

/** Some of them, where there are many: a log line is to stay readable. */
export function listOf(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/**
 * Whether a name covers the pattern: by itself or, of an exact host name, with `*` in place of its first label, and of
 * one label only (RFC 9525 §6.3).
 */
function isCovered(pattern: string, names: readonly string[]): boolean {
  return pattern === "*" || names.includes(pattern) || names.includes(pattern.replace(/^[^*.][^.]*\./, "*."));
}
