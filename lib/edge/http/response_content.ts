/**
 * What an answer may say of its content, and whether it has any.
 *
 * @module
 */

import type { RequestHead, ResponseHead } from "./message.ts";

/** Tells whether an answer opens a tunnel: then bytes go both ways for as long as either side likes. */
export function opensTunnel({ protocol }: RequestHead, { status, upgradeIgnored }: ResponseHead): boolean {
  return protocol !== undefined && status < 300 && upgradeIgnored === undefined;
}

/** Tells whether an answer ends with its head, whatever that says (RFC 9110 §6.4.1, §15.3.6). */
export function hasNoContent(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}

/**
 * The head of an answer, interim or final, without the fields that there is no place for, whoever sent them.
 *
 * An interim answer, a 204 and a tunnel have no length (RFC 9110 §8.6), and a 205 only that of nothing, which is for the
 * connection to say. To HEAD and in a 304 it is that of the content that is not sent. `Sec-WebSocket-Accept` belongs to
 * one connection of HTTP/1.1 (RFC 8441 §5).
 */
export function soundHead(request: RequestHead, head: ResponseHead): ResponseHead {
  const { status, fields } = head;
  const isTunnel = opensTunnel(request, head);
  if (!isTunnel && status >= 200 && status !== 204 && status !== 205) return head;
  const isOfNoPlace = (name = "") => name === "content-length" || (isTunnel && name === "sec-websocket-accept");
  return { ...head, fields: fields.filter((_, i) => !isOfNoPlace(fields[i - i % 2])) };
}
