/**
 * The files that routes name.
 *
 * @module
 */

import { CertificateReadings } from "./certificate_readings.ts";
import { certificateWarnings } from "./certificate_warnings.ts";
import { type CertificateTrial, checkBackendCa } from "./certificates.ts";
import type { Findings } from "./config_rules.ts";
import type { RouteConfig } from "./config_types.ts";
import { printable } from "./quote.ts";

/** A key of RSA, and the route that names it. */
export interface RsaKey {
  /** `listeners[0].routes[1].tls_key`. */
  readonly path: string;
  readonly file: string;
  /** `rsa 2048`. */
  readonly kind: string;
}

/** Checks the files of routes; each is read once, however many of them name it. */
export class RouteFiles {
  /** The certificates, as they were found. */
  readonly readings: CertificateReadings;
  readonly #now: Date;
  /** Those that were found so far. */
  readonly rsaKeys: RsaKey[] = [];
  readonly #authorities = new Map<string, { readonly found: string | undefined }>();

  /**
   * @param trial What the library that is to serve with certificates makes of them.
   * @param now When they are to be valid.
   */
  constructor(trial: CertificateTrial, now: Date) {
    this.readings = new CertificateReadings(trial);
    this.#now = now;
  }

  /** Looks at the files that an L7 route names; its own path is `at`. */
  check(
    { mode, hostname, tlsCert, tlsKey, backendCa }: RouteConfig,
    at: string,
    { problems, warnings }: Findings,
  ): void {
    if (mode !== "l7") return;
    const reading = this.readings.read({ certFile: tlsCert, keyFile: tlsKey });
    if (reading.kind === "ok") {
      const { keyKind } = reading.certificate;
      if (keyKind.startsWith("rsa")) this.rsaKeys.push({ path: `${at}.tls_key`, file: tlsKey, kind: keyKind });
      for (const warning of certificateWarnings(hostname, reading.certificate, this.#now)) {
        warnings.push({ path: `${at}.tls_cert`, message: `${printable(tlsCert)}: ${warning}` });
      }
    } else {
      for (const { path, message } of reading.problems) problems.push({ path: `${at}.${path}`, message });
    }
    if (backendCa === "") return;
    const message = remembered(this.#authorities, backendCa, () => checkBackendCa(backendCa));
    if (message !== undefined) problems.push({ path: `${at}.backend_ca`, message });
  }
}

function remembered<T>(known: Map<string, { readonly found: T }>, name: string, find: () => T): T {
  const { found } = known.get(name) ?? { found: find() };
  known.set(name, { found });
  return found;
}
