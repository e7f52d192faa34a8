/**
 * What TLS connections have in common: `SSL_CTX`, SSL_CTX_new(3).
 *
 * @module
 */

import { TLS12_CIPHERS, TLS13_CIPHERS, type TlsSettings } from "../../tls_settings.ts";
import { cString, type Libssl, LibsslError, type Pointer, takeError } from "./library.ts";

// include/openssl/ssl.h, tls1.h
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const TLS1_2_VERSION = 0x0303n;
const TLS1_3_VERSION = 0x0304n;
const SSL_MODE_ENABLE_PARTIAL_WRITE = 1n;
const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2n;
/** An idle connection keeps no buffers. */
const SSL_MODE_RELEASE_BUFFERS = 0x10n;
const SSL_SESS_CACHE_OFF = 0n;
const SSL_OP_NO_COMPRESSION = 1n << 17n;
const SSL_OP_CIPHER_SERVER_PREFERENCE = 1n << 22n;
/** A client that prefers ChaCha20 has no AES in hardware. */
const SSL_OP_PRIORITIZE_CHACHA = 1n << 21n;
const SSL_OP_NO_RENEGOTIATION = 1n << 30n;

/** See the module: the settings that servers and clients share. Given up with {@linkcode Context.free}. */
export class Context {
  readonly libssl: Libssl;
  readonly pointer: Pointer;
  #isFreed = false;

  /**
   * @param method Of a server, or of a client.
   * @throws {SettingError} If the library does not take the settings: which, and what it says.
   */
  constructor(libssl: Libssl, method: "server" | "client", settings: TlsSettings) {
    const { functions } = libssl;
    const pointer = functions.SSL_CTX_new(
      method === "server" ? functions.TLS_server_method() : functions.TLS_client_method(),
    );
    if (pointer === null) throw new LibsslError(`no context for TLS: ${takeError(libssl)}`);
    this.libssl = libssl;
    this.pointer = pointer;
    try {
      this.#set(settings);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Gives it up; connections that were made with it keep what they need. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.libssl.functions.SSL_CTX_free(this.pointer);
  }

  #set({ minVersion, groups, ciphers }: TlsSettings): void {
    const { functions } = this.libssl;
    const modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS;
    functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_MODE, modes, null);
    functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, null);
    functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_READ_AHEAD, 1n, null);
    functions.SSL_CTX_set_options(
      this.pointer,
      SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_RENEGOTIATION,
    );
    this.#must("tls_min_version", this.setMinVersion(minVersion));
    if (groups.length > 0) this.#must("tls_groups", this.setGroups(groups));
    this.#must("tls_ciphers", this.setCiphers(ciphers));
  }

  /** @returns Why the library does not take it, in its words. */
  setMinVersion(version: TlsSettings["minVersion"]): string | undefined {
    const number = version === "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
    return this.#said(this.libssl.functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_MIN_PROTO_VERSION, number, null));
  }

  /** @returns Why the library does not take them, in its words. */
  setGroups(names: readonly string[]): string | undefined {
    const list = cString(names.join(":"));
    return this.#said(this.libssl.functions.SSL_CTX_ctrl(this.pointer, SSL_CTRL_SET_GROUPS_LIST, 0n, list));
  }

  /**
   * @param names None of TLS 1.2 or of TLS 1.3: ours of it.
   * @returns Why the library does not take them, in its words.
   */
  setCiphers(names: readonly string[]): string | undefined {
    const { functions } = this.libssl;
    const tls13 = cString(orElse(names.filter(isTls13), TLS13_CIPHERS));
    const tls12 = cString(orElse(names.filter((name) => !isTls13(name)), TLS12_CIPHERS));
    return this.#said(functions.SSL_CTX_set_ciphersuites(this.pointer, tls13)) ??
      this.#said(functions.SSL_CTX_set_cipher_list(this.pointer, tls12));
  }

  #said(result: number | bigint): string | undefined {
    return BigInt(result) === 1n ? undefined : takeError(this.libssl);
  }

  #must(key: SettingError["key"], said: string | undefined): void {
    if (said !== undefined) throw new SettingError(key, `${this.libssl.version} does not take it: ${said}`);
  }
}

/** A setting that the library does not take. */
export class SettingError extends LibsslError {
  /** @param key Of `[proxy]`. */
  constructor(readonly key: "tls_min_version" | "tls_groups" | "tls_ciphers", reason: string) {
    super(reason);
  }
}

function isTls13(cipher: string): boolean {
  return cipher.startsWith("TLS_");
}

function orElse(names: readonly string[], others: readonly string[]): string {
  return (names.length > 0 ? names : others).join(":");
}
