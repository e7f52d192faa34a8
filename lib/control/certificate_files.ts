/**
 * The certificates that serve, kept up to date with their files.
 *
 * @module
 */

import { stackOf } from "../edge/thrown.ts";
import { CertificatePair } from "./certificate_pair.ts";
import type { CertificateReadings } from "./certificate_readings.ts";
import { daysLeft, formatTime, listOf, renewalWarnings } from "./certificate_warnings.ts";
import type { Certificate, CertificateTrial } from "./certificates.ts";
import type { RouteConfig } from "./config_types.ts";
import { type FilesState, stateOf, stateOfSync } from "./file_state.ts";
import type { Log } from "./log.ts";

const POLL_MS = 5_000;
/** While some files have just changed. */
const SOON_MS = 1_000;
/** A pass takes 0.35 s of CPU for 10,000 certificates (measured): looking may take 2 % of a core, no more. */
const REST_FACTOR = 50;
const MAX_REST_MS = 60_000;
/** How many certificates are looked at side by side: file operations that wait take a thread each. */
const AT_ONCE = 16;

/** What of a route says which certificate it shows. */
export type CertificateUser = Pick<RouteConfig, "mode" | "hostname" | "tlsCert" | "tlsKey">;

/** What {@linkcode CertificateFiles} reports. */
export interface CertificateEvents {
  /** New connections to the routes of this certificate are to get it: a renewed one, or the first that is sound. */
  changed(name: string, certificate: Certificate): void;
}

/** What a {@linkcode CertificateFiles} works with. */
export interface CertificateFilesOptions {
  readonly log: Log;
  readonly events: CertificateEvents;
  /** What the library that serves makes of a certificate. */
  readonly trial: CertificateTrial;
  /** The time in milliseconds since 1970; by default that of this machine. */
  readonly now?: () => number;
  /** How long to rest between looks, at least; by default 5 s. */
  readonly pollMs?: number;
}

/** A route by its place. */
export interface CertifiedRoute {
  /** The listener's `addr` as configured. */
  readonly listener: string;
  readonly hostname: string;
}

/** The files of a certificate at one moment, and what they are for. */
export interface ServedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** The end of the certificate in use; `undefined` where there is none. */
  readonly notAfter: Date | undefined;
  readonly routes: readonly CertifiedRoute[];
  /** How often its files were found to be of no use. */
  readonly failures: number;
  /** Why its files are of no use at the moment; the certificate before stays in use. */
  readonly problem: string | undefined;
}

/** A certificate and its files at one moment. */
export interface CertificateStatus extends ServedCertificate {
  /** See {@linkcode certificateName}. */
  readonly name: string;
  /** The host names of its routes, without repeats. */
  readonly hostnames: readonly string[];
}

/** When the certificate of an L7 route ends. */
export interface CertificateExpiry extends CertifiedRoute {
  readonly notAfter: Date;
}

interface Entry {
  readonly name: string;
  readonly pair: CertificatePair;
  /** A route is added for the second time while it is replaced by one with the same certificate. */
  readonly routes: Map<string, { readonly route: CertifiedRoute; users: number }>;
}

interface LookOptions {
  /** Whether not to wait until the files stand still. */
  readonly atOnce: boolean;
  /** Whether the certificate is not in use yet, so that nobody need be told of it. */
  readonly isNew?: boolean;
  readonly known?: CertificateReadings | undefined;
}

/** The certificate of an L7 route, among all others: routes with the same two files have the same. */
export function certificateName({ tlsCert, tlsKey }: Pick<RouteConfig, "tlsCert" | "tlsKey">): string {
  return JSON.stringify([tlsCert, tlsKey]);
}

/**
 * The certificates of all L7 routes.
 *
 * Their files are asked every few seconds whether they have changed: that finds what notifications of the kernel do not
 * tell or tell of other files, the switch of a link to a folder (certbot, Kubernetes), a network file system, a
 * permission given back. Nothing is ever half-changed: until certificate and key are sound and match, the ones before
 * stay in use.
 */
