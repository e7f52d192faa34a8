/**
 * Certificates and keys as L7 routes name them: read, and found to be what a TLS server can show.
 *
 * @module
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { CertificateProblem, TlsLibrary } from "../edge/tls_library.ts";
import { type ChainFindings, examineChain } from "./certificate_chain.ts";
import type { ConfigProblem } from "./config_types.ts";
import { type PemBlock, readPemFile } from "./pem.ts";
import { printable } from "./quote.ts";

/** A certificate with its chain and its key. */
export interface Certificate {
  /** The chain in PEM, the server's own certificate first; nothing else that the file may hold. */
  readonly cert: string;
  /** The private key in PEM, not encrypted. */
  readonly key: string;
  /** When the server's own certificate is valid, both ends included (RFC 5280 §4.1.2.5). */
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Its subject alternative names that are host names, in lower case, or IP addresses. */
  readonly names: readonly string[];
  /** What is behind it in the file. */
  readonly chain: ChainFindings;
  /** The kind of the key: `rsa 2048`, `ec prime256v1`, `ed25519`. */
  readonly keyKind: string;
}

/** Tries to serve with a certificate: see {@linkcode TlsLibrary}. */
export type CertificateTrial = TlsLibrary["certificateProblem"];

/** A certificate, or what is wrong under the keys `tls_cert` and `tls_key`. */
export type CertificateReading =
  | { readonly kind: "ok"; readonly certificate: Certificate }
  | { readonly kind: "wrong"; readonly problems: readonly ConfigProblem[] };

/** What other programs write where RFC 7468 §5.1 says `CERTIFICATE`. */
const CERTIFICATE_LABELS = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
const KEY_KINDS = "RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519";
const CURVES = ["prime256v1", "secp384r1", "secp521r1"];

/**
 * Reads a certificate and its key; both may be in one file.
 *
 * The server's own certificate must be the first of its file, as TLS wants it (RFC 8446 §4.4.2) and as nginx and HAProxy
 * do. The order of those behind it is not: a client may make up for it.
 *
 * @param trial What the library that is to serve with it makes of it.
 */
export function readCertificate(certFile: string, keyFile: string, trial: CertificateTrial): CertificateReading {
  const chain = readChain(certFile);
  const key = readKey(keyFile);
  const problems: ConfigProblem[] = [];
  if (typeof chain === "string") problems.push({ path: "tls_cert", message: chain });
  if (typeof key === "string") problems.push({ path: "tls_key", message: key });
  if (typeof chain === "string" || typeof key === "string") return { kind: "wrong", problems };
  const [leaf] = chain;
  const owner = chain.findIndex((certificate) => certificate.checkPrivateKey(key.object));
  if (leaf === undefined || owner !== 0) {
    return { kind: "wrong", problems: [owner > 0 ? misplaced(certFile, owner) : foreign(certFile, keyFile)] };
  }
  const certificate = {
    cert: chain.map((each) => each.toString().trimEnd() + "\n").join(""),
    key: key.text,
    notBefore: leaf.validFromDate,
    notAfter: leaf.validToDate,
    names: namesOf(leaf),
    chain: examineChain(chain),
    keyKind: kindOf(key.object),
  };
  const refused = trial(certificate);
  if (refused === undefined) return { kind: "ok", certificate };
  return { kind: "wrong", problems: [untaken(certFile, keyFile, refused)] };
}

/** What is wrong with a file of certificates that are to be trusted; `undefined` where it is sound. */
export function checkBackendCa(file: string): string | undefined {
  const certificates = readChain(file);
  return typeof certificates === "string" ? certificates : undefined;
}

