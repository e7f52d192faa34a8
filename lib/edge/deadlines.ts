/**
 * Time-outs of many connections at a cost that does not grow with their number.
 *
 * @module
 */

/** Something that can be too late. The fields belong to {@linkcode Deadlines}. */
export interface Expirable {
  /** In ms of the clock of its thread. */
  deadline: number;
  /** Its place in the wheel, -1 for none. */
  slot: number;
  /** Called once when the deadline has passed, at most one tick late. */
  expire(): void;
}

/** A time-out of its own, for what has more than one. */
export class Timer implements Expirable {
  deadline = 0;
  slot = -1;
  readonly expire: () => void;

  /** @param expire Contains its own faults: whatever it throws would end the thread. */
  constructor(expire: () => void) {
    this.expire = expire;
  }
}

const SLOTS = 512;

/**
 * A hashed timing wheel (Varghese & Lauck 1987, scheme 6), turned by whoever has the clock.
 *
 * Setting, clearing and expiring cost the same however many wait. An idle time-out is put off with every read, so
 * {@linkcode Deadlines.extend} only writes a number: the entry is moved when its old slot comes round.
 *
 * A slot is an array without an order, in which the last entry takes the place of one that leaves. An entry's place is
 * one number, its slot and its index therein, so that it leaves without being looked for, and nothing is hashed.
 */
export class Deadlines {
  readonly tickMs: number;
  readonly #slots: Expirable[][] = Array.from({ length: SLOTS }, () => []);
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
    this.#leave(entry);
    this.#size--;
  }

  /** Turns the wheel to `now` and expires whatever is due. */
  advance(now: number): void {
    this.#now = now;
    const until = Math.floor(now / this.tickMs);
    // After a long pause one round sees every slot.
    this.#turned = Math.max(this.#turned, until - SLOTS);
    while (this.#turned < until && this.#size > 0) {
      const slot = ++this.#turned % SLOTS;
      const entries = this.#slots[slot];
      if (entries === undefined || entries.length === 0) continue;
      for (const entry of [...entries]) this.#visit(entry, slot);
    }
    this.#turned = Math.max(this.#turned, until);
  }

  #place(entry: Expirable): void {
    const due = Math.ceil(entry.deadline / this.tickMs);
    const tick = Math.min(Math.max(due, this.#turned + 1), this.#turned + SLOTS);
    const slot = tick % SLOTS;
    const entries = this.#slots[slot] ?? [];
    entry.slot = entries.length * SLOTS + slot;
    entries.push(entry);
  }

  /** Takes a waiting entry out of its slot. */
  #leave(entry: Expirable): void {
    const entries = this.#slots[entry.slot % SLOTS] ?? [];
    const last = entries.pop();
    if (last !== undefined && last !== entry) {
      entries[Math.floor(entry.slot / SLOTS)] = last;
      last.slot = entry.slot;
    }
    entry.slot = -1;
  }

  #visit(entry: Expirable, slot: number): void {
    if (entry.slot < 0 || entry.slot % SLOTS !== slot) return; // cleared by an entry that expired just before it
    if (entry.deadline > this.#now) {
      this.#leave(entry);
      this.#place(entry);
      return;
    }
    this.clear(entry);
    entry.expire();
  }
}
