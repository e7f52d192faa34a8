/**
 * The keys of session tickets (RFC 5077, RFC 8446 §4.6.1), shared by all workers of a server and its successors.
 *
 * @module
 */

import { TICKET_KEY_NAME_LENGTH, type TicketKey } from "../../ticket_key.ts";
import { cString, type Libssl, LibsslError, type Pointer, takeError } from "./library.ts";

// What the callback gives: SSL_CTX_set_tlsext_ticket_key_evp_cb(3).
const FAILED = -1;
const NO_KEY = 0;
const DONE = 1;
/** The ticket is taken, and a new one is given in its place. */
const DONE_AND_RENEW = 2;

const TLS1_3_VERSION = 0x0304;

const IV_LENGTH = 16;

/** OSSL_PARAM(3): a list of one string and its end. A parameter is key, type, data, size, size returned: 40 bytes. */
const OSSL_PARAM_LENGTH = 40;
const OSSL_PARAM_UTF8_STRING = 4;
const OSSL_PARAM_UNMODIFIED = 0xffff_ffff_ffff_ffffn;

/** A key in memory that does not move. */
interface HeldKey {
  readonly name: Uint8Array<ArrayBuffer>;
  readonly hmac: Uint8Array<ArrayBuffer>;
  readonly aes: Uint8Array<ArrayBuffer>;
}

/** See the module. One for each worker, for as long as it lives: contexts keep a pointer to its callback. */
export class TicketKeys {
  readonly #libssl: Libssl;
  readonly #cipher: Pointer;
  readonly #digestParams: Uint8Array<ArrayBuffer>;
  /** What the parameters point to. */
  readonly #pointedTo: readonly Uint8Array<ArrayBuffer>[];
  readonly #callback: Deno.UnsafeCallback<typeof CALLBACK>;
  /** The first makes tickets, all are taken. */
  #keys: readonly HeldKey[] = [];

  /** @throws {LibsslError} If the library lacks AES-256-CBC. */
  constructor(libssl: Libssl) {
    this.#libssl = libssl;
    const cipher = libssl.functions.EVP_CIPHER_fetch(null, cString("AES-256-CBC"), null);
    if (cipher === null) throw new LibsslError(`no cipher for session tickets: ${takeError(libssl)}`);
    this.#cipher = cipher;
    const key = cString("digest");
    const value = cString("SHA256");
    this.#pointedTo = [key, value];
    this.#digestParams = stringParam(key, value);
    this.#callback = new Deno.UnsafeCallback(CALLBACK, (ssl, name, iv, cipherContext, macContext, isNew) => {
      try {
        return isNew === 1
          ? this.#encrypt(name, iv, cipherContext, macContext)
          : this.#decrypt(ssl, name, iv, cipherContext, macContext);
      } catch {
        return FAILED; // nothing may be thrown through C
      }
    });
  }

  /** Goes by these keys from now on. @param keys The first makes tickets, all are taken. None: there are no tickets. */
  set(keys: readonly TicketKey[]): void {
    this.#keys = keys.map(({ name, hmac, aes }) => ({ name: held(name), hmac: held(hmac), aes: held(aes) }));
  }

  /** Has a context make and take tickets with these keys. */
  install(context: Pointer): void {
    const { functions } = this.#libssl;
    if (functions.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, this.#callback.pointer) === 1) return;
    throw new LibsslError(`no session tickets: ${takeError(this.#libssl)}`);
  }

  #encrypt(
    name: Deno.PointerValue,
    iv: Deno.PointerValue,
    cipherContext: Deno.PointerValue,
    macContext: Deno.PointerValue,
  ): number {
    const { functions } = this.#libssl;
    const [key] = this.#keys;
    if (key === undefined) return NO_KEY;
    functions.memcpy(name, key.name, key.name.length);
    if (functions.RAND_bytes(iv, IV_LENGTH) !== 1) return FAILED;
    if (functions.EVP_EncryptInit_ex(cipherContext, this.#cipher, null, key.aes, iv) !== 1) return FAILED;
    return this.#authenticate(macContext, key) ? DONE : FAILED;
  }

  #decrypt(
    ssl: Deno.PointerValue,
    name: Deno.PointerValue,
    iv: Deno.PointerValue,
    cipherContext: Deno.PointerValue,
    macContext: Deno.PointerValue,
  ): number {
    if (name === null) return FAILED;
    const wanted = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(name, TICKET_KEY_NAME_LENGTH));
    const index = this.#keys.findIndex((key) => key.name.every((byte, i) => byte === wanted[i]));
    const key = this.#keys[index];
    if (key === undefined) return NO_KEY;
    if (!this.#authenticate(macContext, key)) return FAILED;
    const { functions } = this.#libssl;
    if (functions.EVP_DecryptInit_ex(cipherContext, this.#cipher, null, key.aes, iv) !== 1) return FAILED;
    // In TLS 1.3 a client uses a ticket once (RFC 8446 §C.4): one that got no new one could not come back again.
    return index > 0 || functions.SSL_version(ssl) === TLS1_3_VERSION ? DONE_AND_RENEW : DONE;
  }

  #authenticate(macContext: Deno.PointerValue, { hmac }: HeldKey): boolean {
    return this.#libssl.functions.EVP_MAC_init(macContext, hmac, hmac.length, this.#digestParams) === 1;
  }
}

const CALLBACK = {
  parameters: ["pointer", "pointer", "pointer", "pointer", "pointer", "i32"],
  result: "i32",
} as const satisfies Deno.UnsafeCallbackDefinition;

function held(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

function stringParam(key: Uint8Array<ArrayBuffer>, value: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const params = new DataView(new ArrayBuffer(2 * OSSL_PARAM_LENGTH));
  params.setBigUint64(0, addressOf(key), true);
  params.setUint32(8, OSSL_PARAM_UTF8_STRING, true);
  params.setBigUint64(16, addressOf(value), true);
  params.setBigUint64(24, BigInt(value.length - 1), true);
  params.setBigUint64(32, OSSL_PARAM_UNMODIFIED, true);
  return new Uint8Array(params.buffer);
}

function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}
