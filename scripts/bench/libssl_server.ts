/**
 * TLS as a server, from OpenSSL's libssl: what backends that speak TLS are made of. Linux only; it shares no code with
 * the proxy, as the rest of the measuring instrument.
 *
 * @module
 */

import type { Socket } from "./http_peers.ts";
import { close, RESET, setNonBlocking, WOULD_BLOCK } from "./libc.ts";
import {
  cString,
  SSL_CALLS,
  SSL_CTRL_SET_GROUPS_LIST,
  SSL_CTRL_SET_MIN_PROTO_VERSION,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_WANT_WRITE,
  SSL_ERROR_ZERO_RETURN,
  TLS1_3_VERSION,
  TLS_CIPHER,
  TLS_GROUP,
} from "./tls_settings.ts";

const { symbols: libssl } = Deno.dlopen("libssl.so.3", {
  ...SSL_CALLS,
  TLS_server_method: { parameters: [], result: "pointer" },
  SSL_CTX_set_num_tickets: { parameters: ["pointer", "u32"], result: "i32" },
  SSL_CTX_use_certificate_chain_file: { parameters: ["pointer", "buffer"], result: "i32" },
  SSL_CTX_use_PrivateKey_file: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  SSL_CTX_set_alpn_select_cb: { parameters: ["pointer", "function", "pointer"], result: "void" },
  SSL_select_next_proto: {
    parameters: ["pointer", "pointer", "buffer", "u32", "pointer", "u32"],
    result: "i32",
  },
  SSL_set_accept_state: { parameters: ["pointer"], result: "void" },
});
const { symbols: libcrypto } = Deno.dlopen("libcrypto.so.3", {
  ERR_clear_error: { parameters: [], result: "void" },
});

const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_SESS_CACHE_OFF = 0;
/** SSL_MODE_ENABLE_PARTIAL_WRITE and SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER. */
const WRITE_MODES = 3;
const SSL_FILETYPE_PEM = 1;
const OPENSSL_NPN_NEGOTIATED = 1;
const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;

const ALPN_CALLBACK = {
  parameters: ["pointer", "pointer", "pointer", "pointer", "u32", "pointer"],
  result: "i32",
} as const;

/** What all connections to a listener have in common: TLS 1.3 with one cipher and one group, and nothing to resume. */
export class TlsServerContext {
  readonly #context = libssl.SSL_CTX_new(libssl.TLS_server_method());
  /** Kept: libssl calls it for as long as there are connections. */
  readonly #selectProtocol: Deno.UnsafeCallback<typeof ALPN_CALLBACK>;

  /**
   * @param cert A file in PEM, as is `key`.
   * @param protocol The only one that is spoken, `h2` or `http/1.1`.
   */
  constructor(cert: string, key: string, protocol: string) {
    // libssl keeps a pointer into it: an ArrayBuffer of its own is not moved, as a small array by itself may be.
    const spoken = new Uint8Array(new ArrayBuffer(1 + protocol.length));
    spoken[0] = protocol.length;
    new TextEncoder().encodeInto(protocol, spoken.subarray(1));
    this.#selectProtocol = new Deno.UnsafeCallback(
      ALPN_CALLBACK,
      (_ssl, chosen, chosenLength, offered, offeredLength) =>
        libssl.SSL_select_next_proto(chosen, chosenLength, spoken, spoken.length, offered, offeredLength) ===
            OPENSSL_NPN_NEGOTIATED
          ? SSL_TLSEXT_ERR_OK
          : SSL_TLSEXT_ERR_ALERT_FATAL,
    );
    libssl.SSL_CTX_set_alpn_select_cb(this.#context, this.#selectProtocol.pointer, null);
    libssl.SSL_CTX_ctrl(this.#context, SSL_CTRL_MODE, WRITE_MODES, null);
    libssl.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, null);
    const done = libssl.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, null) === 1 &&
      libssl.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_GROUPS_LIST, 0, cString(TLS_GROUP)) === 1 &&
      libssl.SSL_CTX_set_ciphersuites(this.#context, cString(TLS_CIPHER)) === 1 &&
      libssl.SSL_CTX_set_num_tickets(this.#context, 0) === 1;
    if (!done) throw new Error("libssl does not take its settings");
    const usable = libssl.SSL_CTX_use_certificate_chain_file(this.#context, cString(cert)) === 1 &&
      libssl.SSL_CTX_use_PrivateKey_file(this.#context, cString(key), SSL_FILETYPE_PEM) === 1;
    if (!usable) throw new Error(`libssl cannot use the certificate ${cert} and its key ${key}`);
  }

  /** TLS over a connection that was accepted; its handshake goes on with each read. */
  accept(fd: number): Socket {
    const ssl = libssl.SSL_new(this.#context);
    if (ssl === null) throw new Error("SSL_new failed");
    setNonBlocking(fd);
    libssl.SSL_set_fd(ssl, fd);
    libssl.SSL_set_accept_state(ssl);
    return {
      fd,
      read: (buffer) => transferred(ssl, libssl.SSL_read(ssl, buffer, buffer.length)),
      send: (bytes) => transferred(ssl, libssl.SSL_write(ssl, bytes, bytes.length)),
      close() {
        libssl.SSL_free(ssl);
        close(fd);
      },
    };
  }
}

/** A result of SSL_read or SSL_write as receive and send of libc.ts would give it. */
function transferred(ssl: Deno.PointerObject, result: number): number {
  if (result > 0) return result;
  switch (libssl.SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return WOULD_BLOCK;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      libcrypto.ERR_clear_error(); // what stays there would be taken for a failure of the next connection
      return RESET;
  }
}
