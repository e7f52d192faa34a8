/**
 * An epoll set and whose descriptors are in it.
 *
 * @module
 */

import { EINTR, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, errorName, type Libc } from "./libc.ts";

/** Whoever owns a descriptor in the set. The fields belong to {@linkcode Loop} once it is added. */
export interface Handler {
  /** -1: it has none. */
  fd: number;
  /** Tells this owner of the descriptor number from those before it; 0: it was never added. */
  generation: number;
  /** @param events `EPOLL…` bits. */
  onEvent(events: number): void;
}

const MAX_EVENTS = 512;

// struct epoll_event is packed on x86_64 only, epoll_ctl(2).
const DATA = Deno.build.arch === "x86_64" ? 4 : 8;
const EVENT_LENGTH = DATA + 8;

/**
 * An edge- or level-triggered epoll set.
 *
 * The kernel hands out the number of a closed descriptor again at once, and one `epoll_wait` may bring an event for its
 * old owner behind one in whose course it was closed and given anew. So every event carries the generation of the owner
 * that it was asked for, and one of another generation is dropped.
 */
export class Loop {
  readonly #libc: Libc;
  /** The descriptor of the set itself. */
  readonly fd: number;
  readonly #handlers: (Handler | undefined)[] = [];
  readonly #event = new Uint8Array(EVENT_LENGTH);
  readonly #eventView = new DataView(this.#event.buffer);
  readonly #events = new Uint8Array(EVENT_LENGTH * MAX_EVENTS);
  readonly #eventsView = new DataView(this.#events.buffer);
  #generation = 0;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.fd = libc.epollCreate();
    if (this.fd < 0) throw new Error(`epoll_create1: ${errorName(-this.fd)}`);
  }

  /** Asks for events of `handler.fd`; `false` where the kernel has no room for it. */
  add(handler: Handler, events: number): boolean {
    this.#generation = (this.#generation + 1) | 0 || 1; // 0 is who was never added
    handler.generation = this.#generation;
    this.#eventView.setUint32(0, events, true);
    this.#eventView.setInt32(DATA, handler.fd, true);
    this.#eventView.setInt32(DATA + 4, handler.generation, true);
    if (this.#libc.epollCtl(this.fd, EPOLL_CTL_ADD, handler.fd, this.#event) < 0) return false;
    this.#handlers[handler.fd] = handler;
    return true;
  }

  /** Asks for other events. */
  change(handler: Handler, events: number): void {
    this.#eventView.setUint32(0, events, true);
    this.#eventView.setInt32(DATA, handler.fd, true);
    this.#eventView.setInt32(DATA + 4, handler.generation, true);
    this.#libc.epollCtl(this.fd, EPOLL_CTL_MOD, handler.fd, this.#event);
  }

  /** Gives the descriptor of a handler to another, which is told of its events from now on. */
  replace(from: Handler, to: Handler): void {
    to.fd = from.fd;
    to.generation = from.generation;
    from.fd = -1;
    if (this.#handlers[to.fd] === from) this.#handlers[to.fd] = to;
  }

  /** Takes a descriptor out that stays open. */
  remove(handler: Handler): void {
    if (this.#handlers[handler.fd] !== handler) return;
    this.#handlers[handler.fd] = undefined;
    this.#libc.epollCtl(this.fd, EPOLL_CTL_DEL, handler.fd, this.#event);
  }

  /** Forgets a descriptor that is about to be closed, which takes it out of the set. */
  forget(handler: Handler): void {
    if (this.#handlers[handler.fd] === handler) this.#handlers[handler.fd] = undefined;
  }

  /**
   * Waits for events, at most `timeoutMs`; -1: for ever.
   *
   * @returns How many there are to dispatch.
   */
  wait(timeoutMs: number): number {
    const count = this.#libc.epollWait(this.fd, this.#events, MAX_EVENTS, timeoutMs);
    if (count < 0 && count !== -EINTR) throw new Error(`epoll_wait: ${errorName(-count)}`);
    return Math.max(count, 0);
  }

  /** Hands the events of the last `wait` to the owners of their descriptors. */
  dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_LENGTH;
      const handler = this.#handlers[this.#eventsView.getInt32(at + DATA, true)];
      if (handler === undefined) continue;
      if (handler.generation !== this.#eventsView.getInt32(at + DATA + 4, true)) continue;
      handler.onEvent(this.#eventsView.getUint32(at, true));
    }
  }

  /** All who have a descriptor in the set, at this moment. */
  handlers(): Handler[] {
    return this.#handlers.filter((handler) => handler !== undefined);
  }
}
