/**
 * A key of session tickets.
 *
 * @module
 */

/** How long the name of a key is, in bytes. */
export const TICKET_KEY_NAME_LENGTH = 16;

const SECRET_LENGTH = 32;

/** A key of session tickets: plain bytes that can be posted to other threads, and never leave memory. */
export interface TicketKey {
  /** What a ticket says which key it was made with; 16 bytes. */
  readonly name: Uint8Array;
  /** For HMAC-SHA256; 32 bytes. */
  readonly hmac: Uint8Array;
  /** For AES-256-CBC; 32 bytes. */
  readonly aes: Uint8Array;
}

/** Whether its parts have the lengths of a key. */
export function isTicketKey({ name, hmac, aes }: TicketKey): boolean {
  return name.length === TICKET_KEY_NAME_LENGTH && hmac.length === SECRET_LENGTH && aes.length === SECRET_LENGTH;
}

/** Makes a key from the system's source of random bytes. */
export function newTicketKey(): TicketKey {
  return {
    name: crypto.getRandomValues(new Uint8Array(TICKET_KEY_NAME_LENGTH)),
    hmac: crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)),
    aes: crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)),
  };
}
