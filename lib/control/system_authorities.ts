/**
 * Which authorities vouch for the TLS backends of routes that name none of their own.
 *
 * @module
 */

/**
 * Has this process trust what the machine trusts (`/etc/ssl/certs`, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name),
 * and not the list that is built into the runtime: an operator adds a private authority there, or takes one away.
 *
 * To be called before the first TLS connection: the runtime loads its authorities then, once for all threads. An
 * operator's own `DENO_TLS_CA_STORE` stands.
 */
export function trustSystemAuthorities(): void {
  if (Deno.env.get("DENO_TLS_CA_STORE") === undefined) Deno.env.set("DENO_TLS_CA_STORE", "system");
}
