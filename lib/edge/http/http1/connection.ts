/**
 * What the connections of HTTP/1.1 on either side have in common: octets become calls, one message at a time.
 *
 * @module
 */

import type { HeadLimits, HeadProgress } from "../../../wire/http1_head.ts";
import { type BodyContent, Http1BodyReader } from "./body_reader.ts";
import { Http1BodyWriter } from "./body_writer.ts";
import { Http1Input, type Http1InputTaker } from "./input.ts";
import { Http1Output, type Http1OutputOwner } from "./output.ts";
import type { StreamEvents } from "../message.ts";
import type { Transport, TransportEvents } from "../transport.ts";

/** See the module. Whoever completes it calls `transport.start(this)`. */
export abstract class Http1Connection implements TransportEvents, Http1InputTaker, Http1OutputOwner, BodyContent {
  readonly output: Http1Output;
  readonly body: Http1BodyWriter;
  protected readonly transport: Transport;
  protected readonly limits: HeadLimits;
  protected readonly input: Http1Input;
  /** The body that comes in. */
  protected readonly incoming: Http1BodyReader;
  protected readonly progress: HeadProgress = { searched: 0 };
  #transportClosed = false;

  constructor(transport: Transport, limits: HeadLimits) {
    this.transport = transport;
    this.limits = limits;
    this.input = new Http1Input(transport, this);
    this.output = new Http1Output(transport, this);
    this.body = new Http1BodyWriter(this.output);
    this.incoming = new Http1BodyReader(limits, this);
  }

  abstract readonly wantsMore: boolean;
  abstract take(bytes: Uint8Array): number;
  abstract inputEnded(): void;

  /** Who is to be told of a body, if there is anybody. */
  protected abstract readonly listener: StreamEvents | undefined;
  /** The transport is over. */
  protected abstract lost(error: string | undefined): void;

  received(bytes: Uint8Array): void {
    this.input.received(bytes);
  }

  ended(): void {
    this.input.ended();
  }

  drained(): void {
    this.output.flush();
  }

  closed(error: string | undefined): void {
    this.#transportClosed = true;
    if (error === undefined) {
      this.drained(); // all has left
      if (this.input.ending) return; // but what came is yet to be taken
    }
    this.lost(error);
  }

  bodySent(bytes: number): void {
    this.listener?.sent(bytes);
  }

  bodyReceived(piece: Uint8Array): void {
    const { listener } = this;
    if (listener === undefined) return; // it ended the stream while pieces of the body came
    this.input.handedOn(piece.length);
    listener.data(piece);
  }

  credited(bytes: number): void {
    this.input.credit(bytes);
  }

  /** Whether nothing more can come or go. */
  protected get isTransportClosed(): boolean {
    return this.#transportClosed;
  }

  /** Takes as much of a body as may be handed on. */
  protected takeBody(bytes: Uint8Array): number {
    const { room } = this.input;
    if (room === 0) return 0;
    return this.incoming.feed(bytes.length <= room ? bytes : bytes.subarray(0, room));
  }

  /** Takes and gives nothing any more. @param isCut What was sent is not whole. */
  protected cut(isCut = false): void {
    this.input.stop();
    this.output.discard();
    this.transport.destroy(isCut);
  }
}
