/**
 * One request to a backend on an HTTP/1.1 connection.
 *
 * @module
 */

import type { FieldList } from "../../../wire/field_list.ts";
import type { Http1BodyWriter } from "./body_writer.ts";
import type { Http1Output } from "./output.ts";
import type { ClientStreamEvents, HttpStream, RequestHead, StreamFailure } from "../message.ts";

/** The connection that a request goes out on. */
export interface Http1ClientStreamOwner {
  readonly output: Http1Output;
  readonly body: Http1BodyWriter;
  /** The stream is over without having come to its end. */
  brokenOff(): void;
  /** So many octets of the answer's body are dealt with. */
  credited(bytes: number): void;
}

/** See the module. */
export class Http1ClientStream implements HttpStream {
  readonly head: RequestHead;
  readonly events: ClientStreamEvents;
  /** Of a WebSocket's handshake. */
  readonly webSocketKey: string | undefined;
  readonly #owner: Http1ClientStreamOwner;
  #phase: "held" | "sending" | "sent" | "over";
  /** What is to go through a tunnel that the backend has not agreed to: as octets of HTTP it would be a request. */
  #held: Uint8Array[] = NOTHING;
  #isEndHeld = false;

  constructor(
    owner: Http1ClientStreamOwner,
    head: RequestHead,
    end: boolean,
    webSocketKey: string | undefined,
    events: ClientStreamEvents,
  ) {
    this.#owner = owner;
    this.head = head;
    this.events = events;
    this.webSocketKey = webSocketKey;
    this.#isEndHeld = end;
    this.#phase = webSocketKey !== undefined ? "held" : end ? "sent" : "sending";
  }

  /** Whether all of the request is written; a handshake is one without a body. */
  get isSent(): boolean {
    return this.#phase === "sent" || this.#phase === "held";
  }

  sendData(bytes: Uint8Array): void {
    if (this.#phase === "held") {
      if (this.#held === NOTHING) this.#held = [];
      this.#held.push(bytes.slice());
    } else if (this.#phase === "sending" && !this.#owner.body.data(bytes)) {
      this.#breakOff("the body of the request is longer than its content-length");
    }
  }

  sendTrailers(fields: FieldList): void {
    this.#end(fields);
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

  /** The backend has agreed to the tunnel: what waits for it goes out. */
  switched(): void {
    if (this.#phase !== "held") return; // reset meanwhile
    const held = this.#held;
    this.#held = NOTHING;
    this.#phase = "sending";
    for (const bytes of held) this.sendData(bytes);
    if (this.#isEndHeld) this.sendEnd();
  }

  /** Nothing of the request is on its way, nor will be. */
  hold(): void {
    this.#phase = "held";
  }

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
    if (this.#phase === "held") this.#isEndHeld = true;
    if (this.#phase !== "sending") return;
    try {
      if (!this.#owner.body.end(trailers)) {
        return this.#breakOff("the body of the request is shorter than its content-length");
      }
    } catch (error) {
      if (error instanceof TypeError) return this.#breakOff(error.message);
      throw error;
    }
    this.#phase = "sent";
    if (this.#owner.body.framing === "raw") this.#owner.output.end();
  }

  /** The request cannot be sent as it is: the backend must see a cut, not a wrong message. */
  #breakOff(detail: string): void {
    this.#phase = "over";
    this.#owner.brokenOff();
    this.events.failed({ kind: "reset", detail });
  }
}

const NOTHING: Uint8Array[] = [];
