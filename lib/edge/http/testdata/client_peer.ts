/**
 * A connection to a backend over a fake transport, with streams that write down what they are told.
 *
 * @module
 */

import { Http1ClientConnection } from "../http1/client.ts";
import type { ClientStreamEvents, HttpStream, RequestHead } from "../message.ts";
import { FakeTransport } from "./fake_transport.ts";
import { addData } from "./server_peer.ts";

/** A request that was sent. */
export interface SentRequest {
  readonly stream: HttpStream;
  /** `informational 103 a,b`, `response 200 a,b`, `response 204  end`, `data abc`, `end`, `trailers a,b`, `failed …`. */
  readonly events: string[];
  sent: number;
  received: number;
}

/** The head of a GET, but for what is given. */
export function requestHead(head: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    authority: "a.example",
    path: "/",
    protocol: undefined,
    fields: [],
    neverIndexed: undefined,
    contentLength: undefined,
    ...head,
  };
}

/** See the module. */
export class ClientPeer {
  readonly transport = new FakeTransport();
  /** What is told of the connection: `changed`, `closed`. */
  readonly log: string[] = [];
  readonly connection: Http1ClientConnection;

  constructor() {
    this.connection = new Http1ClientConnection(this.transport, {
      changed: () => this.log.push(this.connection.available ? "changed" : "changed, not available"),
      closed: () => this.log.push(this.connection.available ? "closed, but available" : "closed"),
    }, { limits: { maxLength: 65536, maxFields: 256 } });
  }

  /** Sends a request. @param credits Whether to credit each piece of the answer as it comes. */
  request(head: Partial<RequestHead> = {}, end = true, credits = true): SentRequest {
    const events: string[] = [];
    const told: ClientStreamEvents = {
      informational: ({ status, fields }) => events.push(`informational ${status} ${fields}`),
      response: ({ status, fields }, isEnd) => events.push(`response ${status} ${fields}${isEnd ? " end" : ""}`),
      data(bytes) {
        request.received += bytes.length;
        addData(events, bytes);
        if (credits) request.stream.credit(bytes.length);
      },
      trailers: (fields) => events.push(`trailers ${fields}`),
      end: () => events.push("end"),
      failed: (failure) => events.push(`failed ${failure.kind}: ${failure.detail}`),
      sent: (bytes) => request.sent += bytes,
    };
    const request = { stream: this.connection.request(requestHead(head), end, told), events, sent: 0, received: 0 };
    return request;
  }
}
