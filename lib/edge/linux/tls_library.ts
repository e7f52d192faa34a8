/**
 * The control plane's own libssl: it finds what is wrong with settings and certificates before a worker does.
 *
 * @module
 */

import { groupName } from "../../wire/supported_groups.ts";
import type { CertificateSnapshot } from "../snapshot.ts";
import type { CertificateProblem, TlsLibrary } from "../tls_library.ts";
import { DEFAULT_TLS, TLS12_CIPHERS, TLS13_CIPHERS, type TlsSettings } from "../tls_settings.ts";
import { useCertificates, useKey } from "./libssl/certificate.ts";
import { groupsOf } from "./libssl/client_hello.ts";
import { Context, SettingError } from "./libssl/context.ts";
import { type Libssl, LibsslError, loadLibssl } from "./libssl/library.ts";

/** A setting that the library does not take. */
export interface SettingProblem {
  /** Of `[proxy]`: `tls_groups[1]`. */
  readonly key: string;
  /** What is wrong, and what would be right. */
  readonly message: string;
}

/** A library that can be used with its settings, or what of these it does not take. */
export type LibraryReading =
  | { readonly kind: "ok"; readonly library: TlsLibrary }
  | { readonly kind: "wrong"; readonly problems: readonly SettingProblem[] };

/**
 * Loads the library of the settings, and has it take them.
 *
 * @throws {LibsslError} If there is none that can be used.
 */
export function readLibrary(settings: TlsSettings): LibraryReading {
  const libssl = loadLibssl(settings.libssl);
  const problems = settingProblems(libssl, settings);
  if (problems.length > 0) return { kind: "wrong", problems };
  const library: TlsLibrary = {
    name: libssl.version,
    path: libssl.path,
    groups: withContext(libssl, "client", settings, groupsOf).map(groupName),
    certificateProblem: (certificate) => certificateProblem(libssl, settings, certificate),
  };
  return { kind: "ok", library };
}

function settingProblems(libssl: Libssl, settings: TlsSettings): SettingProblem[] {
  const { groups, ciphers } = settings;
  const problems = withContext(libssl, "client", DEFAULT_TLS, (context) => [
    ...groups.flatMap((name, i) => {
      const said = context.setGroups([name]);
      const message = `${libssl.version} has no group "${name}" (${said}); use some of ${defaultGroups(libssl)}`;
      return said === undefined ? [] : [{ key: `tls_groups[${i}]`, message }];
    }),
    ...ciphers.flatMap((name, i) => {
      const said = context.setCiphers([name]);
      const known = [...TLS13_CIPHERS, ...TLS12_CIPHERS].filter((other) => context.setCiphers([other]) === undefined);
      const message = `${libssl.version} has no cipher "${name}" (${said}); use some of ${known.join(", ")}`;
      return said === undefined ? [] : [{ key: `tls_ciphers[${i}]`, message }];
    }),
  ]);
  if (problems.length > 0) return problems;
  try {
    withContext(libssl, "server", settings, () => {});
    return [];
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    const remedy = "is a group there twice, under two of its names, or does openssl.cnf forbid it?";
    return [{ key: error.key, message: `${error.message}; ${remedy}` }];
  }
}

function defaultGroups(libssl: Libssl): string {
  return withContext(libssl, "client", DEFAULT_TLS, groupsOf).map(groupName).join(", ");
}

/** Makes what a worker makes of a certificate; it is gone afterwards. */
function certificateProblem(
  libssl: Libssl,
  settings: TlsSettings,
  { cert, key }: CertificateSnapshot,
): CertificateProblem | undefined {
  return withContext(libssl, "server", settings, (context) => {
    const reasonOf = (use: () => void) => {
      try {
        use();
        return undefined;
      } catch (error) {
        if (error instanceof LibsslError) return `${libssl.version} does not take it: ${error.message}`;
        throw error;
      }
    };
    const certificate = reasonOf(() => useCertificates(context, cert));
    if (certificate !== undefined) return { of: "certificate", reason: certificate };
    const itsKey = reasonOf(() => useKey(context, key));
    return itsKey === undefined ? undefined : { of: "key", reason: itsKey };
  });
}

function withContext<T>(
  libssl: Libssl,
  method: "server" | "client",
  settings: TlsSettings,
  use: (context: Context) => T,
): T {
  const context = new Context(libssl, method, settings);
  try {
    return use(context);
  } finally {
    context.free();
  }
}
