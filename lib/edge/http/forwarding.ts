/**
 * What a proxy changes in the fields that it passes on.
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import { fieldValue } from "../../wire/http_fields.ts";
import { randomUuid } from "../../wire/uuid.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** Whose request it is. */
export interface Forwarded {
  /** The real client's IP address. */
  readonly address: string;
  readonly requestId: string;
}

/** Set by us: a client that sends them could pretend to be another. */
const OURS: ReadonlySet<string> = new Set([
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "x-request-id",
]);

/** Meant for a proxy, and no business of the backend's (RFC 9110 §11.7). */
const FOR_PROXIES: ReadonlySet<string> = new Set(["proxy-authorization", "proxy-authenticate", "proxy-connection"]);

/** The head of a request as the backend gets it. */
export function forwardedRequest(head: RequestHead, { address, requestId }: Forwarded): RequestHead {
  const { fields: given } = head;
  const fields: FieldList = [];
  let chain = "";
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i] ?? "";
    const value = given[i + 1] ?? "";
    if (name === "x-forwarded-for") chain += `${value}, `;
    else if (name !== "content-length" && !OURS.has(name) && !FOR_PROXIES.has(name)) fields.push(name, value);
  }
  // Written anew: the list may have named it several times, alike.
  if (head.contentLength !== undefined && fieldValue(given, "content-length") !== undefined) {
    fields.push("content-length", String(head.contentLength));
  }
  fields.push("x-forwarded-for", chain + address, "x-forwarded-proto", "https", "x-forwarded-host", head.authority);
  fields.push("x-real-ip", address, "x-request-id", requestId);
  return { ...head, fields };
}

/** The head of an answer as the client gets it. */
export function forwardedResponse(head: ResponseHead): ResponseHead {
  const { fields } = head;
  for (let i = 0; i < fields.length; i += 2) {
    if (!FOR_PROXIES.has(fields[i] ?? "")) continue;
    return { ...head, fields: fields.filter((_, j) => !FOR_PROXIES.has(fields[j - j % 2] ?? "")) };
  }
  return head;
}

const REQUEST_ID = /^[\w.:+/=@-]{1,128}$/;

/** The request's own id where it has a sound one, else a new one. */
export function requestIdOf(fields: FieldList): string {
  const given = fieldValue(fields, "x-request-id");
  return given !== undefined && REQUEST_ID.test(given) ? given : randomUuid();
}
