/**
 * Certificates and keys from PEM, and how a context serves with them.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { cString, type Libssl, LibsslError, type Pointer, takeError } from "./library.ts";

const SSL_CTRL_CHAIN_CERT = 89;
/** The context takes a reference of its own. */
const ADD_REFERENCE = 1n;

/**
 * Has a context show a chain, the server's own certificate first.
 *
 * @throws {LibsslError} If the library does not take one of them: its key is too weak, its signature too old.
 */
export function useCertificates({ libssl, pointer }: Context, pem: string): void {
  const { functions } = libssl;
  const count = eachCertificate(
    libssl,
    pem,
    (certificate, index) =>
      index === 0
        ? functions.SSL_CTX_use_certificate(pointer, certificate) === 1
        : functions.SSL_CTX_ctrl_pointer(pointer, SSL_CTRL_CHAIN_CERT, ADD_REFERENCE, certificate) === 1n,
  );
  if (count === 0) throw new LibsslError("there is no certificate in it");
}

/**
 * Has a context sign with a key: that of the certificate that it has been given.
 *
 * @throws {LibsslError} If it cannot be read, or belongs to another certificate.
 */
export function useKey({ libssl, pointer }: Context, pem: string): void {
  const { functions } = libssl;
  const key = withBio(libssl, pem, (bio) => functions.PEM_read_bio_PrivateKey(bio, null, null, NO_PASSPHRASE));
  if (key === null) throw new LibsslError(`the private key cannot be read: ${takeError(libssl)}`);
  const isUsed = functions.SSL_CTX_use_PrivateKey(pointer, key) === 1;
  functions.EVP_PKEY_free(key);
  if (!isUsed || functions.SSL_CTX_check_private_key(pointer) !== 1) {
    throw new LibsslError(`the private key cannot be used: ${takeError(libssl)}`);
  }
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

const SHA256_LENGTH = 32;

/** The pin of a certificate's public key: the SHA-256 of its SubjectPublicKeyInfo, `sha256/BASE64`. @throws {LibsslError} If it cannot be written down. */
export function pinOf(libssl: Libssl, certificate: Pointer): string {
  const { functions } = libssl;
  const key = functions.X509_get_X509_PUBKEY(certificate);
  const length = functions.i2d_X509_PUBKEY(key, null);
  if (length <= 0) throw new LibsslError(takeError(libssl));
  const der = new Uint8Array(new ArrayBuffer(length));
  const at = new BigUint64Array(new ArrayBuffer(8));
  at[0] = Deno.UnsafePointer.value(Deno.UnsafePointer.of(der)); // which is moved on behind what was written
  if (functions.i2d_X509_PUBKEY(key, at) !== length) throw new LibsslError(takeError(libssl));
  const digest = new Uint8Array(new ArrayBuffer(SHA256_LENGTH));
  functions.SHA256(der, length, digest);
  return `sha256/${digest.toBase64()}`;
}

/** An error code is `library << 23 | reason`, ERR_GET_LIB(3): ERR_LIB_PEM and PEM_R_NO_START_LINE. */
const PEM_NO_START_LINE = 9n << 23n | 108n;

/** Without one, OpenSSL would ask for a passphrase on the terminal, and the thread would stand still: pem_password_cb(3). */
const NO_PASSPHRASE = cString("");

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
