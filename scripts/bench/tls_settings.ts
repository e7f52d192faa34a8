/**
 * How TLS is spoken in the benchmark, by its clients and its backends: one version, one group, one cipher, so that no
 * proxy chooses, and no session is ever resumed. Also the numbers of OpenSSL's ssl.h that both sides need.
 *
 * @module
 */

export const TLS_VERSION = "TLSv1.3";
export const TLS_GROUP = "X25519";
export const TLS_CIPHER = "TLS_AES_128_GCM_SHA256";

/** What a handshake has led to where it went as it must; a client compares it with what libssl tells. */
export const TLS_EXPECTED: string = `${TLS_VERSION}, ${TLS_GROUP}, ${TLS_CIPHER}, not resumed`;

export const TLS1_3_VERSION = 0x0304;
/** OpenSSL's number of {@linkcode TLS_GROUP}, of obj_mac.h. */
export const NID_X25519 = 1034;
export const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
export const SSL_CTRL_SET_GROUPS_LIST = 92;
export const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
export const SSL_CTRL_GET_NEGOTIATED_GROUP = 134;
export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_WANT_WRITE = 3;
export const SSL_ERROR_SYSCALL = 5;
export const SSL_ERROR_ZERO_RETURN = 6;

/** The calls of libssl that a client and a server have in common. */
export const SSL_CALLS = {
  SSL_CTX_new: { parameters: ["pointer"], result: "pointer" },
  SSL_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "buffer"], result: "i32" },
  SSL_CTX_set_ciphersuites: { parameters: ["pointer", "buffer"], result: "i32" },
  SSL_new: { parameters: ["pointer"], result: "pointer" },
  SSL_set_fd: { parameters: ["pointer", "i32"], result: "i32" },
  SSL_read: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  SSL_write: { parameters: ["pointer", "buffer", "i32"], result: "i32" },
  SSL_get_error: { parameters: ["pointer", "i32"], result: "i32" },
  SSL_free: { parameters: ["pointer"], result: "void" },
} as const;

/** A string as C has it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
