/**
 * One TLS connection on a socket: `SSL`, ssl(7).
 *
 * @module
 */

import type { HttpProtocol } from "../../engine.ts";
import { pinOf } from "./certificate.ts";
import { cString, type Libssl, type LibsslFunctions, type Pointer, takeError, textAt } from "./library.ts";

// What SSL_get_error(3) gives.
const SSL_ERROR_SSL = 1;
const SSL_ERROR_WANT_READ = 2;
const SSL_ERROR_WANT_WRITE = 3;
const SSL_ERROR_SYSCALL = 5;
const SSL_ERROR_ZERO_RETURN = 6;

/** FIN without close_notify: ERR_LIB_SSL and SSL_R_UNEXPECTED_EOF_WHILE_READING, as ERR_GET_LIB(3) puts them together. */
const UNEXPECTED_EOF = 20n << 23n | 294n;

const X509_V_OK = 0n;

/** What a call gives in place of a number of bytes. */
export const WANT_READ = -1;
export const WANT_WRITE = -2;
/** The peer sends no more. */
export const ENDED = -3;
/** There is no connection any more: {@linkcode Tls.error}. */
export const BROKEN = -4;

const protocolPointer = new BigUint64Array(new ArrayBuffer(8));
const protocolLength = new Uint32Array(new ArrayBuffer(4));

/** See the module. It is given up with {@linkcode Tls.free}, after which it must not be used; the socket stays open. */
export class Tls {
  readonly #libssl: Libssl;
  readonly #functions: LibsslFunctions;
  readonly #ssl: Pointer;
  /** Why it is {@linkcode BROKEN}, in OpenSSL's words. */
  error = "";
  /** Whether there is nobody to send anything to: the peer is gone, or the connection is broken. */
  isGone = false;

  /** @param ssl Becomes this object's own. */
  constructor(libssl: Libssl, ssl: Pointer) {
    this.#libssl = libssl;
    this.#functions = libssl.functions;
    this.#ssl = ssl;
  }

  /** The connection itself, for the context that prepares it. */
  get pointer(): Pointer {
    return this.#ssl;
  }

  /** Goes on with the handshake. @returns 1 once it is done, else what it waits for, or why there is none. */
  handshake(): number {
    const result = this.#functions.SSL_do_handshake(this.#ssl);
    if (result !== 1) return this.#why(result);
    this.#functions.ERR_clear_error(); // what was tried in vain on the way
    return 1;
  }

  /** What ALPN has chosen; `""` for nothing. */
  get protocol(): HttpProtocol | "" {
    protocolLength[0] = 0;
    this.#functions.SSL_get0_alpn_selected(this.#ssl, protocolPointer, protocolLength);
    switch (protocolLength[0]) { // it is one of those that were offered
      case 2:
        return "h2";
      case 8:
        return "http/1.1";
      default:
        return "";
    }
  }

  /** Whether the handshake went on from an earlier session. */
  get isResumed(): boolean {
    return this.#functions.SSL_session_reused(this.#ssl) === 1;
  }

  /** Reads what one record has, `length` bytes at most: how many, or why none. */
  read(buffer: Uint8Array<ArrayBuffer>, length: number): number {
    const result = this.#functions.SSL_read(this.#ssl, buffer, length);
    return result > 0 ? result : this.#why(result);
  }

  /** Writes one record, of `length` bytes at most: how many, or why none. After {@linkcode WANT_WRITE} the same must follow. */
  write(bytes: Uint8Array<ArrayBuffer>, length: number): number {
    const result = this.#functions.SSL_write(this.#ssl, bytes, length);
    return result > 0 ? result : this.#why(result);
  }

  /** Whether bytes were taken from the socket that it will not tell of any more. */
  get hasPending(): boolean {
    return this.#functions.SSL_has_pending(this.#ssl) === 1;
  }

  /**
   * Says to the peer that no more comes: close_notify. Nothing may wait to be written.
   *
   * @returns {@linkcode WANT_WRITE} where there is no room for it yet, and it is to be called again; otherwise 1, also
   * where there is nobody to say it to. After that it must not be called: it would read, SSL_shutdown(3).
   */
  shutdown(): number {
    if (this.isGone) return 1;
    const result = this.#functions.SSL_shutdown(this.#ssl);
    return result < 0 && this.#why(result) === WANT_WRITE ? WANT_WRITE : 1;
  }

  /** What the verification of the peer's certificate found; `undefined` where it found nothing wrong. */
  get verifyError(): string | undefined {
    const result = this.#functions.SSL_get_verify_result(this.#ssl);
    return BigInt(result) === X509_V_OK ? undefined : textAt(this.#functions.X509_verify_cert_error_string(result));
  }

  /**
   * The public key that the peer has proved to hold, now or in the session that this one goes on from: the SHA-256 of its
   * SubjectPublicKeyInfo, as `sha256/BASE64` (RFC 7469 §2.4). `undefined` where it has shown no certificate.
   */
  get peerPin(): string | undefined {
    const certificate = this.#functions.SSL_get1_peer_certificate(this.#ssl);
    if (certificate === null) return undefined;
    try {
      return pinOf(this.#libssl, certificate);
    } finally {
      this.#functions.X509_free(certificate);
    }
  }

  free(): void {
    this.#functions.SSL_free(this.#ssl);
  }

  #why(result: number): number {
    switch (this.#functions.SSL_get_error(this.#ssl, result)) {
      case SSL_ERROR_WANT_READ:
        return WANT_READ;
      case SSL_ERROR_WANT_WRITE:
        return WANT_WRITE;
      case SSL_ERROR_ZERO_RETURN:
        return ENDED;
      case SSL_ERROR_SSL:
        return this.#broken(takeErrorUnlessEnd(this.#libssl));
      case SSL_ERROR_SYSCALL:
        this.#functions.ERR_clear_error();
        return this.#broken("the connection was reset");
      default:
        return this.#broken(takeError(this.#libssl));
    }
  }

  /** @param error `undefined` where the peer has only ended, without a word. */
  #broken(error: string | undefined): number {
    this.isGone = true;
    if (error === undefined) return ENDED;
    this.error = error;
    return BROKEN;
  }
}

function takeErrorUnlessEnd(libssl: Libssl): string | undefined {
  const { functions } = libssl;
  if (BigInt(functions.ERR_peek_error()) !== UNEXPECTED_EOF) return takeError(libssl);
  functions.ERR_clear_error();
  return undefined;
}

/** A list of protocols as ALPN has it: each behind its length (RFC 7301 §3.1). */
export function alpnList(protocols: readonly string[]): Uint8Array<ArrayBuffer> {
  const text = protocols.map((protocol) => String.fromCharCode(protocol.length) + protocol).join("");
  return cString(text).subarray(0, text.length);
}
