/**
 * The alerts with which clients refuse a certificate.
 *
 * @module
 */

/** What is most likely wrong, by the alert's name in RFC 8446 §6.2 without its underscores. */
const CAUSES: readonly (readonly [alert: string, cause: string])[] = [
  ["unknownca", "the client does not trust the certificate: is the intermediate missing from tls_cert?"],
  [
    "badcertificate",
    "the client refuses the certificate: does it cover the host name, and does the chain in tls_cert hold?",
  ],
  [
    "certificateunknown",
    "the client refuses the certificate: does it trust the issuer, and is the chain in tls_cert complete?",
  ],
  [
    "certificateexpired",
    "the client finds a certificate of tls_cert expired or not valid yet: renew it, or set the client's clock",
  ],
];

/**
 * Adds the likely cause to what a TLS library says of a connection's end, where that is an alert by which the client
 * refused the certificate.
 *
 * @param detail In the words of OpenSSL (`tlsv1 alert unknown ca`) or rustls (`received fatal alert: UnknownCA`).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(
 *   withLikelyCause("tlsv1 alert unknown ca"),
 *   "tlsv1 alert unknown ca (the client does not trust the certificate: is the intermediate missing from tls_cert?)",
 * );
 * assert.equal(withLikelyCause("the client closed the connection"), "the client closed the connection");
 * ```
 */
export function withLikelyCause(detail: string): string {
  if (!detail.includes("alert")) return detail;
  const name = detail.toLowerCase().replaceAll(/[ _]/g, "");
  const cause = CAUSES.find(([alert]) => name.endsWith(alert))?.[1];
  return cause === undefined ? detail : `${detail} (${cause})`;
}
