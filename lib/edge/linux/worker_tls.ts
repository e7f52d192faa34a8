/**
 * The TLS of a worker. The library is loaded when the first connection wants it.
 *
 * @module
 */

import type { CertificateSnapshot } from "../snapshot.ts";
import type { TicketKey } from "../ticket_key.ts";
import type { TlsSettings } from "../tls_settings.ts";
import { BackendTls } from "./backend_tls.ts";
import { LibsslError, loadLibssl } from "./libssl/library.ts";
import { ServerContext, ServerTls } from "./libssl/server_context.ts";
import { TicketKeys } from "./libssl/ticket_keys.ts";

/** See the module. */
export class WorkerTls {
  readonly #settings: TlsSettings;
  #ticketKeys: readonly TicketKey[];
  #server: ServerTls | undefined;
  #backends: BackendTls | undefined;

  constructor(settings: TlsSettings, ticketKeys: readonly TicketKey[]) {
    this.#settings = settings;
    this.#ticketKeys = ticketKeys;
  }

  /** TLS to backends. @throws {LibsslError} If the library cannot be loaded. */
  get backends(): BackendTls {
    return this.#backends ??= new BackendTls(loadLibssl(this.#settings.libssl), this.#settings);
  }

  /**
   * Gets ready for backends whom the machine's authorities vouch for: no connection is to wait until those are read.
   * Where that fails, each dial says why.
   */
  prepareForSystemAuthorities(): void {
    try {
      this.backends.readSystemAuthorities();
    } catch (error) {
      if (!(error instanceof LibsslError)) throw error;
    }
  }

  /** Makes what clients of a certificate are served with. @throws {LibsslError} If it, or its key, is not sound. */
  serverContext(pem: CertificateSnapshot): ServerContext {
    return new ServerContext(this.#server ??= this.#makeServer(), pem);
  }

  /** Has tickets made with the first of these keys, and taken with all. */
  setTicketKeys(keys: readonly TicketKey[]): void {
    this.#ticketKeys = keys;
    this.#server?.tickets.set(keys);
  }

  #makeServer(): ServerTls {
    const libssl = loadLibssl(this.#settings.libssl);
    const tickets = new TicketKeys(libssl);
    tickets.set(this.#ticketKeys);
    return new ServerTls(libssl, this.#settings, tickets);
  }
}
