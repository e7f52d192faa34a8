/**
 * The head of a request to a backend in HTTP/1.1.
 *
 * @module
 */

import type { ByteWriter } from "../../../wire/byte_writer.ts";
import type { FieldList } from "../../../wire/field_list.ts";
import { encodeRequestHead } from "../../../wire/http1_encode.ts";
import { fieldValue } from "../../../wire/http_fields.ts";
import type { SentFraming } from "./body_writer.ts";
import type { RequestHead } from "../message.ts";
import { WEBSOCKET_VERSION } from "../websocket_handshake.ts";

/** The list of fields of the head that is being written: no list is made for any. */
const fieldsToWrite: FieldList = [];

/** Methods whose requests usually have a body: that one has none is said (RFC 9110 §8.6). */
const METHODS_WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/**
 * Writes the head of an ordinary request.
 *
 * @returns The framing of the body that is to follow.
 * @throws {TypeError} Where part of the head cannot be written in HTTP/1.1; nothing is written then.
 */
export function writeRequestHead(writer: ByteWriter, head: RequestHead, end: boolean): SentFraming {
  if (head.method === "CONNECT") throw new TypeError("no tunnel but a WebSocket can be asked for");
  beginFields(head);
  let framing: SentFraming = "none";
  if (end) {
    const isSaid = METHODS_WITH_BODY.has(head.method) || fieldValue(head.fields, "content-length") !== undefined;
    if (isSaid) fieldsToWrite.push("content-length", "0");
  } else if (head.contentLength !== undefined) {
    fieldsToWrite.push("content-length", String(head.contentLength));
    framing = "length";
  } else {
    fieldsToWrite.push("transfer-encoding", "chunked");
    framing = "chunked";
  }
  if (fieldValue(head.fields, "te") !== undefined) fieldsToWrite.push("connection", "te"); // RFC 9110 §10.1.4
  encodeRequestHead(writer, head.method, head.path, fieldsToWrite);
  return framing;
}

/**
 * Writes the opening handshake of a WebSocket (RFC 6455 §4.1).
 *
 * @throws {TypeError} Where part of the head cannot be written in HTTP/1.1; nothing is written then.
 */
export function writeWebSocketHead(writer: ByteWriter, head: RequestHead, key: string): void {
  if (head.protocol !== "websocket") throw new TypeError("no tunnel but a WebSocket can be asked for");
  beginFields(head);
  fieldsToWrite.push("upgrade", "websocket", "connection", "Upgrade", "sec-websocket-key", key);
  if (fieldValue(head.fields, "sec-websocket-version") === undefined) {
    fieldsToWrite.push("sec-websocket-version", WEBSOCKET_VERSION);
  }
  encodeRequestHead(writer, "GET", head.path, fieldsToWrite);
}

/** What every head has: `host` first (RFC 9110 §7.2), and one `cookie` (RFC 9113 §8.2.3). */
function beginFields(head: RequestHead): void {
  const { fields } = head;
  fieldsToWrite.length = 0;
  fieldsToWrite.push("host", head.authority);
  let cookieAt = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    switch (name) {
      case "host":
      case "content-length":
      case "sec-websocket-key":
        break;
      case "cookie":
        if (cookieAt > 0) {
          fieldsToWrite[cookieAt] += `; ${value}`;
          break;
        }
        cookieAt = fieldsToWrite.length + 1;
        fieldsToWrite.push(name, value);
        break;
      default:
        fieldsToWrite.push(name, value);
    }
  }
}
