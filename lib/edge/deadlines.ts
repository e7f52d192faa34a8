/**
 * Time-outs of many connections at a cost that does not grow with their number.
 *
 * @module
 */

/** Something that can be too late. The fields belong to {@linkcode Deadlines}. */
export interface Expirable {
  /** In ms of `performance.now()`. */
  deadline: number;
  /** The slot of the wheel it is in, -1 for none. */
  slot: number;
  /** Called once when the deadline has passed, at most one tick late. */
  expire(): void;
}

const SLOTS = 512;

/**
 * A hashed timing wheel (Varghese & Lauck 1987, scheme 6), turned by whoever has the clock.
 *
 * Setting, clearing and expiring cost the same however many wait. An idle time-out is put off with every read, so
 * {@linkcode Deadlines.extend} only writes a number: the entry is moved when its old slot comes round.
 */
export class Deadlines {
  readonly tickMs: number;
  readonly #slots: Set<Expirable>[] = Array.from({ length: SLOTS }, () => new Set());
  #size = 0;
  #turned: number; // the last tick whose slot was emptied
  #now: number;

  /**
   * @param now A monotonic clock, in ms.
   * @param tickMs How late an expiry may be, in ms, beside how late `advance` is called.
   */
  constructor(now: number, tickMs = 50) {
    this.tickMs = tickMs;
    this.#now = now;
    this.#turned = Math.floor(now / tickMs);
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** The time of the last `advance`. */
  get now(): number {
    return this.#now;
  }

  /** Sets the deadline of `entry` to `ms` from `now`, in place of any it had. */
  set(entry: Expirable, ms: number, now: number = this.#now): void {
    this.clear(entry);
    this.#size++;
    entry.deadline = now + ms;
    this.#place(entry);
  }

  /** Puts off the deadline of a waiting `entry` to `ms` from the last `advance`; never brings it forward. */
  extend(entry: Expirable, ms: number): void {
    entry.deadline = Math.max(entry.deadline, this.#now + ms);
  }

  /** Forgets `entry`; nothing happens where it does not wait. */
  clear(entry: Expirable): void {
    if (entry.slot < 0) return;
    this.#slots[entry.slot]?.delete(entry);
    entry.slot = -1;
    this.#size--;
  }

  /** Turns the wheel to `now` and expires whatever is due. */
  advance(now: number): void {
    this.#now = now;
    const until = Math.floor(now / this.tickMs);
    // After a long pause one round sees every slot.
    this.#turned = Math.max(this.#turned, until - SLOTS);
    while (this.#turned < until && this.#size > 0) {
      const slot = this.#slots[++this.#turned % SLOTS];
      if (slot === undefined || slot.size === 0) continue;
      for (const entry of [...slot]) this.#visit(entry, slot);
    }
    this.#turned = Math.max(this.#turned, until);
  }

  #place(entry: Expirable): void {
    const due = Math.ceil(entry.deadline / this.tickMs);
    const tick = Math.min(Math.max(due, this.#turned + 1), this.#turned + SLOTS);
    entry.slot = tick % SLOTS;
    this.#slots[entry.slot]?.add(entry);
  }

  #visit(entry: Expirable, slot: Set<Expirable>): void {
    if (!slot.has(entry)) return; // cleared by an entry that expired just before it
    if (entry.deadline > this.#now) {
      slot.delete(entry);
      this.#place(entry);
      return;
    }
    this.clear(entry);
    entry.expire();
  }
}
