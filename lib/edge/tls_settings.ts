/**
 * How TLS is spoken, with clients and with backends.
 *
 * @module
 */

/** Which versions, groups and ciphers TLS may use. */
export interface TlsSettings {
  /** The libssl to load, a path; `""`: the system's. */
  readonly libssl: string;
  readonly minVersion: "1.2" | "1.3";
  /** In the order of preference, by the library's names, such as `X25519MLKEM768` and `X25519`; none: the library's. */
  readonly groups: readonly string[];
  /** Suites of TLS 1.3 and 1.2 in the order of preference, by the library's names; none of a version: ours of it. */
  readonly ciphers: readonly string[];
}

/** What holds where nothing is set. */
export const DEFAULT_TLS: TlsSettings = { libssl: "", minVersion: "1.2", groups: [], ciphers: [] };
