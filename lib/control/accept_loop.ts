/**
 * Accepting connections of those who look after the program, whatever the system says.
 *
 * @module
 */

import { accept } from "../edge/listen.ts";
import { messageOf } from "../edge/thrown.ts";
import type { DescriptorReserve } from "./descriptor_reserve.ts";
import { Outage } from "./outage.ts";

/** How long accepting rests after the system refused it. */
const PAUSE_MS = 100;

/** What an {@linkcode AcceptLoop} reports; each once until the other. */
export interface AcceptEvents {
  /** The system refuses to accept (`EMFILE`, `ENFILE`, …). */
  acceptFailed(reason: string): void;
  acceptRecovered(): void;
}

/** What a listener has to be able to do. */
interface Listener<Conn> {
  accept(): Promise<Conn>;
  close(): void;
}

/** Accepts connections until it is closed; what the system refuses, it asks for again. */
export class AcceptLoop<Conn extends { close(): void }> {
  readonly #listener: Listener<Conn>;
  readonly #reserve: DescriptorReserve;
  readonly #take: (conn: Conn) => void | Promise<void>;
  readonly #outage: Outage;
  readonly #over: Promise<void>;
  #pause: PromiseWithResolvers<void> | undefined;
  #isFailing = false;
  #isClosed = false;

  /**
   * @param reserve What it accepts with when the process has no other descriptor.
   * @param take Takes a connection over, the next one when it resolves; what it throws ends that connection.
   */
  constructor(
    listener: Listener<Conn>,
    reserve: DescriptorReserve,
    take: (conn: Conn) => void | Promise<void>,
    events: AcceptEvents,
  ) {
    this.#listener = listener;
    this.#reserve = reserve;
    this.#take = take;
    this.#outage = new Outage({
      failed: (reason) => events.acceptFailed(reason),
      recovered: () => events.acceptRecovered(),
    });
    this.#over = this.#run();
  }

  /** Why the system refuses to accept; `undefined` while it does not. */
  get problem(): string | undefined {
    return this.#outage.reason;
  }

  /** Accepts no more; resolves when the address is free. To repeat it is harmless. */
  close(): Promise<void> {
    if (this.#isClosed) return this.#over;
    this.#isClosed = true;
    this.#pause?.resolve();
    this.#listener.close();
    return this.#over;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      let conn: Conn;
      try {
        conn = await accept(this.#listener);
      } catch (error) {
        if (this.#isClosed) return;
        if (!this.#reserve.lend()) await this.#rest(messageOf(error));
        continue;
      }
      if (this.#isFailing) this.#outage.recovered();
      this.#isFailing = false;
      try {
        await this.#take(conn);
      } catch {
        conn.close(); // it was over before it could be served
      }
    }
  }

  async #rest(reason: string): Promise<void> {
    if (!this.#isFailing) this.#outage.failed(reason);
    this.#isFailing = true;
    this.#pause = Promise.withResolvers();
    const timer = setTimeout(this.#pause.resolve, PAUSE_MS);
    await this.#pause.promise;
    clearTimeout(timer);
  }
}
