/**
 * TLS as a server, from OpenSSL's libssl through FFI: prototype.
 *
 * Pitfalls that are dealt with here:
 * - `long` arguments (SSL_CTX_ctrl) are declared i32: only small non-negative values are passed.
 * - The error queue belongs to the thread and has to be empty before a call, or SSL_get_error lies: it is cleared after
 *   each failure, not before each call.
 * - Small typed arrays live on V8's heap, where they are moved: what OpenSSL keeps a pointer to has an ArrayBuffer.
 * - A callback must not throw; what it calls back into natively (SSL_select_next_proto) writes the pointers for us.
 *
 * @module
 */

type Pointer = Deno.PointerObject;

const SSL_SYMBOLS = {
  OPENSSL_init_ssl: { parameters: ["u64", "pointer"], result: "i32" },
  TLS_server_method: { parameters: [], result: "pointer" },
  SSL_CTX_new: { parameters: ["pointer"], result: "pointer" },
  SSL_CTX_free: { parameters: ["pointer"], result: "void" },
  SSL_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "buffer"], result: "i32" },
  SSL_CTX_add0: { name: "SSL_CTX_ctrl", parameters: ["pointer", "i32", "i32", "pointer"], result: "i32" },
  SSL_CTX_set_options: { parameters: ["pointer", "u64"], result: "u64" },
  SSL_CTX_use_certificate: { parameters: ["pointer", "pointer"], result: "i32" },
  SSL_CTX_use_PrivateKey: { parameters: ["pointer", "pointer"], result: "i32" },
  SSL_CTX_check_private_key: { parameters: ["pointer"], result: "i32" },
  SSL_CTX_set_default_read_buffer_len: { parameters: ["pointer", "usize"], result: "void" },
  SSL_CTX_set_alpn_select_cb: { parameters: ["pointer", "function", "pointer"], result: "void" },
  SSL_select_next_proto: {
    parameters: ["pointer", "pointer", "buffer", "u32", "pointer", "u32"],
    result: "i32",
  },
  SSL_new: { parameters: ["pointer"], result: "pointer" },
  SSL_free: { parameters: ["pointer"], result: "void" },
  SSL_set_fd: { parameters: ["pointer", "i32"], result: "i32" },
  SSL_accept: { parameters: ["pointer"], result: "i32" },
  SSL_read: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  SSL_write: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  SSL_has_pending: { parameters: ["pointer"], result: "i32" },
  SSL_get_error: { parameters: ["pointer", "i32"], result: "i32" },
  SSL_shutdown: { parameters: ["pointer"], result: "i32" },
  SSL_get0_alpn_selected: { parameters: ["pointer", "buffer", "buffer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

const CRYPTO_SYMBOLS = {
  BIO_new_mem_buf: { parameters: ["buffer", "i32"], result: "pointer" },
  BIO_free: { parameters: ["pointer"], result: "i32" },
  PEM_read_bio_X509: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "pointer" },
  PEM_read_bio_PrivateKey: { parameters: ["pointer", "pointer", "pointer", "pointer"], result: "pointer" },
  X509_free: { parameters: ["pointer"], result: "void" },
  EVP_PKEY_free: { parameters: ["pointer"], result: "void" },
  ERR_clear_error: { parameters: [], result: "void" },
  ERR_peek_error: { parameters: [], result: "u64" },
  ERR_get_error: { parameters: [], result: "u64" },
  ERR_error_string_n: { parameters: ["u64", "buffer", "usize"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

const OPENSSL_INIT_NO_ATEXIT = 0x00080000n;

const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_CHAIN_CERT = 89;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const TLS1_2_VERSION = 0x0303;
const MODE_PARTIAL_WRITE = 1;
const MODE_MOVING_WRITE_BUFFER = 2;
const MODE_RELEASE_BUFFERS = 0x10;
const OP_NO_RENEGOTIATION = 1n << 30n;

const SSL_ERROR_SSL = 1;
/** FIN without close_notify. HTTP frames its messages itself, so nothing is cut unseen. */
const R_UNEXPECTED_EOF = 294;
const SSL_ERROR_WANT_READ = 2;
const SSL_ERROR_WANT_WRITE = 3;
const SSL_ERROR_SYSCALL = 5;
const SSL_ERROR_ZERO_RETURN = 6;
const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;

/** What a call gives in place of a number of octets. */
export const WANT_READ = -1;
export const WANT_WRITE = -2;
export const ENDED = -3;
export const BROKEN = -4;

const ssl = Deno.dlopen("libssl.so.3", SSL_SYMBOLS).symbols;
const crypto = Deno.dlopen("libcrypto.so.3", CRYPTO_SYMBOLS).symbols;
// Other threads run while the process exits: without its own clean-up at exit(3) nothing is pulled away under them.
ssl.OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, null);

const PROTOCOLS = new Uint8Array(new ArrayBuffer(12));
PROTOCOLS.set([2, 0x68, 0x32, 8, ...new TextEncoder().encode("http/1.1")]);

const selectProtocol = new Deno.UnsafeCallback({
  parameters: ["pointer", "pointer", "pointer", "pointer", "u32", "pointer"],
  result: "i32",
}, (_ssl, out, outLength, offered, length) => {
  const found = ssl.SSL_select_next_proto(out, outLength, PROTOCOLS, PROTOCOLS.length, offered, length) === 1;
  return found ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
});

/** A route's certificate and all settings. */
export class TlsContext {
  readonly #context: Pointer;

  constructor({ cert, key }: { readonly cert: string; readonly key: string }) {
    const context = ssl.SSL_CTX_new(ssl.TLS_server_method());
    if (context === null) throw new Error("SSL_CTX_new");
    this.#context = context;
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, null);
    ssl.SSL_CTX_ctrl(
      context,
      SSL_CTRL_MODE,
      MODE_PARTIAL_WRITE | MODE_MOVING_WRITE_BUFFER | (Deno.env.get("NOREL") ? 0 : MODE_RELEASE_BUFFERS),
      null,
    );
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, 0, null);
    ssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_READ_AHEAD, 1, null);
    ssl.SSL_CTX_set_options(
      context,
      OP_NO_RENEGOTIATION,
    );
    ssl.SSL_CTX_set_alpn_select_cb(context, selectProtocol.pointer, null);
    this.#useCertificates(cert);
    this.#useKey(key);
  }

  #useCertificates(pem: string): void {
    const octets = new TextEncoder().encode(pem);
    const bio = crypto.BIO_new_mem_buf(octets, octets.length);
    let isFirst = true;
    for (;;) {
      const certificate = crypto.PEM_read_bio_X509(bio, null, null, null);
      if (certificate === null) break;
      if (isFirst) {
        ssl.SSL_CTX_use_certificate(this.#context, certificate);
        crypto.X509_free(certificate);
      } else ssl.SSL_CTX_add0(this.#context, SSL_CTRL_CHAIN_CERT, 0, certificate);
      isFirst = false;
    }
    crypto.BIO_free(bio);
    crypto.ERR_clear_error(); // "no start line", which ends the list
    if (isFirst) throw new Error("no certificate");
  }

  #useKey(pem: string): void {
    const octets = new TextEncoder().encode(pem);
    const bio = crypto.BIO_new_mem_buf(octets, octets.length);
    const key = crypto.PEM_read_bio_PrivateKey(bio, null, null, null);
    crypto.BIO_free(bio);
    if (key === null || ssl.SSL_CTX_use_PrivateKey(this.#context, key) !== 1) throw new Error(takeError());
    crypto.EVP_PKEY_free(key);
  }

  /** TLS over a connection of which nothing was read. */
  accept(fd: number): Tls {
    const connection = ssl.SSL_new(this.#context);
    if (connection === null) throw new Error("SSL_new");
    ssl.SSL_set_fd(connection, fd);
    return new Tls(connection);
  }
}

const text = new Uint8Array(new ArrayBuffer(256));
const pointerOut = new Uint8Array(new ArrayBuffer(8));
const lengthOut = new Uint32Array(new ArrayBuffer(4));

function takeError(): string {
  crypto.ERR_error_string_n(crypto.ERR_get_error(), text, 256n);
  crypto.ERR_clear_error();
  return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
}

/** One connection. Not to be used after `free`. */
export class Tls {
  readonly #ssl: Pointer;
  /** Why it is broken. */
  error = "";
  /** The peer has closed without close_notify, or was reset: there is nobody to tell anything. */
  isGone = false;

  constructor(connection: Pointer) {
    this.#ssl = connection;
  }

  /** @returns 1 when it is done, else why not. */
  handshake(): number {
    const result = ssl.SSL_accept(this.#ssl);
    return result === 1 ? 1 : this.#why(result);
  }

  get isHttp2(): boolean {
    lengthOut[0] = 0;
    ssl.SSL_get0_alpn_selected(this.#ssl, pointerOut, lengthOut);
    return lengthOut[0] === 2;
  }

  /** One record at most. */
  read(buffer: Uint8Array<ArrayBuffer>, length: number): number {
    const result = ssl.SSL_read(this.#ssl, buffer, length);
    return result > 0 ? result : this.#why(result);
  }

  /** One record at most. */
  write(bytes: Uint8Array<ArrayBuffer>, length: number): number {
    const result = ssl.SSL_write(this.#ssl, bytes, length);
    return result > 0 ? result : this.#why(result);
  }

  /** Whether octets were taken from the socket that epoll will not tell of any more. */
  get hasPending(): boolean {
    return ssl.SSL_has_pending(this.#ssl) === 1;
  }

  /** Sends close_notify. */
  shutdown(): void {
    if (ssl.SSL_shutdown(this.#ssl) < 0) crypto.ERR_clear_error();
  }

  free(): void {
    ssl.SSL_free(this.#ssl);
  }

  #why(result: number): number {
    const why = ssl.SSL_get_error(this.#ssl, result);
    switch (why) {
      case SSL_ERROR_WANT_READ:
        return WANT_READ;
      case SSL_ERROR_WANT_WRITE:
        return WANT_WRITE;
      case SSL_ERROR_ZERO_RETURN:
        return ENDED;
      case SSL_ERROR_SSL:
        if ((Number(crypto.ERR_peek_error()) & 0x7fffff) === R_UNEXPECTED_EOF) {
          crypto.ERR_clear_error();
          this.isGone = true;
          return ENDED;
        }
        this.error = takeError();
        return BROKEN;
      default:
        this.isGone = true;
        this.error = why === SSL_ERROR_SYSCALL ? "the connection was reset" : takeError();
        if (why === SSL_ERROR_SYSCALL) crypto.ERR_clear_error();
        return BROKEN;
    }
  }
}
