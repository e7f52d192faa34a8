/**
 * A certificate authority for development and tests, without openssl: ECDSA P-256, accepted by curl, OpenSSL, rustls
 * and browsers once its certificate is trusted.
 *
 * @module
 */

import "reflect-metadata"; // tsyringe, inside @peculiar/x509, will not load before it
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  type PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";

/** A certificate and its key, as servers load them. */
export interface KeyPair {
  /** The certificate in PEM. A server's is followed by that of its authority, which no machine knows by itself. */
  readonly cert: string;
  /** The private key: PKCS#8 in PEM, not encrypted. */
  readonly key: string;
}

/** When a certificate is valid, both ends included. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** What a server certificate is to say. */
export interface CertificateRequest {
  /** Host names (a left-most `*` label is a wildcard) and IP addresses; at least one. */
  readonly hostnames: readonly string[];
  /** At most 397 days; by default from an hour ago for 90 days. */
  readonly validity?: Validity;
}

/** What an authority is to be. */
export interface AuthorityOptions {
  /** The one DNS domain, itself and all below it, that the authority can vouch for; by default any. */
  readonly domain?: string;
  /** By default from an hour ago for two years. */
  readonly validity?: Validity;
}

/** A certificate authority. */
export interface Authority extends KeyPair {
  /**
   * Makes a server certificate with a key of its own.
   *
   * @throws {RangeError} Where no host name is given, or the validity is longer than 397 days.
   */
  issue(request: CertificateRequest): Promise<KeyPair>;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
// What browsers accept of a server certificate is 398 days, CA/Browser Forum Baseline Requirements §6.3.2.
const MAX_LEAF_VALIDITY = 397 * DAY;
const ECDSA_P256 = { name: "ECDSA", namedCurve: "P-256" };
const ECDSA_SHA256 = { name: "ECDSA", hash: "SHA-256" };
const ID_CE_NAME_CONSTRAINTS = "2.5.29.30";

/**
 * Makes a certificate authority: a self-signed root with a new key, which signs server certificates and nothing else.
 *
 * @param commonName What lists of trusted roots show, at most 64 characters (RFC 5280 appendix A.1).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { X509Certificate } from "node:crypto";
 *
 * const authority = await createAuthority("Example authority");
 * const { cert } = await authority.issue({ hostnames: ["a.example", "127.0.0.1"] });
 * assert.equal(new X509Certificate(cert).checkHost("a.example"), "a.example");
 * ```
 */
export async function createAuthority(commonName: string, options: AuthorityOptions = {}): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ECDSA_P256, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: ECDSA_SHA256,
    ...(options.validity ?? validityFor(2 * 365 * DAY)),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(options.domain === undefined ? [] : [permitOnlyDomain(options.domain)]),
    ],
  });
  return authorityOf(certificate, keys.privateKey, await privateKeyPem(keys.privateKey));
}

/**
 * Takes up an authority that `createAuthority` made before.
 *
 * @throws {Error} Where the PEM cannot be read, or the key is not that of the certificate.
 */
export async function loadAuthority({ cert, key }: KeyPair): Promise<Authority> {
  const certificate = new X509Certificate(cert);
  const der = PemConverter.decodeFirst(key);
  const privateKey = await crypto.subtle.importKey("pkcs8", der, ECDSA_P256, true, ["sign"]);
  if (!await isKeyOf(privateKey, certificate.publicKey)) throw new Error("the key is not that of the certificate");
  return authorityOf(certificate, privateKey, key);
}

function authorityOf(certificate: X509Certificate, privateKey: CryptoKey, keyPem: string): Authority {
  return {
    cert: certificate.toString("pem") + "\n",
    key: keyPem,
    issue: (request) => issue(certificate, privateKey, request),
  };
}

async function issue(issuer: X509Certificate, issuerKey: CryptoKey, request: CertificateRequest): Promise<KeyPair> {
  const { hostnames, validity = validityFor(90 * DAY) } = request;
  const [commonName] = hostnames;
  if (commonName === undefined) throw new RangeError("a certificate needs at least one host name");
  if (validity.notAfter.getTime() - validity.notBefore.getTime() > MAX_LEAF_VALIDITY) {
    throw new RangeError("a server certificate must not be valid for more than 397 days");
  }
  const names: JsonGeneralNames = hostnames.map((name) => ({ type: parseIpAddress(name) ? "ip" : "dns", value: name }));
  const keys = await crypto.subtle.generateKey(ECDSA_P256, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.create({
    // A name too long for a CN (RFC 5280 appendix A.1) leaves the subject empty: only the SAN counts (RFC 6125 §6.4.4).
    subject: commonName.length <= 64 ? [{ CN: [commonName] }] : [],
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: issuerKey,
    signingAlgorithm: ECDSA_SHA256,
    notBefore: validity.notBefore,
    notAfter: validity.notAfter,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names, commonName.length > 64), // critical beside an empty subject, §4.2.1.6
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  const cert = [certificate, issuer].map((each) => each.toString("pem") + "\n").join("");
  return { cert, key: await privateKeyPem(keys.privateKey) };
}

/** From an hour ago, so that a client whose clock is slow agrees, until `milliseconds` later. */
function validityFor(milliseconds: number): Validity {
  const start = Date.now() - HOUR;
  return { notBefore: new Date(start), notAfter: new Date(start + milliseconds) };
}

/** The name constraints extension (RFC 5280 §4.2.1.10) with one permitted DNS subtree, in DER. */
function permitOnlyDomain(domain: string): Extension {
  const name = new TextEncoder().encode(domain);
  if (name.length > 100) throw new RangeError("a domain to constrain an authority to has at most 100 characters");
  const wrap = (tag: number, content: Uint8Array) => Uint8Array.of(tag, content.length, ...content);
  const subtree = wrap(0x30, wrap(0x82, name)); // GeneralSubtree { base dNSName [2] }
  return new Extension(ID_CE_NAME_CONSTRAINTS, true, wrap(0x30, wrap(0xa0, subtree)));
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY") + "\n";
}

async function isKeyOf(privateKey: CryptoKey, publicKey: PublicKey): Promise<boolean> {
  const message = crypto.getRandomValues(new Uint8Array(32));
  const signature = await crypto.subtle.sign(ECDSA_SHA256, privateKey, message);
  return crypto.subtle.verify(ECDSA_SHA256, await publicKey.export(), signature, message);
}
