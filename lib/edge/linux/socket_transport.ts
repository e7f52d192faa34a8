/**
 * A socket of the worker's as a transport: what waits to leave, what is read when, and how it ends.
 *
 * Level-triggered: a turn reads what one call brings, and is told of the rest again. So no call is made only to hear
 * EAGAIN, and a connection that sends much has no more turns than others.
 *
 * @module
 */

import { endForFault, type FaultReport, HIGH_WATER, type Transport, type TransportEvents } from "../http/transport.ts";
import type { TurnTask } from "../http/turn.ts";
import { Backlog } from "./backlog.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "./libc.ts";
import type { Handler } from "./loop.ts";
import type { Thread } from "./thread.ts";
import type { LoopTurn } from "./turn.ts";

const RESET = "the connection was reset";

/** What a send gives in place of a number of bytes. */
export const SEND_BROKEN = -1;

/** See the module. How bytes pass over the socket is a matter of the subclass. */
export abstract class SocketTransport implements Transport, Handler, TurnTask {
  fd = -1;
  generation = 0;
  protected readonly thread: Thread;
  protected events: TransportEvents | undefined;
  /** Told of what is thrown in an event. */
  protected report: FaultReport | undefined;
  /** What epoll was asked for; -1: nothing, and the descriptor is out of the set. */
  #watched = -1;
  /** What waits to leave: nothing, on most. */
  #waiting: Backlog | undefined;
  protected paused = false;
  /** The peer sends no more. */
  protected inputEnded = false;
  /** Nothing can be sent any more, but there may be something to read. */
  #outputBroken = false;
  #ending = false;
  #shut = false;
  /** At the end of a turn, or of the next: whether to read on, and whether to look if both sides have ended. */
  #readsOn = false;
  #isTask = false;
  protected over = false;

  constructor(thread: Thread) {
    this.thread = thread;
  }

  get turn(): LoopTurn {
    return this.thread.turn;
  }

  /** Reads what there is, and tells of it. */
  protected abstract readable(): void;
  /** Whether bytes were taken from the socket that it does not tell of any more. */
  protected abstract readonly hasPending: boolean;
  /** Sends what there is room for. @returns How many bytes, or {@linkcode SEND_BROKEN}. */
  protected abstract send(bytes: Uint8Array<ArrayBuffer>): number;
  /** Says to the peer that no more comes. @returns Whether there was room for it: if not, it is called again. */
  protected abstract shut(): boolean;
  /** Whether what the peer sent before it broke off is worth reading: an answer is, a request is not. */
  protected abstract readonly readsAfterReset: boolean;
  /** Gives up what belongs to it beside the descriptor. */
  protected release(): void {}

  get leavesAtOnce(): boolean {
    return true;
  }

  get backlog(): number {
    return this.#waiting?.length ?? 0;
  }

