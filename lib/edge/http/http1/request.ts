/**
 * A request as HTTP/1.1 has it, and as it is passed on.
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import { type BodyFraming, requestFraming } from "../../../wire/http1_body.ts";
import type { RequestHead as WireHead } from "../../../wire/http1_head.ts";
import { parseTarget } from "../../../wire/http1_target.ts";
import { fieldValue, listIncludes } from "../../../wire/http_fields.ts";
import { removeField, takeConnectionFields, unifyContentLength } from "../connection_fields.ts";
import type { RequestHead } from "../message.ts";
import { isWebSocketKey } from "../websocket_handshake.ts";

/** A request, and what its connection has to know of it. */
export interface Http1Request {
  readonly kind: "request";
  readonly head: RequestHead;
  readonly framing: BodyFraming;
  /** The octets that the head had. */
  readonly length: number;
  readonly minor: 0 | 1;
  /** The client wants the connection to stay (RFC 9112 §9.3). */
  readonly persistent: boolean;
  /** The client takes trailers. */
  readonly trailers: boolean;
  /** Of the opening handshake of a WebSocket. */
  readonly webSocketKey: string | undefined;
}

/** A request that cannot be passed on. */
export interface RequestError {
  readonly kind: "malformed";
  readonly rule: string;
  /** What to answer. */
  readonly status: number;
}

/** Makes the request of a head that was received. The head's list of fields becomes that of the request. */
export function readRequest(received: WireHead): Http1Request | RequestError {
  const { method, minor, fields } = received;
  const framing = requestFraming(fields, minor);
  if (framing.kind === "malformed") return framing;
  const target = parseTarget(method, received.target, fieldValue(fields, "host"));
  if (target.kind === "malformed") return target;
  const expectation = readExpectation(fields, minor);
  if (expectation !== undefined) return expectation;

  const connection = takeConnectionFields(fields);
  removeField(fields, "host");
  if (connection.trailers) fields.push("te", "trailers");
  let contentLength: number | undefined;
  if (framing.kind === "length") unifyContentLength(fields, contentLength = framing.length);
  else if (framing.kind === "none") contentLength = 0;

  const isWebSocket = minor === 1 && method === "GET" && connection.upgrade !== undefined &&
    listIncludes(connection.upgrade, "websocket");
  const webSocketKey = isWebSocket ? takeWebSocketKey(fields, contentLength) : undefined;
  if (typeof webSocketKey === "object") return webSocketKey;
  return {
    kind: "request",
    head: {
      method: isWebSocket ? "CONNECT" : method,
      authority: target.authority ?? "",
      path: target.path,
      protocol: isWebSocket ? "websocket" : undefined,
      fields,
      neverIndexed: undefined,
      contentLength: isWebSocket ? undefined : contentLength,
    },
    framing,
    length: received.length,
    minor,
    // What follows a CONNECT that is refused may be meant for the tunnel (RFC 9110 §9.3.6).
    persistent: method !== "CONNECT" && (minor === 1 ? !connection.close : connection.keepAlive && !connection.close),
    trailers: connection.trailers,
    webSocketKey,
  };
}

/** RFC 9110 §10.1.1: the one expectation that there is goes to the backend; HTTP/1.0 has none. */
function readExpectation(fields: FieldList, minor: 0 | 1): RequestError | undefined {
  const expect = fieldValue(fields, "expect");
  if (expect === undefined) return undefined;
  if (minor === 0) removeField(fields, "expect");
  else if (expect.toLowerCase() !== "100-continue") return malformed("expectation", 417);
  return undefined;
}

/** Takes the key out of the fields, and what there is no place for in a tunnel (RFC 6455 §4.2.1). */
function takeWebSocketKey(fields: FieldList, contentLength: number | undefined): string | RequestError {
  if (contentLength !== 0) return malformed("websocket_body", 400);
  const key = fieldValue(fields, "sec-websocket-key");
  if (key === undefined || !isWebSocketKey(key)) return malformed("websocket_key", 400);
  if (fieldValue(fields, "sec-websocket-version") === undefined) return malformed("websocket_version", 400);
  removeField(fields, "sec-websocket-key");
  removeField(fields, "content-length");
  return key;
}

function malformed(rule: string, status: number): RequestError {
  return { kind: "malformed", rule, status };
}
