/**
 * What an engine speaks TLS with, as the control plane sees it.
 *
 * @module
 */

import type { CertificateSnapshot } from "./snapshot.ts";

/** See the module. */
export interface TlsLibrary {
  /** For people: `OpenSSL 3.0.19 27 Jan 2026`. */
  readonly name: string;
  /** The file that it was loaded from; `""` where it is part of the runtime. */
  readonly path: string;
  /** The groups that it agrees on keys with, in its order of preference, under the names of `tls_groups`. */
  readonly groups: readonly string[];
  /** Tries to serve with a certificate. @returns Why it cannot. */
  certificateProblem(certificate: CertificateSnapshot): CertificateProblem | undefined;
}

/** Why a library does not serve with a certificate. */
export interface CertificateProblem {
  readonly of: "certificate" | "key";
  readonly reason: string;
}
