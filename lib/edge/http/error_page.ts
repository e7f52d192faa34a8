/**
 * Answers of our own.
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import { fieldValue } from "../../wire/http_fields.ts";
import type { RequestHead, ServerStream } from "./message.ts";

/** The answers that there are. */
export const ERROR_TITLES = {
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  408: "Request Timeout",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
} as const;

/** See {@linkcode ERROR_TITLES}. */
export type ErrorStatus = keyof typeof ERROR_TITLES;

/** What a gRPC client is told (grpc/doc/http-grpc-status-mapping.md, statuscodes.md). */
const GRPC_CODES: Readonly<Record<ErrorStatus, number | undefined>> = {
  400: 13,
  403: 7,
  405: undefined,
  408: 14,
  421: undefined, // HTTP's own: it has the client open another connection
  431: 8,
  501: undefined, // no gRPC client sends what is answered so
  502: 14,
  503: 14,
  504: 14,
};

/** What we forward whatever the backend does with it, as far as methods have names that everybody knows (RFC 9110 §15.5.6). */
export const ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const encoder = new TextEncoder();

/** What the client was answered. */
export interface Answered {
  readonly status: number;
  readonly grpcStatus: number | undefined;
}

/** Answers with a short page, or with a gRPC status where a gRPC client asks. */
export function answerWithError(
  stream: ServerStream,
  head: RequestHead,
  status: ErrorStatus,
  requestId: string,
): Answered {
  const grpcStatus = isGrpc(head) ? GRPC_CODES[status] : undefined;
  if (grpcStatus !== undefined) {
    const message = `mc-proxy: ${ERROR_TITLES[status]} (request id ${requestId})`;
    const fields = ["content-type", "application/grpc", "grpc-status", String(grpcStatus), "grpc-message", message];
    stream.respond({ status: 200, fields, neverIndexed: undefined }, true);
    return { status: 200, grpcStatus };
  }
  const page = encoder.encode(`${status} ${ERROR_TITLES[status]}\nrequest id: ${requestId}\n`);
  const fields: FieldList = ["content-type", "text/plain; charset=utf-8", "content-length", String(page.length)];
  fields.push("cache-control", "no-store", "x-request-id", requestId);
  if (status === 405) fields.push("allow", ALLOWED_METHODS);
  if (status === 503) fields.push("retry-after", "1");
  const bodiless = head.method === "HEAD";
  stream.respond({ status, fields, neverIndexed: undefined }, bodiless);
  const answered = { status, grpcStatus: undefined };
  if (bodiless) return answered;
  stream.sendData(page);
  stream.sendEnd();
  return answered;
}

/** The outcome of a gRPC call, of the fields behind its answer or, where it has no messages, of its head. */
export function grpcStatusOf(fields: FieldList): number | undefined {
  const status = fieldValue(fields, "grpc-status");
  return status !== undefined && /^\d{1,3}$/.test(status) ? Number(status) : undefined;
}

/** gRPC over HTTP/2: `application/grpc`, `application/grpc+proto`, but not gRPC-Web. */
export function isGrpc({ fields }: RequestHead): boolean {
  return /^application\/grpc(?:$|[+;])/.test(fieldValue(fields, "content-type") ?? "");
}
