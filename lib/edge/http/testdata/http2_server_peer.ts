/**
 * A client of a server connection over a fake transport, and a handler that writes down what it is told.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { FieldList } from "../../../wire/field_list.ts";
import * as h2 from "../../../wire/http2_frames.ts";
import { Http2ServerConnection } from "../http2/server.ts";
import { Http2Peer, joined, settings, SETTINGS_ACK } from "./http2_peer.ts";
import { addData, type SeenRequest, type ServerPeerOptions } from "./server_peer.ts";

/** The pseudo-header fields of a request, and others. */
export function requestFields(method = "GET", fields: FieldList = [], path = "/"): FieldList {
  return [":method", method, ":scheme", "https", ":authority", "a.example", ":path", path, ...fields];
}

/** See the module. */
export class Http2ServerPeer extends Http2Peer {
  readonly requests: SeenRequest[] = [];
  /** What is told of the connection: `activity 1`, `malformed bad_path undefined`, `closed`. */
  readonly log: string[] = [];
  /** What was told of heads that come in parts. */
  readonly heads: string[] = [];
  readonly connection: Http2ServerConnection;

  constructor(options: ServerPeerOptions = {}) {
    super();
    this.connection = new Http2ServerConnection(this.transport, {
      request: (stream, head, end) => {
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
      },
      malformed: (detail, status) => {
        this.log.push(`malformed ${detail} ${status}`);
        return "id-1";
      },
    }, {
      headBegun: () => this.heads.push("begun"),
      headEnded: () => this.heads.push("ended"),
      activity: (active) => this.log.push(`activity ${active}`),
      closed: (error, isBreach) => {
        assert.ok(!isBreach || error !== undefined);
        this.log.push(error === undefined ? "closed" : `closed ${isBreach ? "for a breach: " : ""}${error}`);
      },
    });
  }

  /** Opens a connection: the preface and SETTINGS both ways. */
  static async open(
    values: Readonly<Record<number, number>> = {},
    options: ServerPeerOptions = {},
  ): Promise<Http2ServerPeer> {
    const peer = new Http2ServerPeer(options);
    peer.send(joined(h2.PREFACE, settings(values), SETTINGS_ACK));
    await peer.told();
    return peer;
  }

  /** Sends a request. */
  request(stream: number, method = "GET", fields: FieldList = [], end = method === "GET"): SeenRequest {
    const flags = end ? h2.END_HEADERS | h2.END_STREAM : h2.END_HEADERS;
    this.send(this.headers(stream, requestFields(method, fields), flags));
    return this.last;
  }

  /** The last request. */
  get last(): SeenRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error("no request has come");
    return request;
  }
}
