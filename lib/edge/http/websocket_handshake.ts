/**
 * The opening handshake of a WebSocket over HTTP/1.1 (RFC 6455 §4).
 *
 * @module
 */

import { sha1 } from "../sha1.ts";
import type { FieldList } from "../../wire/field_list.ts";
import { fieldValue, listIncludes } from "../../wire/http_fields.ts";

/** The only version that there is (RFC 6455 §4.1). */
export const WEBSOCKET_VERSION = "13";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 §1.3

/** Tells whether `text` is a Sec-WebSocket-Key: the base64 of 16 octets. */
export function isWebSocketKey(text: string): boolean {
  return /^[A-Za-z0-9+/]{22}==$/.test(text);
}

/** Makes a Sec-WebSocket-Key, which is to be a new one for each connection (RFC 6455 §4.1). */
export function newWebSocketKey(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toBase64();
}

/**
 * The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.
 *
 * @example From RFC 6455 §1.3.
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(webSocketAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
 * ```
 */
export function webSocketAccept(key: string): string {
  return sha1(key + GUID).toBase64();
}

/**
 * Looks for what is wrong with the answer 101 to a handshake (RFC 6455 §4.1).
 *
 * @param key What was sent; `undefined` where there was no handshake.
 * @param upgrade The protocols of the Upgrade field, where Connection names it.
 * @returns What is wrong, if anything.
 */
export function checkSwitch(
  key: string | undefined,
  upgrade: string | undefined,
  fields: FieldList,
): string | undefined {
  if (key === undefined) return "a switch of protocols that was not asked for";
  if (upgrade === undefined || !listIncludes(upgrade, "websocket")) {
    return "a switch to another protocol than WebSocket";
  }
  return fieldValue(fields, "sec-websocket-accept") === webSocketAccept(key)
    ? undefined
    : "a wrong Sec-WebSocket-Accept";
}
