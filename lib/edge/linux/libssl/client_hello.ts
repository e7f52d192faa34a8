/**
 * What a context really has to offer. That depends on more than its settings and the version of the library: on
 * `openssl.cnf`, the policy of the distribution, a FIPS provider. So the library is asked for a ClientHello.
 *
 * @module
 */

import { supportedGroups } from "../../../wire/supported_groups.ts";
import type { Context } from "./context.ts";
import { LibsslError, takeError } from "./library.ts";

const RECORD_HEADER = 5;
/** More than a ClientHello takes whose key shares are post-quantum. */
const MAX_BYTES = 16 * 1024;

/**
 * The groups that a context agrees on keys with: a server's are those of a client of the same settings.
 *
 * @param context Of a client.
 * @returns Their numbers, in the order of preference.
 * @throws {LibsslError} If there can be no ClientHello.
 */
export function groupsOf(context: Context): number[] {
  const hello = clientHello(context);
  return supportedGroups(hello.subarray(RECORD_HEADER));
}

/** @returns The record of a ClientHello. */
function clientHello({ libssl, pointer }: Context): Uint8Array {
  const { functions } = libssl;
  const ssl = functions.SSL_new(pointer);
  const [input, output] = [functions.BIO_new(functions.BIO_s_mem()), functions.BIO_new(functions.BIO_s_mem())];
  if (ssl === null || input === null || output === null) throw new LibsslError(takeError(libssl));
  functions.SSL_set_bio(ssl, input, output); // which owns them from now on
  functions.SSL_set_connect_state(ssl);
  functions.SSL_do_handshake(ssl); // it waits for an answer that never comes
  const bytes = new Uint8Array(new ArrayBuffer(MAX_BYTES));
  const length = functions.BIO_read(output, bytes, bytes.length);
  const reason = takeError(libssl);
  functions.SSL_free(ssl);
  if (length <= RECORD_HEADER) throw new LibsslError(`no ClientHello: ${reason}`);
  return bytes.subarray(0, length);
}
