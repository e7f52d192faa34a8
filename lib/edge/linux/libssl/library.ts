/**
 * OpenSSL's libssl, through FFI: the only file that declares its functions.
 *
 * What a mistake here would do is memory corruption on the open internet, so these rules hold:
 *
 * - Every pointer that a function gives us has one owner, a class with `free`, and is not used after it.
 * - What OpenSSL keeps a pointer to has an ArrayBuffer of its own and lives as long as OpenSSL may use it: small typed
 *   arrays are on V8's heap and move.
 * - A callback runs in the thread that made it, from within a call of that thread, and never throws.
 * - The error queue belongs to the thread. After any failure it is cleared, since `SSL_get_error` looks at it:
 *   SSL_get_error(3).
 * - A C `long` is declared `isize`. Results on the hot path are `i32`: 64-bit ones come back as BigInt. A `size_t` on that
 *   path is declared `u32`: both ABIs pass it in a register whose upper half is clear.
 *
 * @module
 */

import { messageOf } from "../../thrown.ts";
import { bind } from "./binding.ts";
import { libcryptoOf, missingHalf } from "./library_pair.ts";

export type Pointer = Deno.PointerObject;

/** What every OpenSSL since 1.1.0 can be asked: others that have come since lack functions of {@linkcode SYMBOLS}. */
const VERSION_SYMBOLS = {
  OpenSSL_version_num: { parameters: [], result: "usize" },
  OpenSSL_version: { parameters: ["i32"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const SYMBOLS = {
  OPENSSL_init_ssl: { parameters: ["u64", "pointer"], result: "i32" },

  TLS_server_method: { parameters: [], result: "pointer" },
  TLS_client_method: { parameters: [], result: "pointer" },
  SSL_CTX_new: { parameters: ["pointer"], result: "pointer" },
  SSL_CTX_free: { parameters: ["pointer"], result: "void" },
  SSL_CTX_ctrl: { parameters: ["pointer", "i32", "isize", "buffer"], result: "isize" },
  SSL_CTX_ctrl_pointer: { name: "SSL_CTX_ctrl", parameters: ["pointer", "i32", "isize", "pointer"], result: "isize" },
  SSL_CTX_set_options: { parameters: ["pointer", "u64"], result: "u64" },
  SSL_CTX_set_cipher_list: { parameters: ["pointer", "buffer"], result: "i32" },
  SSL_CTX_set_ciphersuites: { parameters: ["pointer", "buffer"], result: "i32" },
  SSL_CTX_use_certificate: { parameters: ["pointer", "pointer"], result: "i32" },
  SSL_CTX_use_PrivateKey: { parameters: ["pointer", "pointer"], result: "i32" },
  SSL_CTX_check_private_key: { parameters: ["pointer"], result: "i32" },
  SSL_CTX_set_num_tickets: { parameters: ["pointer", "usize"], result: "i32" },
  SSL_CTX_set_alpn_select_cb: { parameters: ["pointer", "function", "pointer"], result: "void" },
  SSL_CTX_set_tlsext_ticket_key_evp_cb: { parameters: ["pointer", "function"], result: "i32" },
  SSL_CTX_set_verify: { parameters: ["pointer", "i32", "pointer"], result: "void" },
  SSL_CTX_set_session_id_context: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
  SSL_CTX_get0_param: { parameters: ["pointer"], result: "pointer" },
  SSL_CTX_get_cert_store: { parameters: ["pointer"], result: "pointer" },
  SSL_CTX_set_default_verify_paths: { parameters: ["pointer"], result: "i32" },
  SSL_CTX_load_verify_file: { parameters: ["pointer", "buffer"], result: "i32" },
  SSL_CTX_load_verify_dir: { parameters: ["pointer", "buffer"], result: "i32" },
  SSL_select_next_proto: {
    parameters: ["pointer", "pointer", "buffer", "u32", "pointer", "u32"],
    result: "i32",
  },

  SSL_new: { parameters: ["pointer"], result: "pointer" },
  SSL_free: { parameters: ["pointer"], result: "void" },
  SSL_set_fd: { parameters: ["pointer", "i32"], result: "i32" },
  SSL_set_accept_state: { parameters: ["pointer"], result: "void" },
  SSL_set_connect_state: { parameters: ["pointer"], result: "void" },
  SSL_do_handshake: { parameters: ["pointer"], result: "i32" },
  SSL_read: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  SSL_write: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  SSL_has_pending: { parameters: ["pointer"], result: "i32" },
  SSL_get_error: { parameters: ["pointer", "i32"], result: "i32" },
  SSL_shutdown: { parameters: ["pointer"], result: "i32" },
  SSL_set_shutdown: { parameters: ["pointer", "i32"], result: "void" },
  SSL_version: { parameters: ["pointer"], result: "i32" },
  SSL_get0_alpn_selected: { parameters: ["pointer", "buffer", "buffer"], result: "void" },
  SSL_set_alpn_protos: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
  SSL_ctrl: { parameters: ["pointer", "i32", "isize", "buffer"], result: "isize" },
  SSL_set1_host: { parameters: ["pointer", "buffer"], result: "i32" },
  SSL_get0_param: { parameters: ["pointer"], result: "pointer" },
  SSL_get_verify_result: { parameters: ["pointer"], result: "isize" },
  SSL_get1_peer_certificate: { parameters: ["pointer"], result: "pointer" },
  SSL_get1_session: { parameters: ["pointer"], result: "pointer" },
  SSL_set_session: { parameters: ["pointer", "pointer"], result: "i32" },
  SSL_session_reused: { parameters: ["pointer"], result: "i32" },
  SSL_SESSION_is_resumable: { parameters: ["pointer"], result: "i32" },
  SSL_SESSION_free: { parameters: ["pointer"], result: "void" },

  SSL_set_bio: { parameters: ["pointer", "pointer", "pointer"], result: "void" },

  BIO_s_mem: { parameters: [], result: "pointer" },
  BIO_new: { parameters: ["pointer"], result: "pointer" },
  BIO_new_mem_buf: { parameters: ["buffer", "i32"], result: "pointer" },
  BIO_read: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  BIO_free: { parameters: ["pointer"], result: "i32" },
  PEM_read_bio_X509: { parameters: ["pointer", "pointer", "pointer", "buffer"], result: "pointer" },
  PEM_read_bio_PrivateKey: { parameters: ["pointer", "pointer", "pointer", "buffer"], result: "pointer" },
  X509_free: { parameters: ["pointer"], result: "void" },
  X509_get_X509_PUBKEY: { parameters: ["pointer"], result: "pointer" },
  i2d_X509_PUBKEY: { parameters: ["pointer", "buffer"], result: "i32" },
  X509_STORE_add_cert: { parameters: ["pointer", "pointer"], result: "i32" },
  X509_VERIFY_PARAM_set1_ip_asc: { parameters: ["pointer", "buffer"], result: "i32" },
  X509_VERIFY_PARAM_set_flags: { parameters: ["pointer", "usize"], result: "i32" },
  X509_VERIFY_PARAM_set_hostflags: { parameters: ["pointer", "u32"], result: "void" },
  X509_verify_cert_error_string: { parameters: ["isize"], result: "pointer" },
  EVP_PKEY_free: { parameters: ["pointer"], result: "void" },

  ERR_clear_error: { parameters: [], result: "void" },
  ERR_peek_error: { parameters: [], result: "usize" },
  ERR_reason_error_string: { parameters: ["usize"], result: "pointer" },

  EVP_CIPHER_fetch: { parameters: ["pointer", "buffer", "pointer"], result: "pointer" },
  EVP_EncryptInit_ex: { parameters: ["pointer", "pointer", "pointer", "buffer", "pointer"], result: "i32" },
  EVP_DecryptInit_ex: { parameters: ["pointer", "pointer", "pointer", "buffer", "pointer"], result: "i32" },
  SHA256: { parameters: ["buffer", "u32", "buffer"], result: "pointer" },
  EVP_MAC_init: { parameters: ["pointer", "buffer", "u32", "buffer"], result: "i32" },
  RAND_bytes: { parameters: ["pointer", "i32"], result: "i32" },

  // libc, which libssl stands on
  memcpy: { parameters: ["pointer", "buffer", "u32"], result: "pointer" },
  dladdr: { parameters: ["pointer", "buffer"], result: "i32" },
  signal: { parameters: ["i32", "usize"], result: "usize" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of libssl and libcrypto, as they are declared here. */
export type LibsslFunctions = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** libssl cannot be used: it is missing, too old, or something else under its name. */
export class LibsslError extends Error {
  override readonly name = "LibsslError";
}

/** libssl as it was loaded. */
export interface Libssl {
  readonly functions: LibsslFunctions;
  /** For people: `OpenSSL 3.0.15 3 Sep 2024`. */
  readonly version: string;
  /** The file that was loaded. */
  readonly path: string;
}

/** What distributions call it, the newest first. */
const NAMES = ["libssl.so.4", "libssl.so.3"];

const PACKAGES =
  "Debian and Ubuntu: libssl3 or libssl3t64; Fedora and RHEL: openssl-libs; Alpine: libssl3 and libcrypto3";

/** 3.0.0, OpenSSL_version_num(3). */
const OLDEST = 0x30000000n;

/**
 * Other threads run while the process exits: OpenSSL must not clean up under them at exit(3). Only the first
 * initialization of a process decides this, OPENSSL_init_crypto(3).
 */
const OPENSSL_INIT_NO_ATEXIT = 0x00080000n;

/**
 * OpenSSL writes to sockets with write(2), which raises this signal where the peer has gone. The runtime ignores it
 * already, but does not promise to; and it would end the program.
 */
const SIGPIPE = 13;
const SIG_IGN = 1n;

/** `Dl_info`, dladdr(3): four pointers, the name of the file first. */
const DL_INFO_LENGTH = 32;

const loaded = new Map<string, Libssl>();

/**
 * Loads libssl, once for each thread and path.
 *
 * @param path The file to load; `""` for the system's.
 * @throws {LibsslError} If it is missing, older than OpenSSL 3.0, or not OpenSSL.
 */
export function loadLibssl(path = ""): Libssl {
  const known = loaded.get(path);
  if (known !== undefined) return known;
  if (Deno.build.os !== "linux") throw new LibsslError(`libssl is used on Linux, and this is ${Deno.build.os}`);
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    throw new LibsslError("Deno may not call libssl: --allow-ffi is not given");
  }
  const libssl = path === "" ? openSystem() : open(path);
  loaded.set(path, libssl);
  return libssl;
}

function openSystem(): Libssl {
  const reasons: string[] = [];
  for (const name of NAMES) {
    try {
      return open(name);
    } catch (error) {
      if (!(error instanceof LibsslError)) throw error;
      reasons.push(error.message);
    }
  }
  throw new LibsslError(`no usable libssl; install OpenSSL 3.0 or newer (${PACKAGES}): ${reasons.join("; ")}`);
}

function open(path: string): Libssl {
  if (path.includes("/")) bindBeside(path);
  const version = versionOf(path);
  const { symbols: functions } = load(path, SYMBOLS);
  if (functions.OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, null) !== 1) {
    throw new LibsslError(`${path} cannot be initialized: its configuration (openssl.cnf) may be wrong`);
  }
  functions.signal(SIGPIPE, SIG_IGN);
  return { functions, version, path: fileOf(functions) || path };
}

/** @throws {LibsslError} If it is not an OpenSSL of 3.0 or newer. */
function versionOf(path: string): string {
  const library = load(path, VERSION_SYMBOLS);
  const version = textAt(library.symbols.OpenSSL_version(0));
  const number = library.symbols.OpenSSL_version_num();
  library.close();
  if (!version.startsWith("OpenSSL ")) throw new LibsslError(`${path} is ${version}, and OpenSSL is needed`);
  if (number < OLDEST) throw new LibsslError(`${path} is ${version}, and OpenSSL 3.0 or newer is needed`);
  return version;
}

/** @throws {LibsslError} If it cannot be loaded, or is something else. */
function load<const Symbols extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: Symbols,
): Deno.DynamicLibrary<Symbols> {
  const unbound = bind(path);
  if (unbound !== undefined) {
    throw new LibsslError(missingHalf(path, unbound, bind) ?? `cannot load ${unbound}`);
  }
  try {
    return Deno.dlopen(path, symbols);
  } catch (error) {
    const missing = /undefined symbol: (\w+)/.exec(messageOf(error))?.[1];
    throw new LibsslError(
      missing === undefined
        ? `${path} cannot be loaded: ${messageOf(error)}`
        : `${path} is not the libssl of OpenSSL 3.0 or newer: it has no function ${missing}`,
    );
  }
}

/** Which file a name has led to: dladdr(3). `""` where it does not say. */
function fileOf(functions: LibsslFunctions): string {
  const info = new BigUint64Array(new ArrayBuffer(DL_INFO_LENGTH));
  if (functions.dladdr(functions.TLS_server_method(), new Uint8Array(info.buffer)) === 0) return "";
  return textAt(Deno.UnsafePointer.create(info[0] ?? 0n));
}

/**
 * Loads the libcrypto of the same build: under its name, the system's would be found. It may also be built in, or stand
 * elsewhere; if it is missing, loading libssl says so.
 */
function bindBeside(path: string): void {
  const beside = libcryptoOf(path);
  if (beside !== undefined) bind(beside);
}

/** The text at a pointer; `""` at none. */
export function textAt(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
}

const encoder = new TextEncoder();

/** A text as C has it, in memory that does not move. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(text);
  const copy = new Uint8Array(new ArrayBuffer(bytes.length + 1));
  copy.set(bytes);
  return copy;
}

/** Takes the first error of this thread's queue, in OpenSSL's words, and clears the queue. */
export function takeError({ functions }: Libssl): string {
  const code = functions.ERR_peek_error();
  const reason = code === 0n ? "" : textAt(functions.ERR_reason_error_string(code));
  functions.ERR_clear_error();
  if (reason !== "") return reason;
  return code === 0n ? "no reason given" : `OpenSSL error ${code.toString(16)}`;
}