export class CertificateFiles {
  readonly #log: Log;
  readonly #events: CertificateEvents;
  readonly #trial: CertificateTrial;
  readonly #now: () => number;
  readonly #pollMs: number;
  readonly #entries = new Map<string, Entry>();
  #reloads = 0;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOpen = false;
  /** The end of the last pass that was asked for. */
  #last: Promise<void> = Promise.resolve();

  constructor({ log, events, trial, now = Date.now, pollMs = POLL_MS }: CertificateFilesOptions) {
    this.#log = log;
    this.#events = events;
    this.#trial = trial;
    this.#now = now;
    this.#pollMs = pollMs;
  }

  /** How often, of all certificates so far, a new one was taken, and files were found to be of no use. */
  get counts(): { readonly reloads: number; readonly failures: number } {
    return { reloads: this.#reloads, failures: this.#failures };
  }

  /**
   * Adds a route; others than of L7 are passed over. The files are read here and now where they are not known, or not as
   * they are; {@linkcode CertificateFiles.current} then has the certificate, of which no event tells. That they are of no
   * use is logged: the route then has none until they are.
   *
   * @param known Certificates that have just been read: one whose files have not changed since is taken from there.
   */
  add(route: CertificateUser, listener: string, known?: CertificateReadings): void {
    if (route.mode !== "l7") return;
    const name = certificateName(route);
    const existing = this.#entries.get(name);
    const entry = existing ?? this.#newEntry(name, route);
    const { hostname } = route;
    const key = routeKey(listener, hostname);
    const user = entry.routes.get(key);
    if (user === undefined) entry.routes.set(key, { route: { listener, hostname }, users: 1 });
    else user.users++;
    this.#look(entry, stateOfSync(entry.pair.paths), { atOnce: true, isNew: existing === undefined, known });
  }

  /** Takes a route away, as it was added; with the last one of its certificate that is forgotten: returns whether it was. */
  remove(route: CertificateUser, listener: string): boolean {
    const entry = this.#entries.get(certificateName(route));
    if (route.mode !== "l7" || entry === undefined) return false;
    const key = routeKey(listener, route.hostname);
    const user = entry.routes.get(key);
    if (user !== undefined && --user.users === 0) entry.routes.delete(key);
    return entry.routes.size === 0 && this.#entries.delete(entry.name);
  }

  /** The certificate that serves a route; `undefined` where its files have never been sound. */
  current(route: CertificateUser): Certificate | undefined {
    return this.#entries.get(certificateName(route))?.pair.certificate;
  }

  /** Every certificate that some route has, in the order in which they were added. */
  status(): CertificateStatus[] {
    return this.#entries.values().map((entry) => ({
      name: entry.name,
      certFile: entry.pair.certFile,
      keyFile: entry.pair.keyFile,
      notAfter: entry.pair.certificate?.notAfter,
      routes: routesOf(entry),
      hostnames: hostnamesOf(entry),
      failures: entry.pair.failures,
      problem: entry.pair.problem,
    })).toArray();
  }

  /** When the certificate of each L7 route ends; those without a sound one are left out. */
  expiries(): CertificateExpiry[] {
    return this.#entries.values().toArray().flatMap((entry) => {
      const { certificate } = entry.pair;
      return certificate === undefined
        ? []
        : routesOf(entry).map((route) => ({ ...route, notAfter: certificate.notAfter }));
    });
  }

  /** Looks at all files again and again, until {@linkcode CertificateFiles.close}. */
  start(): void {
    this.#isOpen = true;
    this.#pollIn(this.#pollMs);
  }

  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  /** Looks at all files now, and takes at once what is new and sound: whoever asks has written it. */
  check(): Promise<void> {
    return this.#pass(true);
  }

  /** Looks at all files, as the timer does: what has just changed must stand still for a second. */
  poll(): Promise<void> {
    return this.#pass(false);
  }

  #newEntry(name: string, { tlsCert: certFile, tlsKey: keyFile }: CertificateUser): Entry {
    const entry: Entry = { name, pair: new CertificatePair({ certFile, keyFile }, this.#trial), routes: new Map() };
    this.#entries.set(name, entry);
    return entry;
  }

  #pollIn(ms: number): void {
    if (!this.#isOpen) return;
    this.#timer = setTimeout(async () => {
      const start = performance.now();
      await this.poll().catch((thrown) =>
        this.#log.error("internal_error", { method: "certificates", stack: stackOf(thrown) })
      );
      const restMs = Math.min(MAX_REST_MS, REST_FACTOR * (performance.now() - start));
      const isSettled = this.#entries.values().every(({ pair }) => pair.isSettled);
      this.#pollIn(Math.max(isSettled ? this.#pollMs : Math.min(this.#pollMs, SOON_MS), restMs));
    }, ms);
  }

  /** One pass after the other, so that none overtakes another with an older state of a file. */
  #pass(atOnce: boolean): Promise<void> {
    const pass = this.#last.then(async () => {
      const entries = [...this.#entries.values()];
      for (let i = 0; i < entries.length; i += AT_ONCE) await this.#passBy(entries.slice(i, i + AT_ONCE), atOnce);
    });
    this.#last = pass.catch(() => {}); // whoever asked for it is told
    return pass;
  }

  async #passBy(entries: readonly Entry[], atOnce: boolean): Promise<void> {
    const states = await Promise.all(entries.map(({ pair }) => stateOf(pair.paths)));
    for (const [i, entry] of entries.entries()) {
      const state = states[i];
      if (state === undefined || this.#entries.get(entry.name) !== entry) continue; // it was removed meanwhile
      this.#look(entry, state, { atOnce });
      this.#tellExpiry(entry);
    }
  }

  #look(entry: Entry, state: FilesState, { atOnce, isNew = false, known }: LookOptions): void {
    const { name, pair } = entry;
    const look = pair.look(state, this.#now(), atOnce, known?.of(pair, state));
    if (look === "same") return;
    const { certificate, certFile, problem } = pair;
    const about = { path: certFile, hostnames: listOf(hostnamesOf(entry)) };
    if (look === "broken") {
      this.#failures++;
      const message = certificate ? "the one before stays in use" : "its routes refuse connections until it is sound";
      this.#log.error("certificate_reload_failed", { ...about, error: problem ?? "", message });
    } else if (look === "recovered") {
      this.#log.info("certificate_recovered", about);
    } else if (certificate !== undefined && !isNew) {
      this.#reloads++;
      this.#log.info("certificate_reloaded", { ...about, not_after: formatTime(certificate.notAfter) });
      this.#warn(entry, certificate);
      this.#events.changed(name, certificate);
    }
  }

  /** Says once what clients will not like about a certificate that has just been taken into use. */
  #warn(entry: Entry, certificate: Certificate): void {
    const hostnames = hostnamesOf(entry);
    const warnings = renewalWarnings(hostnames, certificate, new Date(this.#now()));
    if (warnings.length === 0) return;
    const about = { path: entry.pair.certFile, hostnames: listOf(hostnames) };
    this.#log.warn("certificate_warning", { ...about, message: warnings.join("; ") });
  }

  #tellExpiry(entry: Entry): void {
    const { pair } = entry;
    const now = this.#now();
    const expiry = pair.tellExpiry(now);
    if (expiry === undefined || pair.certificate === undefined) return;
    const { notAfter } = pair.certificate;
    const about = { path: pair.certFile, not_after: formatTime(notAfter), hostnames: listOf(hostnamesOf(entry)) };
    if (expiry === "expired") this.#log.error("certificate_expired", about);
    else this.#log.warn("certificate_expires_soon", { ...about, left: daysLeft(pair.certificate, new Date(now)) });
  }
}

function routeKey(listener: string, hostname: string): string {
  return `${listener} ${hostname}`; // there is no space in either
}

function routesOf({ routes }: Entry): CertifiedRoute[] {
  return routes.values().map(({ route }) => route).toArray();
}

function hostnamesOf(entry: Entry): string[] {
  return [...new Set(routesOf(entry).map(({ hostname }) => hostname))];
}
