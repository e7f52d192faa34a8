/**
 * TLS as a client, of backends whom the same authorities vouch for.
 *
 * @module
 */

import { parseIpAddress } from "../../../wire/ip_address.ts";
import type { TlsSettings } from "../../tls_settings.ts";
import { alpnList, Tls } from "./connection.ts";
import { eachCertificate } from "./certificate.ts";
import { Context } from "./context.ts";
import { cString, type Libssl, LibsslError, type Pointer, takeError } from "./library.ts";

const SSL_VERIFY_NONE = 0;
const SSL_VERIFY_PEER = 1;
const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
const TLSEXT_NAMETYPE_HOST_NAME = 0n;
/** Each certificate of `backend_ca` is an authority, whether it has signed itself or was signed by another. */
const X509_V_FLAG_PARTIAL_CHAIN = 0x80000n;
const SENT_AND_RECEIVED_SHUTDOWN = 3;
/** `*` stands for a whole label alone (RFC 6125 §6.4.3). */
const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 4;

/** What a connection to a backend has of its own. */
export interface ClientOptions {
  /** Whom the certificate must be for: a host name, which is also sent as SNI, or an IP address, which is not. */
  readonly name: string;
  readonly protocols: readonly string[];
  /** To go on from. */
  readonly session: TlsSession | undefined;
}

/** What a later connection can go on from. Given up with `free`. */
export class TlsSession {
  readonly #libssl: Libssl;
  readonly pointer: Pointer;

  constructor(libssl: Libssl, pointer: Pointer) {
    this.#libssl = libssl;
    this.pointer = pointer;
  }

  free(): void {
    this.#libssl.functions.SSL_SESSION_free(this.pointer);
  }
}

/** See the module. */
export class ClientContext {
  readonly #libssl: Libssl;
  readonly #context: Context;

  /**
   * @param ca PEM: who alone may vouch for the backends; `""`: whom the machine trusts; `undefined`: nobody, and whoever
   * connects compares {@linkcode Tls.peerPin} with the keys that it knows before it sends anything.
   * @throws {LibsslError} If the certificates are not sound, or the settings are not taken.
   */
  constructor(libssl: Libssl, settings: TlsSettings, ca: string | undefined) {
    this.#libssl = libssl;
    this.#context = new Context(libssl, "client", settings);
    try {
      libssl.functions.SSL_CTX_set_verify(
        this.#context.pointer,
        ca === undefined ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
        null,
      );
      if (ca === "") this.#trustSystem();
      else if (ca !== undefined) this.#trustOnly(ca);
      libssl.functions.ERR_clear_error(); // what was tried in vain on the way
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Begins TLS on a connected socket. */
  connect(fd: number, { name, protocols, session }: ClientOptions): Tls {
    const { functions } = this.#libssl;
    const ssl = functions.SSL_new(this.#context.pointer);
    if (ssl === null) throw new LibsslError(takeError(this.#libssl));
    const tls = new Tls(this.#libssl, ssl);
    const list = alpnList(protocols);
    const isReady = functions.SSL_set_fd(ssl, fd) === 1 && this.#expect(ssl, name) &&
      functions.SSL_set_alpn_protos(ssl, list, list.length) === 0;
    if (!isReady) {
      tls.free();
      throw new LibsslError(takeError(this.#libssl));
    }
    if (session !== undefined && functions.SSL_set_session(ssl, session.pointer) !== 1) functions.ERR_clear_error();
    functions.SSL_set_connect_state(ssl);
    return tls;
  }

  free(): void {
    this.#context.free();
  }

  /** Whom the certificate must be for. A server name is never an address (RFC 6066 §3). */
  #expect(ssl: Pointer, name: string): boolean {
    const { functions } = this.#libssl;
    const param = functions.SSL_get0_param(ssl);
    if (parseIpAddress(name) !== undefined) {
      return functions.X509_VERIFY_PARAM_set1_ip_asc(param, cString(name)) === 1;
    }
    functions.X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const host = cString(name);
    return functions.SSL_set1_host(ssl, host) === 1 &&
      functions.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_HOST_NAME, host) === 1n;
  }

  #trustOnly(ca: string): void {
    const { functions } = this.#libssl;
    const store = functions.SSL_CTX_get_cert_store(this.#context.pointer);
    const count = eachCertificate(
      this.#libssl,
      ca,
      (certificate) => functions.X509_STORE_add_cert(store, certificate) === 1,
    );
    if (count === 0) throw new LibsslError("there is no certificate in backend_ca");
    const param = functions.SSL_CTX_get0_param(this.#context.pointer);
    functions.X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  }

  /** A library of its own build looks for them where it was to be installed, so the usual places are named to it. */
  #trustSystem(): void {
    const { functions } = this.#libssl;
    const { pointer } = this.#context;
    const { file, folder } = systemAuthorities();
    functions.SSL_CTX_set_default_verify_paths(pointer);
    if (file !== undefined && functions.SSL_CTX_load_verify_file(pointer, cString(file)) !== 1) {
      throw new LibsslError(`the authorities in ${file} cannot be read: ${takeError(this.#libssl)}`);
    }
    if (folder !== undefined) functions.SSL_CTX_load_verify_dir(pointer, cString(folder));
    functions.ERR_clear_error(); // a place that is not there
  }
}

/**
 * What the next connection to the same backend can go on from. It belongs to the caller.
 *
 * @param tls Is about to be given up, and nothing is read or written any more: OpenSSL would take back the session of a
 * connection that was not shut down, SSL_free(3).
 */
export function sessionOf(libssl: Libssl, tls: Tls): TlsSession | undefined {
  const { functions } = libssl;
  functions.SSL_set_shutdown(tls.pointer, SENT_AND_RECEIVED_SHUTDOWN);
  const pointer = functions.SSL_get1_session(tls.pointer);
  if (pointer === null) return undefined;
  const session = new TlsSession(libssl, pointer);
  if (functions.SSL_SESSION_is_resumable(pointer) === 1) return session;
  session.free();
  return undefined;
}

/** Where distributions keep the authorities that the machine trusts, as Go's crypto/x509 knows them. */
const FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

function systemAuthorities(): { file: string | undefined; folder: string | undefined } {
  const file = Deno.env.get("SSL_CERT_FILE");
  const folder = Deno.env.get("SSL_CERT_DIR");
  if (file !== undefined || folder !== undefined) return { file, folder };
  return { file: FILES.find(isThere), folder: undefined };
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
