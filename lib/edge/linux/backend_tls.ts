/**
 * TLS to the backends of a worker: whom it trusts, and what it goes on from.
 *
 * @module
 */

import { isPinAlone } from "../http/backend/pins.ts";
import type { TlsSettings } from "../tls_settings.ts";
import { ClientContext, sessionOf, type TlsSession } from "./libssl/client_context.ts";
import type { Tls } from "./libssl/connection.ts";
import type { Libssl } from "./libssl/library.ts";

/** So many are kept; of more, those that were used longest ago are given up. */
const MAX_CONTEXTS = 256;
const MAX_SESSIONS = 1_024;

/** A backend as TLS knows it. */
export interface TlsPeer {
  /** PEM: who alone may vouch for it; `""`: whom the machine trusts. */
  readonly ca: string;
  /** The keys that it may have; none: any. */
  readonly pins: readonly string[];
  /** Whom its certificate must be for, unless its key alone vouches for it. */
  readonly name: string;
  /** What is offered to it. */
  readonly protocols: readonly string[];
  /** Where it is, `address port`. */
  readonly address: string;
}

/** See the module. */
export class BackendTls {
  readonly #libssl: Libssl;
  readonly #settings: TlsSettings;
  /** Of those that the machine trusts: kept for good, as to read them takes 10 to 20 ms. */
  #system: ClientContext | undefined;
  /** Of others, in the order of their last use. */
  readonly #contexts = new Map<string | undefined, ClientContext>();
  readonly #sessions = new Map<string, TlsSession>();

  constructor(libssl: Libssl, settings: TlsSettings) {
    this.#libssl = libssl;
    this.#settings = settings;
  }

  /** Reads whom the machine trusts: no connection is to wait for that. @throws {LibsslError} If it cannot be read. */
  readSystemAuthorities(): void {
    this.#context("");
  }

  /** Begins TLS on a connected socket. @throws {LibsslError} If the authorities cannot be read. */
  connect(fd: number, peer: TlsPeer): Tls {
    const { name, protocols } = peer;
    const trust = isPinAlone({ backendPins: peer.pins, backendCa: peer.ca }) ? undefined : peer.ca;
    return this.#context(trust).connect(fd, { name, protocols, session: this.#sessions.get(keyOf(peer)) });
  }

  /** Keeps what the next connection to `peer` can go on from. `tls` is about to be given up. */
  remember(tls: Tls, peer: TlsPeer): void {
    const session = sessionOf(this.#libssl, tls);
    if (session === undefined) return;
    const key = keyOf(peer);
    this.forget(peer);
    this.#sessions.set(key, session);
    if (this.#sessions.size <= MAX_SESSIONS) return;
    for (const [oldest, unused] of this.#sessions) {
      this.#sessions.delete(oldest);
      return unused.free();
    }
  }

  /** Has the next connection to `peer` begin anew. */
  forget(peer: TlsPeer): void {
    const key = keyOf(peer);
    this.#sessions.get(key)?.free();
    this.#sessions.delete(key);
  }

  #context(ca: string | undefined): ClientContext {
    if (ca === "") return this.#system ??= new ClientContext(this.#libssl, this.#settings, ca);
    const known = this.#contexts.get(ca);
    if (known !== undefined) {
      this.#contexts.delete(ca);
      this.#contexts.set(ca, known);
      return known;
    }
    const context = new ClientContext(this.#libssl, this.#settings, ca);
    this.#contexts.set(ca, context);
    if (this.#contexts.size > MAX_CONTEXTS) {
      for (const [oldest, unused] of this.#contexts) {
        this.#contexts.delete(oldest);
        unused.free();
        break;
      }
    }
    return context;
  }
}

/** A session vouches for a certificate that was verified: it is for the same name, keys, authorities and protocols alone. */
function keyOf({ ca, pins, name, protocols, address }: TlsPeer): string {
  return `${address}\n${name}\n${protocols.join()}\n${pins.join()}\n${ca}`;
}
