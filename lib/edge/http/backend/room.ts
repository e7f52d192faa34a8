/**
 * How many connections a backend has at once, over all pools of it, and how many requests each client has there.
 *
 * @module
 */

import type { Turn } from "../turn.ts";

/** How long a connection has carried the same requests where it counts as taken up for long. */
export const LONG_MS = 10_000;

/** An open connection to a backend. */
export interface Tenant {
  /** Whether it carries nothing. */
  readonly isIdle: boolean;
  /** Whether it has room for no other request, and has carried what it carries for {@linkcode LONG_MS}, or a WebSocket. */
  isLong(now: number): boolean;
  close(): void;
}

/** A pool whose requests wait for room. */
export interface Waiting {
  /** There may be room now. */
  roomMade(): void;
}

/** What one client has at a backend. */
export class ClientShare {
  /** Requests that were sent and are not over. */
  held = 0;
  /** Requests that wait for a connection. */
  waiting = 0;
  /** Of those, how many {@linkcode BackendRoom.sendable} has counted, and in which of its calls. */
  counted = 0;
  call = 0;

  constructor(readonly client: string) {}
}

/**
 * See the module. Places are given out before a connection is dialled: {@linkcode take}, then {@linkcode open} or
 * {@linkcode failed}, then {@linkcode left}.
 *
 * WebSockets and requests that take long do not use up what others need: connections that are taken up by them are
 * counted apart, with the same limit. No client holds more than half of what the connections carry.
 */
export class BackendRoom {
  readonly #max: number;
  readonly #turn: Turn;
  readonly #tenants = new Set<Tenant>();
  readonly #shares = new Map<string, ClientShare>();
  #dialling = 0;
  #waiting = new Set<Waiting>();
  #isWaking = false;
  #calls = 0;

  /** @param max Connections at once, those that are being dialled included; at least 1. */
  constructor(max: number, turn: Turn) {
    this.#max = max;
    this.#turn = turn;
  }

  /** Connections that are open or being dialled. */
  get taken(): number {
    return this.#tenants.size + this.#dialling;
  }

  // ---- Connections ---------------------------------------------------------------------------------------------------

  /** Takes a place for a connection that is to be dialled. @returns Whether there was one; if not, `pool` hears of the next. */
  take(pool: Waiting): boolean {
    if (this.taken >= this.#max && !this.#makeRoom()) {
      this.#waiting.add(pool);
      return false;
    }
    this.#dialling++;
    return true;
  }

  /** A dial succeeded: `tenant` has its place. */
  open(tenant: Tenant): void {
    this.#dialling--;
    this.#tenants.add(tenant);
  }

  /** A dial failed. */
  failed(): void {
    this.#dialling--;
    this.changed();
  }

  /** A connection is gone. */
  left(tenant: Tenant): void {
    if (this.#tenants.delete(tenant)) this.changed();
  }

  /** A place, or part of a share, may have come free: pools that wait hear of it at the end of the turn. */
  changed(): void {
    if (this.#waiting.size === 0 || this.#isWaking) return;
    this.#isWaking = true;
    this.#turn.atEnd(this);
  }

  endTurn(): void {
    this.#isWaking = false;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const pool of waiting) pool.roomMade();
  }

  /** A connection that another pool keeps for later gives way. */
  #makeRoom(): boolean {
    let long = 0;
    for (const tenant of this.#tenants) {
      if (tenant.isIdle) {
        tenant.close();
        if (this.taken < this.#max) return true;
      } else if (long < this.#max && tenant.isLong(this.#turn.now)) long++;
    }
    return this.taken - long < this.#max;
  }

  // ---- Clients -------------------------------------------------------------------------------------------------------

  /** What `client` has here. */
  shareOf(client: string): ClientShare {
    let share = this.#shares.get(client);
    if (share === undefined) this.#shares.set(client, share = new ClientShare(client));
    return share;
  }

  /**
   * Whether a request may be sent for a client.
   *
   * @param capacity How many requests a connection carries at once.
   */
  allows({ held }: ClientShare, capacity: number): boolean {
    return held < this.#limit(capacity);
  }

  #limit(capacity: number): number {
    return Math.ceil(this.#max / 2) * capacity;
  }

  /** How many of these requests lack nothing but a connection: the others wait until their client has less under way. */
  sendable(waiting: Iterable<{ readonly share: ClientShare }>, capacity: number): number {
    const call = ++this.#calls;
    const limit = this.#limit(capacity);
    let sendable = 0;
    for (const { share } of waiting) {
      if (share.call !== call) {
        share.call = call;
        share.counted = 0;
      }
      if (share.held + share.counted >= limit) continue;
      share.counted++;
      sendable++;
    }
    return sendable;
  }

  /** A pool has a request that waits until its client has less under way. */
  waitFor(pool: Waiting): void {
    this.#waiting.add(pool);
  }

  /** A request that was sent is over. */
  release(share: ClientShare): void {
    share.held--;
    this.forget(share);
    if (share.waiting > 0) this.changed();
  }

  /** Nothing of a client may be left: its share goes then. */
  forget(share: ClientShare): void {
    if (share.held + share.waiting === 0) this.#shares.delete(share.client);
  }
}
