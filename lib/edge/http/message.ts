/**
 * A request and its answer, as they pass between connections of any HTTP version.
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import type { DialError } from "./backend/dial_error.ts";

/** How a request begins (RFC 9110 §6.2, in the terms of RFC 9113 §8.3.1). */
export interface RequestHead {
  /** A token; `CONNECT` with a `protocol` for a WebSocket, whichever way it was asked for. */
  readonly method: string;
  /** Of the target: a host name or address, with a port where one was given; `""` where HTTP/1.0 gives none. */
  readonly authority: string;
  /** With the query; `*` of OPTIONS, `""` of a plain CONNECT. */
  readonly path: string;
  /** `websocket` of an upgrade (RFC 6455 §4.1) or an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined;
  /** Names in lower case; neither `host` nor one that belongs to a single connection. */
  readonly fields: FieldList;
  /** The names of fields that are never to enter a compression table (RFC 7541 §7.1.3). */
  readonly neverIndexed: ReadonlySet<string> | undefined;
  /** The length of the body, where it is told; 0 where there is none. */
  readonly contentLength: number | undefined;
}

/** How an answer begins. */
export interface ResponseHead {
  /** A 2xx in answer to the handshake of a WebSocket that took it for a plain GET (RFC 9110 §7.8): there is no tunnel. */
  readonly upgradeIgnored?: true;
  /** 200 to 599; of a WebSocket that was accepted, 200, as in RFC 8441 §5.1, without `upgradeIgnored`. */
  readonly status: number;
  /** Names in lower case; none that belongs to a single connection. */
  readonly fields: FieldList;
  readonly neverIndexed: ReadonlySet<string> | undefined;
}

/** Why a stream broke off. */
export type StreamFailure =
  /** The peer, or its connection, gave up. */
  | { readonly kind: "reset"; readonly detail: string }
  /** The peer has certainly not looked at the request: it may be sent again. */
  | { readonly kind: "refused"; readonly detail: string }
  /** The peer broke a rule of the protocol. */
  | { readonly kind: "malformed"; readonly detail: string };

/**
 * What comes in on a stream, in order; nothing more of the body comes after `end`, `trailers` or `failed`.
 *
 * Behind the end of the body there is `sent` still, and `failed` as long as not all that was sent has left. A call of the
 * stream may bring `sent` before it returns, and `failed` where what it was given cannot be sent.
 */
export interface StreamEvents {
  /** @param bytes Valid during the call only. They count against what may be outstanding until they are credited. */
  data(bytes: Uint8Array): void;
  /** The fields behind the body, and with them its end. */
  trailers(fields: FieldList): void;
  /** The body is over. */
  end(): void;
  /** No more comes, and nothing more can be sent. */
  failed(failure: StreamFailure): void;
  /** So many bytes that were sent have left for the network. */
  sent(bytes: number): void;
}

/** What comes in on a stream of ours to a backend. */
export interface ClientStreamEvents extends StreamEvents {
  /** A 1xx answer; more answers follow. */
  informational(head: ResponseHead): void;
  /** @param end Whether there is no body. */
  response(head: ResponseHead, end: boolean): void;
}

/** The half of a stream that is ours to write. Calls on a stream that failed or was reset do nothing. */
export interface HttpStream {
  /** Sends a part of the body; what cannot leave yet is copied and kept. The events tell when it has left. */
  sendData(bytes: Uint8Array): void;
  /** Ends the body with these fields behind it. */
  sendTrailers(fields: FieldList): void;
  /** Ends the body. */
  sendEnd(): void;
  /** Breaks the stream off, in both directions; `refused` where nothing was done for the request. No event follows. */
  reset(reason: "cancelled" | "refused" | "internal_error" | "malformed"): void;
  /** So many bytes of those that came in are dealt with: as many more may come. */
  credit(bytes: number): void;
}

/** A request of a client. */
export interface ServerStream extends HttpStream {
  events: StreamEvents;
  /** Sends a 1xx answer. */
  inform(head: ResponseHead): void;
  /** Sends the head of the answer. Its body may be sent before all of the request has come. */
  respond(head: ResponseHead, end: boolean): void;
  /** The client alone brought about the answer that follows: a connection with too many of them ends in order. */
  provoked(): void;
}

/** Takes the requests of a client connection. */
export interface RequestHandler {
  /** Sets the stream's events before it returns. @param end Whether there is no body. */
  request(stream: ServerStream, head: RequestHead, end: boolean): void;
  /** A request that could not be read; where it is answered at all, with this status. @returns An id for the answer. */
  malformed(detail: string, status: number | undefined): string;
}

/** A connection of ours to a backend. */
export interface ClientConnection {
  /** Whether a request can be sent on it now. */
  readonly available: boolean;
  /** Whether the backend has said how many requests it takes; it takes none before. */
  readonly ready: boolean;
  /** How many requests are under way. */
  readonly active: number;
  /** How many may be under way at once; at least 1. */
  readonly capacity: number;
  /** Whether it can carry a WebSocket; `undefined`: the backend has not said yet. */
  readonly carriesWebSockets: boolean | undefined;
  /** Sends a request. @throws {TypeError} If it is not available. */
  request(head: RequestHead, end: boolean, events: ClientStreamEvents): HttpStream;
  /** Ends it once nothing is under way. */
  close(): void;
}

/** What a connection to a backend tells its pool. */
export interface ClientConnectionEvents {
  /** It may have become available, or idle. */
  changed(): void;
  /**
   * It is over, and so is every stream of it.
   *
   * @param unready Why, where it never came to carry a request.
   */
  closed(unready?: DialError): void;
}

/** A client's connection. */
export interface ServerConnection {
  /** How many requests are under way. */
  readonly active: number;
  /** Takes no new request, and ends once nothing is under way (RFC 9113 §6.8, RFC 9112 §9.6). */
  drain(): void;
  /** Ends it at once. */
  abort(): void;
}

/** What a client's connection tells its owner. */
export interface ServerConnectionEvents {
  /** The first octets of a head came without the rest: the time that it may take begins. */
  headBegun(): void;
  /** The rest of it came. */
  headEnded(): void;
  /** A request began or ended: how many are under way. */
  activity(active: number): void;
  /**
   * It is over.
   *
   * @param error What the system or the client's breach of the protocol was, if it was not in order.
   * @param isBreach Whether it was ended for such a breach.
   */
  closed(error: string | undefined, isBreach: boolean): void;
}
