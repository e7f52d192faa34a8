/**
 * Certificates that have just been read, so that who looks at them next need not read and try them again.
 *
 * @module
 */

import type { CertificateFileNames } from "./certificate_pair.ts";
import { type CertificateReading, type CertificateTrial, readCertificate } from "./certificates.ts";
import { type FilesState, stateOfSync } from "./file_state.ts";

/** See the module. It is to be let go of soon: it holds every private key that was read. */
export class CertificateReadings {
  readonly #trial: CertificateTrial;
  readonly #found = new Map<string, { readonly state: string; readonly reading: CertificateReading }>();

  /** @param trial What the library that is to serve makes of a certificate. */
  constructor(trial: CertificateTrial) {
    this.#trial = trial;
  }

  /** Reads a certificate, once. */
  read(files: CertificateFileNames): CertificateReading {
    const name = nameOf(files);
    const known = this.#found.get(name);
    if (known !== undefined) return known.reading;
    const { certFile, keyFile } = files;
    const { id } = stateOfSync([certFile, keyFile]); // before: what is read may be newer than it, and not older
    const reading = readCertificate(certFile, keyFile, this.#trial);
    this.#found.set(name, { state: id, reading });
    return reading;
  }

  /** What was read of files that have not changed since: they are in this state. */
  of(files: CertificateFileNames, state: FilesState): CertificateReading | undefined {
    const known = this.#found.get(nameOf(files));
    return known?.state === state.id ? known.reading : undefined;
  }
}

function nameOf({ certFile, keyFile }: CertificateFileNames): string {
  return `${certFile}\0${keyFile}`;
}
