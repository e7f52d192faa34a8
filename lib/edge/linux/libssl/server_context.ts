/**
 * TLS as a server, for one certificate.
 *
 * @module
 */

import { PROTOCOLS } from "../../http/alpn.ts";
import type { ServerTlsContext } from "../../http/client_tls.ts";
import type { CertificateSnapshot } from "../../snapshot.ts";
import type { TlsSettings } from "../../tls_settings.ts";
import { alpnList, Tls } from "./connection.ts";
import { useCertificates, useKey } from "./certificate.ts";
import { Context } from "./context.ts";
import { cString, type Libssl, LibsslError, type Pointer, takeError } from "./library.ts";
import type { TicketKeys } from "./ticket_keys.ts";

const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
const OPENSSL_NPN_NEGOTIATED = 1;

/**
 * A FIN without close_notify is an end as one with it is: HTTP frames its messages itself. Otherwise OpenSSL would take it
 * for a fault, and send no more of what the client still waits for: SSL_CTX_set_options(3).
 */
const SSL_OP_IGNORE_UNEXPECTED_EOF = 1n << 7n;

/** One is enough for a client to come back; more are work that most connections have no use for. */
const TICKETS = 1n;

const SERVED = alpnList(PROTOCOLS);
/** As long as the name of a session's context may be, SSL_MAX_SID_CTX_LENGTH. */
const SHA256_LENGTH = 32;

const SELECT = {
  parameters: ["pointer", "pointer", "pointer", "pointer", "u32", "pointer"],
  result: "i32",
} as const satisfies Deno.UnsafeCallbackDefinition;

/** Chooses a protocol; where none overlaps, the handshake fails with `no_application_protocol` (RFC 7301 §3.2). */
function selectProtocol(libssl: Libssl): Deno.UnsafeCallback<typeof SELECT> {
  const { SSL_select_next_proto: select } = libssl.functions;
  return new Deno.UnsafeCallback(SELECT, (_ssl, out, outLength, offered, length) => {
    try {
      const found = select(out, outLength, SERVED, SERVED.length, offered, length);
      return found === OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    } catch {
      return SSL_TLSEXT_ERR_ALERT_FATAL; // nothing may be thrown through C, where it would be 0: SSL_TLSEXT_ERR_OK
    }
  });
}

/** What the server contexts of a worker share, for as long as it lives. */
export class ServerTls {
  readonly libssl: Libssl;
  readonly settings: TlsSettings;
  readonly tickets: TicketKeys;
  readonly #select: Deno.UnsafeCallback<typeof SELECT>;

  constructor(libssl: Libssl, settings: TlsSettings, tickets: TicketKeys) {
    this.libssl = libssl;
    this.settings = settings;
    this.tickets = tickets;
    this.#select = selectProtocol(libssl);
  }

  /** Has a context answer ALPN. */
  offerProtocols(context: Pointer): void {
    this.libssl.functions.SSL_CTX_set_alpn_select_cb(context, this.#select.pointer, null);
  }
}

/** See the module. */
export class ServerContext implements ServerTlsContext {
  readonly #libssl: Libssl;
  readonly #context: Context;

  /** @throws {LibsslError} If certificate or key is not sound, or they do not belong together. */
  constructor(tls: ServerTls, { cert, key }: CertificateSnapshot) {
    this.#libssl = tls.libssl;
    this.#context = new Context(tls.libssl, "server", tls.settings);
    try {
      useCertificates(this.#context, cert);
      useKey(this.#context, key);
      this.#nameSessions(cert);
      tls.libssl.functions.SSL_CTX_set_options(this.#context.pointer, SSL_OP_IGNORE_UNEXPECTED_EOF);
      tls.libssl.functions.SSL_CTX_set_num_tickets(this.#context.pointer, TICKETS);
      tls.offerProtocols(this.#context.pointer);
      tls.tickets.install(this.#context.pointer);
      tls.libssl.functions.ERR_clear_error(); // what was tried in vain on the way
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Begins TLS on a socket of which nothing was read. */
  accept(fd: number): Tls {
    const { functions } = this.#libssl;
    const ssl = functions.SSL_new(this.#context.pointer);
    if (ssl === null) throw new LibsslError(takeError(this.#libssl));
    const tls = new Tls(this.#libssl, ssl);
    if (functions.SSL_set_fd(ssl, fd) !== 1) {
      tls.free();
      throw new LibsslError(takeError(this.#libssl));
    }
    functions.SSL_set_accept_state(ssl);
    return tls;
  }

  free(): void {
    this.#context.free();
  }

  /**
   * A session is gone on from only under the certificate that it began with: the keys of tickets are the same for all
   * of them, and one that was replaced is to count no more.
   */
  #nameSessions(cert: string): void {
    const { functions } = this.#libssl;
    const digest = new Uint8Array(new ArrayBuffer(SHA256_LENGTH));
    const pem = cString(cert);
    functions.SHA256(pem, pem.length, digest);
    if (functions.SSL_CTX_set_session_id_context(this.#context.pointer, digest, digest.length) === 1) return;
    throw new LibsslError(takeError(this.#libssl));
  }
}