  start(events: TransportEvents): void {
    this.events = events;
    this.watch();
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.over || this.#ending || this.#outputBroken) return;
    let sent = 0;
    if (this.#waiting === undefined) {
      sent = this.send(bytes);
      if (sent === SEND_BROKEN) return this.#breakOutput();
      if (sent === bytes.length) return;
    }
    (this.#waiting ??= new Backlog(this.thread.pool)).push(sent === 0 ? bytes : bytes.subarray(sent));
    this.watch();
  }

  pause(): void {
    this.paused = true;
    this.watch();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.watch();
    if (!this.over && this.hasPending) this.readOnLater(); // one that pauses and resumes gets no more than its turns
  }

  end(): void {
    if (this.over || this.#ending) return;
    this.#ending = true;
    if (this.#waiting === undefined) this.#shutNow();
  }

  destroy(isCut = false): void {
    if (this.over) return;
    this.over = true;
    this.#forgetWaiting();
    this.release();
    this.thread.closeSocket(this, isCut);
  }

  fault(thrown: unknown): void {
    if (this.over) this.report?.(thrown);
    else endForFault(this, this.events, (what) => this.report?.(what), thrown);
  }

  onEvent(events: number): void {
    try {
      this.handle(events);
    } catch (thrown) {
      this.fault(thrown);
    }
  }

  /** Does what events call for. */
  protected handle(events: number): void {
    if ((events & EPOLLOUT) !== 0) this.#writable();
    if (this.over) return;
    if ((events & EPOLLIN) !== 0 && !this.paused && !this.inputEnded) return this.readable();
    if ((events & (EPOLLERR | EPOLLHUP)) === 0) return;
    if (this.inputEnded && this.#shut && (events & EPOLLERR) === 0) return this.#closeIfBothEnded();
    if (!this.inputEnded && this.paused && ((events & EPOLLERR) === 0 || this.readsAfterReset)) this.#unwatch();
    else this.broken(RESET);
  }

  endTurn(): void {
    this.#isTask = false;
    if (this.over) return;
    try {
      if (this.#readsOn && !this.paused && !this.inputEnded) {
        this.#readsOn = false;
        this.readable();
      }
      this.#closeIfBothEnded();
    } catch (thrown) {
      this.fault(thrown);
    }
  }

  /** Reads on at the end of this turn: no event will tell of what there is. */
  protected readOn(): void {
    this.#readsOn = true;
    this.doLater();
  }

  /** Reads on in the next turn, when others have had theirs. */
  protected readOnLater(): void {
    this.#readsOn = true;
    if (this.#isTask) return;
    this.#isTask = true;
    this.turn.atNextEnd(this);
  }

  protected doLater(): void {
    if (this.#isTask) return;
    this.#isTask = true;
    this.turn.atEnd(this);
  }

  #writable(): void {
    if (this.#waiting === undefined && this.#ending) this.#shutNow();
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    while (waiting.length > 0) {
      const { first } = waiting;
      const sent = this.send(first);
      if (sent === SEND_BROKEN) return this.#breakOutput();
      waiting.drop(sent);
      if (sent < first.length) break;
    }
    if (waiting.length === 0) this.#waiting = undefined;
    this.watch();
    if (this.#waiting === undefined && this.#ending) this.#shutNow();
    else if (waiting.length <= HIGH_WATER / 2) this.events?.drained();
  }

  #forgetWaiting(): void {
    this.#waiting?.clear();
    this.#waiting = undefined;
  }

  /** The peer sends no more. */
  protected endInput(): void {
    if (this.#outputBroken) return this.broken(RESET);
    this.inputEnded = true;
    this.watch();
    this.events?.ended();
    this.#closeIfBothEnded();
  }

  /** There is no connection any more. */
  protected broken(error: string): void {
    if (this.over) return;
    this.destroy();
    this.events?.closed(error);
  }

  /** What was sent before the peer broke off may still be there, and is read first; the error is what reads end with. */
  #breakOutput(): void {
    this.#outputBroken = true;
    this.#forgetWaiting();
    this.#shut = true;
    if (!this.readsAfterReset) this.inputEnded = true;
    this.watch();
    this.readOn();
  }

  /** Asks epoll for what is wanted now. Where it has no room, the connection ends at the end of the turn. */
  protected watch(): void {
    if (this.over) return;
    const reads = !this.paused && !this.inputEnded && this.events !== undefined;
    const writes = this.#waiting !== undefined || (this.#ending && !this.#shut);
    if (this.watchFor((reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0))) return;
    this.inputEnded = true;
    this.#breakOutput();
  }

  /** Asks epoll for these events. @returns Whether it has room for the descriptor. */
  protected watchFor(events: number): boolean {
    if (events === this.#watched || (events === 0 && this.#watched < 0)) return true;
    if (this.#watched >= 0) this.thread.loop.change(this, events);
    else if (!this.thread.loop.add(this, events)) return false;
    this.#watched = events;
    return true;
  }

  /** Takes the descriptor out of the set: an error, or the end of both sides, would be told again and again. */
  #unwatch(): void {
    this.thread.loop.remove(this);
    this.#watched = -1;
  }

  /** It is in the set already, for these events. */
  protected isWatchedFor(events: number): void {
    this.#watched = events;
  }

  #shutNow(): void {
    if (this.#shut) return;
    this.#shut = this.shut();
    this.watch();
    if (this.#shut && this.inputEnded) this.doLater();
  }

  #closeIfBothEnded(): void {
    if (!this.inputEnded || !this.#shut || this.over) return;
    if (this.#outputBroken) return this.broken(RESET);
    this.destroy();
    this.events?.closed(undefined);
  }
}
