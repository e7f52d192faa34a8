/**
 * TLS as a client, from OpenSSL's libssl: what HAProxy and nginx bring along anyway, and cheaper than TLS of the
 * runtime's own. Linux only; it shares no code with the proxy, as the rest of the measuring instrument.
 *
 * @module
 */

import { RESET, setNonBlocking, WOULD_BLOCK } from "./libc.ts";
import {
  cString,
  NID_X25519,
  SSL_CALLS,
  SSL_CTRL_GET_NEGOTIATED_GROUP,
  SSL_CTRL_SET_GROUPS_LIST,
  SSL_CTRL_SET_MIN_PROTO_VERSION,
  SSL_CTRL_SET_TLSEXT_HOSTNAME,
  SSL_ERROR_SYSCALL,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_ZERO_RETURN,
  TLS1_3_VERSION,
  TLS_CIPHER,
  TLS_GROUP,
} from "./tls_settings.ts";

const { symbols: libssl } = Deno.dlopen("libssl.so.3", {
  ...SSL_CALLS,
  TLS_client_method: { parameters: [], result: "pointer" },
  SSL_CTX_set_alpn_protos: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
  SSL_ctrl: { parameters: ["pointer", "i32", "i32", "buffer"], result: "i32" },
  SSL_connect: { parameters: ["pointer"], result: "i32" },
  SSL_get_version: { parameters: ["pointer"], result: "pointer" },
  SSL_get_current_cipher: { parameters: ["pointer"], result: "pointer" },
  SSL_CIPHER_get_name: { parameters: ["pointer"], result: "pointer" },
  SSL_session_reused: { parameters: ["pointer"], result: "i32" },
});

/** What all connections of a client have in common: TLS 1.3 with one cipher and one group, so that no server chooses. */
export class TlsContext {
  readonly #context = libssl.SSL_CTX_new(libssl.TLS_client_method());
  readonly #serverName: Uint8Array<ArrayBuffer>;

  /** @param protocol The only one that is offered, `h2` or `http/1.1`. */
  constructor(serverName: string, protocol: string) {
    this.#serverName = cString(serverName);
    const alpn = new TextEncoder().encode(`${String.fromCharCode(protocol.length)}${protocol}`);
    const done = libssl.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, null) === 1 &&
      libssl.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_GROUPS_LIST, 0, cString(TLS_GROUP)) === 1 &&
      libssl.SSL_CTX_set_ciphersuites(this.#context, cString(TLS_CIPHER)) === 1 &&
      libssl.SSL_CTX_set_alpn_protos(this.#context, alpn, alpn.length) === 0;
    if (!done) throw new Error("libssl does not take its settings");
  }

  /** TLS over a connection that is open; the handshake is whole, and made anew, never resumed. */
  connect(fd: number): TlsConnection {
    const ssl = libssl.SSL_new(this.#context);
    if (ssl === null) throw new Error("SSL_new failed");
    setNonBlocking(fd);
    libssl.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, this.#serverName); // 0: TLSEXT_NAMETYPE_host_name
    libssl.SSL_set_fd(ssl, fd);
    return new TlsConnection(ssl);
  }
}

/** See the module. The certificate of the peer is not verified: it is the benchmark's own. */
export class TlsConnection {
  readonly #ssl: Deno.PointerObject;

  constructor(ssl: Deno.PointerObject) {
    this.#ssl = ssl;
  }

  /** Goes on with the handshake as far as it goes. @returns Whether it is done. */
  handshake(): boolean {
    const result = libssl.SSL_connect(this.#ssl);
    if (result === 1) return true;
    if (libssl.SSL_get_error(this.#ssl, result) !== SSL_ERROR_WANT_READ) throw new Error("the TLS handshake failed");
    return false;
  }

  /** What the handshake, which is done, has led to: as TLS_EXPECTED of tls_settings.ts has it, if all is well. */
  describe(): string {
    const group = libssl.SSL_ctrl(this.#ssl, SSL_CTRL_GET_NEGOTIATED_GROUP, 0, null);
    return [
      text(libssl.SSL_get_version(this.#ssl)),
      group === NID_X25519 ? TLS_GROUP : `group ${group}`,
      text(libssl.SSL_CIPHER_get_name(libssl.SSL_get_current_cipher(this.#ssl))),
      libssl.SSL_session_reused(this.#ssl) === 0 ? "not resumed" : "resumed",
    ].join(", ");
  }

  /** Reads what is there into `buffer`: how many bytes, 0 at the end of the stream; one record at a time. */
  read(buffer: Uint8Array<ArrayBuffer>): number {
    const result = libssl.SSL_read(this.#ssl, buffer, buffer.length);
    if (result > 0) return result;
    switch (libssl.SSL_get_error(this.#ssl, result)) {
      case SSL_ERROR_WANT_READ:
        return WOULD_BLOCK;
      case SSL_ERROR_ZERO_RETURN:
        return 0;
      case SSL_ERROR_SYSCALL:
        return RESET;
      default:
        throw new Error("the proxy broke a rule of TLS");
    }
  }

  /** Writes the first `length` bytes, for which there must be room: requests are small. */
  write(bytes: Uint8Array<ArrayBuffer>, length = bytes.length): void {
    if (libssl.SSL_write(this.#ssl, bytes, length) !== length) throw new Error("a request did not go out whole");
  }

  /** Gives its memory back; the descriptor is left alone. */
  free(): void {
    libssl.SSL_free(this.#ssl);
  }
}

function text(pointer: Deno.PointerValue): string {
  return pointer === null ? "unknown" : Deno.UnsafePointerView.getCString(pointer);
}