/** The certificates of a file, at least one, or what is wrong with it. */
function readChain(file: string): readonly X509Certificate[] | string {
  const reading = readPemFile(file);
  if (reading.kind === "wrong") return reading.message;
  const blocks = reading.blocks.filter(({ label }) => CERTIFICATE_LABELS.includes(label));
  if (blocks.length === 0) return `${printable(file)}: holds no certificate, but ${labelsOf(reading.blocks)}`;
  const chain: X509Certificate[] = [];
  for (const [index, { text }] of blocks.entries()) {
    try {
      chain.push(new X509Certificate(text));
    } catch (error) {
      return `${printable(file)}: certificate ${index + 1} of the file cannot be read: ${reasonOf(error)}`;
    }
  }
  return chain;
}

/** The first private key of a file, or what is wrong with it. */
function readKey(file: string): { readonly text: string; readonly object: KeyObject } | string {
  const reading = readPemFile(file);
  if (reading.kind === "wrong") return reading.message;
  const block = reading.blocks.find(({ label }) => label.endsWith("PRIVATE KEY"));
  if (block === undefined) return `${printable(file)}: holds no private key, but ${labelsOf(reading.blocks)}`;
  // RFC 7468 §11, and RFC 1421 §4.6.1.1 as OpenSSL before 1.0 wrote it.
  if (block.label === "ENCRYPTED PRIVATE KEY" || /^Proc-Type:.*ENCRYPTED/m.test(block.text)) {
    return `${printable(file)}: is encrypted with a passphrase; decrypt it: openssl pkey -in FILE -out NEW`;
  }
  try {
    const object = createPrivateKey(block.text);
    if (isUsable(object)) return { text: block.text, object };
    return `${printable(file)}: TLS cannot use a key of this kind (${kindOf(object)}); use ${KEY_KINDS}`;
  } catch (error) {
    return `${printable(file)}: the private key cannot be read (${reasonOf(error)}); use ${KEY_KINDS}, in PKCS#8`;
  }
}

/** Whether the TLS of Deno signs with such a key: tried, for `createSecureContext` takes any text at all. */
function isUsable(key: KeyObject): boolean {
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      return modulusLength >= 2048 && modulusLength <= 8192;
    case "ec":
      return CURVES.includes(namedCurve);
    default:
      return key.asymmetricKeyType === "ed25519";
  }
}

function kindOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { modulusLength, namedCurve } = asymmetricKeyDetails ?? {};
  return [asymmetricKeyType, namedCurve ?? modulusLength].filter((part) => part !== undefined).join(" ");
}

function misplaced(certFile: string, index: number): ConfigProblem {
  const message = `${printable(certFile)}: tls_key belongs to certificate ${index + 1} of the file; ` +
    "put the server's own certificate first and those that sign it behind";
  return { path: "tls_cert", message };
}

function foreign(certFile: string, keyFile: string): ConfigProblem {
  const message = `${printable(keyFile)}: is not the key of the certificate in ${printable(certFile)}`;
  return { path: "tls_key", message };
}

function untaken(certFile: string, keyFile: string, { of, reason }: CertificateProblem): ConfigProblem {
  if (of === "key") {
    return { path: "tls_key", message: `${printable(keyFile)}: ${printable(reason)}; use ${KEY_KINDS}` };
  }
  const remedy = `have it issued with a key of today (${KEY_KINDS}) and signed with SHA-256 or better, its chain too`;
  return { path: "tls_cert", message: `${printable(certFile)}: ${printable(reason)}; ${remedy}` };
}

/** Names of other kinds (e-mail, URI) are no server's; the common name does not count (RFC 9525 §6.3). */
function namesOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? "").split(", ")
    .map((name) => /^(?:DNS|IP Address):(.+)$/s.exec(name)?.[1]?.toLowerCase())
    .filter((name) => name !== undefined);
}

function labelsOf(blocks: readonly PemBlock[]): string {
  const labels = new Set(blocks.map(({ label }) => printable(label)));
  return [...labels].slice(0, 3).map((label) => `${/^[AEIOU]/.test(label) ? "an" : "a"} ${label}`).join(" and ");
}

function reasonOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}
