/**
 * An answer as HTTP/1.1 has it, and as it is passed on.
 *
 * @module
 */

import { type BodyFraming, responseFraming } from "../../../wire/http1_body.ts";
import type { ResponseHead as WireHead } from "../../../wire/http1_head.ts";
import { readContentLength } from "../../../wire/http_fields.ts";
import { removeField, takeConnectionFields, unifyContentLength } from "../connection_fields.ts";
import type { ResponseHead } from "../message.ts";
import { checkSwitch } from "../websocket_handshake.ts";

/** A final answer, and what its connection has to know of it. */
export interface Http1Response {
  readonly kind: "response";
  readonly head: ResponseHead;
  readonly framing: BodyFraming;
  /** The backend keeps the connection behind the answer (RFC 9112 §9.3). */
  readonly persistent: boolean;
  /** For how long, in ms, where it says so. */
  readonly idleLimitMs: number | undefined;
}

/** An answer that cannot be passed on. */
export interface ResponseError {
  readonly kind: "malformed";
  readonly rule: string;
}

const FRAMING_FIELDS: ReadonlySet<string> = new Set(["content-length", "transfer-encoding"]);

/**
 * Makes the final answer of a head that was received. The head's list of fields becomes that of the answer.
 *
 * @param method Of the request.
 * @param isWebSocket Whether the request was the handshake of a WebSocket.
 */
export function readResponse(received: WireHead, method: string, isWebSocket: boolean): Http1Response | ResponseError {
  const { status, minor, fields } = received;
  if (status > 599) return malformed("a status beyond 599");
  const framing = responseFraming(isWebSocket ? "GET" : method, status, fields, minor);
  if (framing.kind === "malformed") return framing;
  // Who tells of content in a 204 may well send it, and then the answer to the next request would begin with it.
  const mayBeFollowed = status === 204 && fields.some((name, i) => i % 2 === 0 && FRAMING_FIELDS.has(name));
  const connection = takeConnectionFields(fields);
  const length = readContentLength(fields); // in an answer without body that of the body that is not sent
  if (typeof length === "number") unifyContentLength(fields, length);
  return {
    kind: "response",
    head: isWebSocket && status < 300
      ? { upgradeIgnored: true, status, fields, neverIndexed: undefined }
      : { status, fields, neverIndexed: undefined },
    framing,
    persistent: framing.kind !== "until_close" && !mayBeFollowed && !connection.close &&
      (minor === 1 || connection.keepAlive),
    idleLimitMs: connection.idleLimitMs,
  };
}

/** Makes an interim answer of a head that was received. */
export function readInterim({ status, fields }: WireHead): ResponseHead {
  takeConnectionFields(fields);
  removeField(fields, "content-length");
  return { status, fields, neverIndexed: undefined };
}

/** Makes the answer that opens a tunnel of a head that was received. @param key What was sent, if anything. */
export function readSwitch({ fields }: WireHead, key: string | undefined): ResponseHead | ResponseError {
  const { upgrade } = takeConnectionFields(fields);
  const breach = checkSwitch(key, upgrade, fields);
  if (breach !== undefined) return malformed(breach);
  removeField(fields, "sec-websocket-accept");
  removeField(fields, "content-length");
  return { status: 200, fields, neverIndexed: undefined };
}

function malformed(rule: string): ResponseError {
  return { kind: "malformed", rule };
}
