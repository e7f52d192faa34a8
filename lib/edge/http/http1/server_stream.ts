/**
 * One request of an HTTP/1.1 connection, and the answer to it.
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import { encodeResponseHead } from "../../../wire/http1_encode.ts";
import { readContentLength } from "../../../wire/http_fields.ts";
import type { Http1BodyWriter } from "./body_writer.ts";
import type { Http1Output } from "./output.ts";
import type { Http1Request } from "./request.ts";
import type { ResponseHead, ServerStream, StreamEvents, StreamFailure } from "../message.ts";
import { webSocketAccept } from "../websocket_handshake.ts";

/** The connection that a request came on. */
export interface Http1ServerStreamOwner {
  readonly output: Http1Output;
  readonly body: Http1BodyWriter;
  /**
   * Whether the connection has to close behind the answer.
   *
   * @param early Whether the rest of a request that is still coming is of no use.
   */
  closesBehind(stream: Http1ServerStream, early: boolean): boolean;
  /** The answer to a WebSocket's handshake is written: octets pass both ways from now on. */
  switched(): void;
  /** The answer is written to its end. */
  answered(): void;
  /** The answer that follows is the client's doing. */
  provoked(): void;
  /** The stream is over without having come to its end. */
  brokenOff(): void;
  /** So many octets of the request's body are dealt with. */
  credited(bytes: number): void;
}

const UNHEARD: StreamEvents = { data() {}, trailers() {}, end() {}, failed() {}, sent() {} };

/** The list of fields of the head that is being written: no list is made for any. */
const fieldsToWrite: FieldList = [];

/** See the module. */
export class Http1ServerStream implements ServerStream {
  events: StreamEvents = UNHEARD;
  readonly request: Http1Request;
  readonly #owner: Http1ServerStreamOwner;
  #phase: "waiting" | "answering" | "answered" | "over" = "waiting";

  constructor(owner: Http1ServerStreamOwner, request: Http1Request) {
    this.#owner = owner;
    this.request = request;
  }

  /** Whether the head of the answer is not written yet. */
  get isWaiting(): boolean {
    return this.#phase === "waiting";
  }

  /** Whether all of the answer is written. */
  get isAnswered(): boolean {
    return this.#phase === "answered";
  }

  inform(head: ResponseHead): void {
    // 101 is not one that more answers follow; HTTP/1.0 knows none (RFC 9110 §15.2).
    if (this.#phase !== "waiting" || this.request.minor === 0 || head.status === 101) return;
    this.#write(head.status, head.fields);
  }

  respond(head: ResponseHead, end: boolean): void {
    if (this.#phase !== "waiting") return;
    if (head.status < 200) return this.#breakOff(`an answer with status ${head.status} is not a final one`);
    const accepts = this.request.head.method === "CONNECT" && head.status < 300 && head.upgradeIgnored === undefined;
    if (accepts && this.request.webSocketKey === undefined) {
      return this.#breakOff("there is no tunnel behind a CONNECT");
    }
    const written = accepts
      ? this.#writeSwitch(head.fields, this.request.webSocketKey ?? "")
      : this.#writeHead(head, end);
    if (!written) return;
    this.#phase = "answering";
    if (accepts) this.#owner.switched();
    if (end) this.sendEnd();
  }

  provoked(): void {
    if (this.#phase === "waiting") this.#owner.provoked();
  }

  sendData(bytes: Uint8Array): void {
    if (this.#phase !== "answering") return;
    if (!this.#owner.body.data(bytes)) this.#breakOff("the body of the answer is longer than its content-length");
  }

  sendTrailers(fields: FieldList): void {
    this.#end(this.request.trailers ? fields : undefined);
  }

  sendEnd(): void {
    this.#end(undefined);
  }

  reset(): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#owner.brokenOff();
  }

  credit(bytes: number): void {
    if (this.#phase !== "over") this.#owner.credited(bytes);
  }

  /** Tells that the request broke off; nothing can be sent any more. */
  fail(failure: StreamFailure): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.events.failed(failure);
  }

  /** Nothing follows on this stream. */
  finish(): void {
    this.#phase = "over";
  }

  #end(trailers: FieldList | undefined): void {
    if (this.#phase !== "answering") return;
    try {
      if (!this.#owner.body.end(trailers)) {
        return this.#breakOff("the body of the answer is shorter than its content-length");
      }
    } catch (error) {
      return this.#breakOff(messageOf(error));
    }
    this.#phase = "answered";
    this.#owner.answered();
  }

  /** Writes the head of an ordinary answer, and begins its body (RFC 9112 §6). */
  #writeHead(head: ResponseHead, end: boolean): boolean {
    const { status } = head;
    const { method } = this.request.head;
    const length = readContentLength(head.fields);
    if (length === "malformed") return this.#refuse("the content-length of the answer is malformed");
    const hasBody = method !== "HEAD" && status !== 204 && status !== 304;
    if (hasBody && end && length !== undefined && length > 0) {
      return this.#refuse("the answer ends without the body that its content-length tells of");
    }
    const closeDelimited = hasBody && !end && length === undefined && this.request.minor === 0;
    // A client that is refused may never send the body that it has announced (RFC 9110 §10.1.1).
    const closes = this.#owner.closesBehind(this, end || status >= 300) || closeDelimited;

    const fields = withoutContentLength(head.fields);
    // RFC 9110 §8.6: none in a 204; in an answer to HEAD and in a 304 it is that of the body that is not sent.
    if (length !== undefined && status !== 204) fields.push("content-length", String(length));
    else if (hasBody && end) fields.push("content-length", "0");
    else if (hasBody && !closeDelimited) fields.push("transfer-encoding", "chunked");
    if (closes) fields.push("connection", "close");
    else if (this.request.minor === 0) fields.push("connection", "keep-alive");

    if (!this.#write(status, fields)) return false;
    if (!hasBody) this.#owner.body.begin("none");
    else if (length !== undefined || end) this.#owner.body.begin("length", length ?? 0);
    else this.#owner.body.begin(closeDelimited ? "raw" : "chunked");
    return true;
  }

  #writeSwitch(fields: FieldList, key: string): boolean {
    const all = withoutContentLength(fields);
    all.push("upgrade", "websocket", "connection", "Upgrade", "sec-websocket-accept", webSocketAccept(key));
    if (!this.#write(101, all)) return false;
    this.#owner.body.begin("raw");
    return true;
  }

  #write(status: number, fields: FieldList): boolean {
    try {
      encodeResponseHead(this.#owner.output.open(), status, fields);
      return true;
    } catch (error) {
      return this.#refuse(messageOf(error));
    }
  }

  #refuse(detail: string): false {
    this.#breakOff(detail);
    return false;
  }

  /** The answer cannot be sent as it is: the client must see a cut, not a wrong message. */
  #breakOff(detail: string): void {
    this.#phase = "over";
    this.#owner.brokenOff();
    this.events.failed({ kind: "reset", detail });
  }
}

/** The fields, in the list that is used again and again. */
function withoutContentLength(fields: FieldList): FieldList {
  fieldsToWrite.length = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (name !== "content-length") fieldsToWrite.push(name, fields[i + 1] ?? "");
  }
  return fieldsToWrite;
}

function messageOf(error: unknown): string {
  if (error instanceof TypeError) return error.message;
  throw error;
}
