/**
 * What TLS connections have in common: `SSL_CTX`, SSL_CTX_new(3).
 *
 * @module
 */

import type { TlsSettings } from "../../tls_settings.ts";
import { cString, type Libssl, LibsslError, type Pointer, takeError } from "./library.ts";

// include/openssl/ssl.h, tls1.h
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const TLS1_2_VERSION = 0x0303n;
const TLS1_3_VERSION = 0x0304n;
const SSL_MODE_ENABLE_PARTIAL_WRITE = 1n;
const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2n;
/** An idle connection keeps no buffers. */
const SSL_MODE_RELEASE_BUFFERS = 0x10n;
const SSL_SESS_CACHE_OFF = 0n;
const SSL_OP_NO_COMPRESSION = 1n << 17n;
const SSL_OP_CIPHER_SERVER_PREFERENCE = 1n << 22n;
/** A client that prefers ChaCha20 has no AES in hardware. */
const SSL_OP_PRIORITIZE_CHACHA = 1n << 21n;
const SSL_OP_NO_RENEGOTIATION = 1n << 30n;

/** The cheapest first; all of them are authenticated encryption with forward secrecy. */
const TLS13_CIPHERS = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
const TLS12_CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** See the module: the settings that servers and clients share. Given up with {@linkcode Context.free}. */
export class Context {
  readonly libssl: Libssl;
  readonly pointer: Pointer;
  #isFreed = false;

  /**
   * @param method Of a server, or of a client.
   * @throws {LibsslError} If the library does not take the settings: which, and what it says.
   */
  constructor(libssl: Libssl, method: "server" | "client", settings: TlsSettings) {
    const { functions } = libssl;
    const pointer = functions.SSL_CTX_new(
      method === "server" ? functions.TLS_server_method() : functions.TLS_client_method(),
    );
    if (pointer === null) throw new LibsslError(`no context for TLS: ${takeError(libssl)}`);
    this.libssl = libssl;
    this.pointer = pointer;
    try {
      this.#set(settings);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Gives it up; connections that were made with it keep what they need. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.libssl.functions.SSL_CTX_free(this.pointer);
  }

  #set({ minVersion, groups, ciphers }: TlsSettings): void {
    const { functions } = this.libssl;
    const modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS;
    functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_MODE, modes, null);
    functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, null);
    functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_READ_AHEAD, 1n, null);
    functions.SSL_CTX_set_options(
      this.pointer,
      SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_RENEGOTIATION,
    );
    const version = minVersion === "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
    this.#must(
      functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_MIN_PROTO_VERSION, version, null),
      `tls_min_version "${minVersion}"`,
    );
    if (groups.length > 0) {
      const list = cString(groups.join(":"));
      const set = functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_GROUPS_LIST, 0n, list);
      this.#must(set, `tls_groups "${groups.join(":")}"`);
    }
    const tls13 = orElse(ciphers.filter(isTls13), TLS13_CIPHERS);
    const tls12 = orElse(ciphers.filter((name) => !isTls13(name)), TLS12_CIPHERS);
    this.#must(functions.SSL_CTX_set_ciphersuites(this.pointer, cString(tls13)), `tls_ciphers "${tls13}"`);
    this.#must(functions.SSL_CTX_set_cipher_list(this.pointer, cString(tls12)), `tls_ciphers "${tls12}"`);
  }

  #must(result: number | bigint, what: string): void {
    if (BigInt(result) === 1n) return;
    throw new LibsslError(`${this.libssl.version} does not take ${what}: ${takeError(this.libssl)}`);
  }
}

function isTls13(cipher: string): boolean {
  return cipher.startsWith("TLS_");
}

function orElse(names: readonly string[], others: readonly string[]): string {
  return (names.length > 0 ? names : others).join(":");
}

/**
 * Takes the certificates of a PEM text, one after the other, and then gives each up.
 *
 * @param take Whether it was taken; it has to keep a reference of its own.
 * @returns How many there were.
 * @throws {LibsslError} If one is not taken.
 */
export function eachCertificate(
  libssl: Libssl,
  pem: string,
  take: (certificate: Pointer, index: number) => boolean,
): number {
  const { functions } = libssl;
  return withBio(libssl, pem, (bio) => {
    let count = 0;
    for (;;) {
      const certificate = functions.PEM_read_bio_X509(bio, null, null, NO_PASSPHRASE);
      if (certificate === null) break;
      const isTaken = take(certificate, count);
      functions.X509_free(certificate);
      if (!isTaken) throw new LibsslError(`certificate ${count + 1}: ${takeError(libssl)}`);
      count++;
    }
    if (BigInt(functions.ERR_peek_error()) === PEM_NO_START_LINE) functions.ERR_clear_error(); // the end of the list
    else throw new LibsslError(`certificate ${count + 1}: ${takeError(libssl)}`);
    return count;
  });
}

/** An error code is `library << 23 | reason`, ERR_GET_LIB(3): ERR_LIB_PEM and PEM_R_NO_START_LINE. */
const PEM_NO_START_LINE = 9n << 23n | 108n;

/** Without one, OpenSSL would ask for a passphrase on the terminal, and the thread would stand still: pem_password_cb(3). */
export const NO_PASSPHRASE = cString("");

/** Reads a PEM text through a BIO. OpenSSL reads the memory itself: it stays where it is until the BIO is gone. */
export function withBio<T>(libssl: Libssl, pem: string, read: (bio: Pointer) => T): T {
  const bytes = cString(pem);
  const bio = libssl.functions.BIO_new_mem_buf(bytes, bytes.length - 1);
  if (bio === null) throw new LibsslError(takeError(libssl));
  try {
    return read(bio);
  } finally {
    libssl.functions.BIO_free(bio);
    bytes.fill(0); // it may have been a key
  }
}
