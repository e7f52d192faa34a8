/**
 * One certificate in use and its two files, which may change at any moment and not at once.
 *
 * @module
 */

import { expiryOf } from "./certificate_warnings.ts";
import { type Certificate, type CertificateReading, type CertificateTrial, readCertificate } from "./certificates.ts";
import type { FilesState } from "./file_state.ts";

/** How long files must stand still before they are read: a chain may be written one certificate after the other. */
const QUIET_MS = 1_000;
/** How long certificate and key may be at odds before that is told: they are mostly replaced one after the other. */
const GRACE_MS = 5_000;
const DAY_MS = 86_400_000;

/** The files of a certificate, which may be one and the same. */
export interface CertificateFileNames {
  readonly certFile: string;
  readonly keyFile: string;
}

/**
 * What a look at the files came to.
 *
 * - `same`: nothing to tell; the certificate is as it was.
 * - `renewed`: there is a new certificate, or the first.
 * - `broken`: the files are of no use; the certificate before, if any, stays. Told once of each state of the files.
 * - `recovered`: the files, told of as broken, are again those of the certificate in use.
 */
export type Look = "same" | "renewed" | "broken" | "recovered";

/** See the module. It holds no clock: who looks says what time it is. */
export class CertificatePair implements CertificateFileNames {
  readonly certFile: string;
  readonly keyFile: string;
  readonly #trial: CertificateTrial;
  #certificate: Certificate | undefined;
  #problem: string | undefined;
  #failures = 0;
  /** What the files were when last looked at, since when, and what is done about that. */
  #state: string | undefined;
  #since = 0;
  #isRead = false;
  #isTold = false;
  #isSettled = false;
  #toldExpiry: "soon" | "expired" | undefined;
  #toldExpiryAt = 0;

  /** @param trial What the library that serves makes of a certificate. */
  constructor({ certFile, keyFile }: CertificateFileNames, trial: CertificateTrial) {
    this.#trial = trial;
    this.certFile = certFile;
    this.keyFile = keyFile;
  }

  /** The files to look at. */
  get paths(): readonly string[] {
    return [this.certFile, this.keyFile];
  }

  /** What serves; `undefined` where the files have never been sound. */
  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** What is wrong with the files now, once it was told. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** How often the files were found broken. */
  get failures(): number {
    return this.#failures;
  }

  /** Whether the files, as they were when last looked at, need no other look. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /**
   * Looks at the files where they are new.
   *
   * Files that cannot serve are looked at again for some seconds before that is told. Files that were taken at once are
   * looked at once more, for they may have been written to since without a trace (times tick in milliseconds at best).
   *
   * @param state That of {@linkcode CertificatePair.paths}.
   * @param now In milliseconds since 1970.
   * @param atOnce Whether not to wait until the files stand still.
   * @param known What was read of the files in this state, where that has been done.
   */
  look(state: FilesState, now: number, atOnce: boolean, known?: CertificateReading): Look {
    this.#see(state, now);
    const age = now - this.#since;
    // Read again only once they stand still: ten thousand routes of one certificate are added in one go.
    if (this.#isSettled || (age < QUIET_MS && (this.#isRead || !atOnce))) return "same";
    const reading = known ?? readCertificate(this.certFile, this.keyFile, this.#trial);
    this.#isRead = true;
    this.#isSettled = age >= (reading.kind === "ok" ? QUIET_MS : GRACE_MS);
    if (reading.kind === "ok") return this.#take(reading.certificate);
    // Where there has never been a certificate its routes do not work: the first time, that does not wait.
    const isFirst = this.#certificate === undefined && this.#failures === 0;
    if (this.#isTold || (!this.#isSettled && !isFirst)) return "same";
    this.#isTold = true;
    this.#problem = reading.problems.map(({ message }) => message).join("; ");
    this.#failures++;
    return "broken";
  }

  #see({ id, changedAt }: FilesState, now: number): void {
    const isNew = id !== this.#state;
    if (!isNew && now >= this.#since) return; // else the clock was set back
    // Files that are new to us only because we have just begun may have stood still for long.
    this.#since = this.#state === undefined ? Math.min(now, changedAt) : now;
    this.#state = id;
    this.#isRead = false;
    this.#isSettled = false;
    if (isNew) this.#isTold = false;
  }

  /** Whether it is time to tell that the certificate is near its end, or past it: at once, and then once a day. */
  tellExpiry(now: number): "soon" | "expired" | undefined {
    if (this.#certificate === undefined) return undefined;
    const expiry = expiryOf(this.#certificate, new Date(now));
    if (expiry === "later") return undefined;
    if (expiry === this.#toldExpiry && now - this.#toldExpiryAt < DAY_MS) return undefined;
    this.#toldExpiry = expiry;
    this.#toldExpiryAt = now;
    return expiry;
  }

  #take(certificate: Certificate): Look {
    const before = this.#certificate;
    const wasBroken = this.#problem !== undefined;
    this.#problem = undefined;
    if (before?.cert === certificate.cert && before.key === certificate.key) return wasBroken ? "recovered" : "same";
    this.#certificate = certificate;
    this.#toldExpiry = undefined;
    return "renewed";
  }
}
