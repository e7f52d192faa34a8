/**
 * The TLS of the runtime, as the control plane sees it.
 *
 * @module
 */

import type { TlsLibrary } from "../tls_library.ts";

/** See the module. It is what it is: of its settings, only the least version can be chosen. */
export const RUNTIME_TLS: TlsLibrary = {
  name: `rustls of Deno ${Deno.version.deno}`,
  path: "",
  groups: ["X25519", "secp256r1", "secp384r1", "X25519MLKEM768"],
  certificateProblem: () => undefined,
};
