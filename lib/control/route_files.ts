/**
 * The files that routes name.
 *
 * @module
 */

import { certificateWarnings } from "./certificate_warnings.ts";
import { type CertificateReading, checkBackendCa, readCertificate } from "./certificates.ts";
import type { Findings } from "./config_rules.ts";
import type { RouteConfig } from "./config_types.ts";
import { printable } from "./quote.ts";

/** Checks the files of routes; each is read once, however many of them name it. */
export class RouteFiles {
  readonly #now: Date;
  readonly #certificates = new Map<string, { readonly found: CertificateReading }>();
  readonly #authorities = new Map<string, { readonly found: string | undefined }>();

  /** @param now When certificates are to be valid. */
  constructor(now: Date) {
    this.#now = now;
  }

  /** Looks at the files that an L7 route names; its own path is `at`. */
  check(
    { mode, hostname, tlsCert, tlsKey, backendCa }: RouteConfig,
    at: string,
    { problems, warnings }: Findings,
  ): void {
    if (mode !== "l7") return;
    const reading = remembered(this.#certificates, `${tlsCert}\0${tlsKey}`, () => readCertificate(tlsCert, tlsKey));
    if (reading.kind === "ok") {
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
