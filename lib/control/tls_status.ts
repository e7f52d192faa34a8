/**
 * What TLS is spoken with, as it is told to people and to programs.
 *
 * @module
 */

import type { TlsLibrary } from "../edge/tls_library.ts";
import type { TlsSettings } from "../edge/tls_settings.ts";
import { isPostQuantum } from "../wire/supported_groups.ts";

/** See the module. */
export interface TlsStatus {
  /** Its name and version: `OpenSSL 3.0.19 27 Jan 2026`. */
  readonly library: string;
  /** The file that it was loaded from; `""` where it is part of the runtime. */
  readonly path: string;
  /** The oldest version that is spoken: `1.2` or `1.3`. */
  readonly minVersion: string;
  /** In order of preference. */
  readonly groups: readonly string[];
}

/** What is told of a library and its settings. */
export function tlsStatus({ name, path, groups }: TlsLibrary, { minVersion }: TlsSettings): TlsStatus {
  return { library: name, path, minVersion, groups };
}

/** What is to be said of a library without a post-quantum group, where nobody chose the groups. */
export function postQuantumWarning(status: TlsStatus, { groups }: TlsSettings): string | undefined {
  if (groups.length > 0 || hasPostQuantum(status)) return undefined;
  return `${status.library} has no post-quantum group such as X25519MLKEM768: who records connections today may read ` +
    'them one day; name OpenSSL 3.5 or newer in proxy.libssl, or set engine = "portable"';
}

/** Whether it agrees on keys that withstand an attacker who records today and has a quantum computer later. */
export function hasPostQuantum({ groups }: Pick<TlsStatus, "groups">): boolean {
  return groups.some(isPostQuantum);
}
