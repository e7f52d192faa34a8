/**
 * How TLS is spoken, with clients and with backends.
 *
 * @module
 */

/** Which versions, groups and ciphers TLS may use. */
export interface TlsSettings {
  /** The libssl to load, a path; `""`: the system's. */
  readonly libssl: string;
  readonly minVersion: typeof TLS_VERSIONS[number];
  /** In the order of preference, by the library's names, such as `X25519MLKEM768` and `X25519`; none: the library's. */
  readonly groups: readonly string[];
  /** Suites of TLS 1.3 and 1.2 in the order of preference, by the library's names; none of a version: ours of it. */
  readonly ciphers: readonly string[];
}

/** The versions of TLS that may be the oldest one. */
export const TLS_VERSIONS = ["1.2", "1.3"] as const;

/** Of TLS 1.3, the cheapest first. */
export const TLS13_CIPHERS: readonly string[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
];

/** Of TLS 1.2, the cheapest first: those that authenticate what they encrypt and have forward secrecy (RFC 9325 §4.2). */
export const TLS12_CIPHERS: readonly string[] = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** What holds where nothing is set. */
export const DEFAULT_TLS: TlsSettings = { libssl: "", minVersion: "1.2", groups: [], ciphers: [] };
