/**
 * A server connection over a fake transport, with a handler that writes down what it is told.
 *
 * @module
 */

import { Http1ServerConnection } from "../http1/server.ts";
import type { RequestHead, ServerStream } from "../message.ts";
import { FakeTransport, latin1 } from "./fake_transport.ts";

/** A request that the handler was given. */
export interface SeenRequest {
  readonly head: RequestHead;
  readonly end: boolean;
  readonly stream: ServerStream;
  /** What came on the stream, pieces of the body in a row as one: `data abc`, `end`, `trailers a,b`, `failed reset: …`. */
  readonly events: string[];
  /** How many octets were told to have left. */
  sent: number;
  /** How many octets of body came. */
  received: number;
}

/** What a test may change. */
export interface ServerPeerOptions {
  /** Does something with each request as it comes. */
  readonly onRequest?: (request: SeenRequest) => void;
  /** Does something at its end. */
  readonly onEnd?: (request: SeenRequest) => void;
  /** Credits each piece of a body as it comes: the default. */
  readonly credits?: boolean;
  readonly lingerMs?: number;
}

/** See the module. */
export class ServerPeer {
  readonly transport = new FakeTransport();
  readonly requests: SeenRequest[] = [];
  /** What is told of the connection: `activity 1`, `malformed host 400`, `closed`. */
  readonly log: string[] = [];
  readonly connection: Http1ServerConnection;

  constructor(options: ServerPeerOptions = {}) {
    this.connection = new Http1ServerConnection(
      this.transport,
      {
        request: (stream, head, end) => this.#see(stream, head, end, options),
        malformed: (detail, status) => {
          this.log.push(`malformed ${detail} ${status}`);
          return "id-1";
        },
      },
      {
        headBegun: () => this.log.push("head begun"),
        headEnded: () => this.log.push("head ended"),
        activity: (active) => this.log.push(`activity ${active}`),
        closed: (error) => this.log.push(error === undefined ? "closed" : `closed ${error}`),
      },
      {
        limits: { maxLength: 65536, maxFields: 256 },
        ...(options.lingerMs === undefined ? {} : { lingerMs: options.lingerMs }),
      },
    );
  }

  /** The last request. */
  get last(): SeenRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error("no request has come");
    return request;
  }

  #see(stream: ServerStream, head: RequestHead, end: boolean, options: ServerPeerOptions): void {
    const request: SeenRequest = { head, end, stream, events: [], sent: 0, received: 0 };
    this.requests.push(request);
    const over = (event: string) => {
      request.events.push(event);
      options.onEnd?.(request);
    };
    stream.events = {
      data(bytes) {
        request.received += bytes.length;
        addData(request.events, bytes);
        if (options.credits !== false) stream.credit(bytes.length);
      },
      trailers: (fields) => over(`trailers ${fields}`),
      end: () => over("end"),
      failed: (failure) => request.events.push(`failed ${failure.kind}: ${failure.detail}`),
      sent: (bytes) => request.sent += bytes,
    };
    options.onRequest?.(request);
    if (end) options.onEnd?.(request);
  }
}

/** Writes down a piece of a body, together with one before it. */
export function addData(events: string[], bytes: Uint8Array): void {
  if (bytes.length === 0) throw new Error("a piece of a body is empty");
  const last = events.at(-1);
  if (last?.startsWith("data ")) events[events.length - 1] = last + latin1(bytes);
  else events.push(`data ${latin1(bytes)}`);
}

/** Answers with 200 and these fields and this body. */
export function answer(request: SeenRequest, body = "", fields: string[] = []): void {
  const length = ["content-length", String(body.length)];
  request.stream.respond({ status: 200, fields: [...fields, ...length], neverIndexed: undefined }, body === "");
  if (body === "") return;
  request.stream.sendData(Uint8Array.from(body, (character) => character.charCodeAt(0)));
  request.stream.sendEnd();
}
