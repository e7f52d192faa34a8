/**
 * A libssl that counts what of OpenSSL's is held.
 *
 * @module
 */

import type { Libssl, LibsslFunctions } from "../libssl/library.ts";

/** What is made with the one function is given up with the other. */
export const PAIRS = {
  SSL_new: "SSL_free",
  SSL_CTX_new: "SSL_CTX_free",
  SSL_get1_session: "SSL_SESSION_free",
  BIO_new_mem_buf: "BIO_free",
  PEM_read_bio_X509: "X509_free",
  PEM_read_bio_PrivateKey: "EVP_PKEY_free",
} as const;

/** How many there are of what each function makes. */
export type Held = Record<keyof typeof PAIRS, number>;

/** Nothing. */
export const NONE: Held = {
  SSL_new: 0,
  SSL_CTX_new: 0,
  SSL_get1_session: 0,
  BIO_new_mem_buf: 0,
  PEM_read_bio_X509: 0,
  PEM_read_bio_PrivateKey: 0,
};

/** A library that counts what is made and not given up yet, and all that was made; a null is neither. */
export function counting(libssl: Libssl): { readonly libssl: Libssl; readonly held: Held; readonly made: Held } {
  const [held, all] = [{ ...NONE }, { ...NONE }];
  const functions: Record<string, unknown> = { ...libssl.functions };
  for (const make of Object.keys(PAIRS) as (keyof typeof PAIRS)[]) {
    const free = PAIRS[make];
    const [made, freed] = [functions[make], functions[free]];
    if (typeof made !== "function" || typeof freed !== "function") throw new TypeError(make);
    functions[make] = (...args: unknown[]) => {
      const result: unknown = Reflect.apply(made, undefined, args);
      if (result === null) return result;
      held[make]++;
      all[make]++;
      return result;
    };
    functions[free] = (...args: unknown[]) => {
      held[make]--;
      return Reflect.apply(freed, undefined, args);
    };
  }
  return { libssl: { ...libssl, functions: functions as unknown as LibsslFunctions }, held, made: all };
}
