/**
 * A backend of a client connection over a fake transport, with streams that write down what they are told.
 *
 * @module
 */

import { Http2ClientConnection } from "../http2/client.ts";
import type { ClientStreamEvents, RequestHead } from "../message.ts";
import { requestHead, type SentRequest } from "./client_peer.ts";
import { Http2Peer, settings } from "./http2_peer.ts";
import { addData } from "./server_peer.ts";

/** See the module. */
export class Http2ClientPeer extends Http2Peer {
  /** What is told of the connection: `changed`, `closed`. */
  readonly log: string[] = [];
  readonly connection: Http2ClientConnection;

  constructor() {
    super();
    this.connection = new Http2ClientConnection(this.transport, {
      changed: () => this.log.push(this.connection.available ? "changed" : "changed, not available"),
      closed: (unready) =>
        this.log.push(unready === undefined ? "closed" : `closed ${unready.kind}: ${unready.message}`),
    }, { scheme: "http", settingsMs: 10_000 });
  }

  /** Opens a connection: the preface and SETTINGS both ways. */
  static async open(values: Readonly<Record<number, number>> = {}): Promise<Http2ClientPeer> {
    const peer = new Http2ClientPeer();
    await peer.preface();
    peer.send(settings(values));
    await peer.told();
    return peer;
  }

  /** Reads the preface, which is no frame. */
  async preface(): Promise<string> {
    await Promise.resolve();
    const first = this.transport.writes[0] ?? "";
    this.transport.writes[0] = first.slice(24);
    return first.slice(0, 24);
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
