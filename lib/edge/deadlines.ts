/**
 * Time-outs of many connections at a cost that does not grow with their number.
 *
 * @module
 */

/** Something that can be too late. The fields belong to {@linkcode Deadlines}. */
export interface Expirable {
  /** In ms of {@linkcode Deadlines.time}. */
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

/** From how much time between two turns on, in ms, the thread was held up: it did not hear what came meanwhile. */
const LATE_MS = 250;

/**
 * A hashed timing wheel (Varghese & Lauck 1987, scheme 6), turned by whoever has the clock.
 *
 * Setting, clearing and expiring cost the same however many wait. An idle time-out is put off with every read, so
 * {@linkcode Deadlines.extend} only writes a number: the entry is moved when its old slot comes round.
 *
 * A slot is an array without an order, in which the last entry takes the place of one that leaves. An entry's place is
 * one number, its slot and its index therein, so that it leaves without being looked for, and nothing is hashed.
 *
 * A time-out is about how long somebody else was silent. While the thread is held up (by the system, a debugger, a burst
 * of work), nobody can be heard: what they said waits in the kernel. So that time does not count: it has its own clock,
 * {@linkcode Deadlines.time}, which {@linkcode Deadlines.turnTo} lets stand still meanwhile. Otherwise the first turn
 * behind it would expire all at once, the second stage of something with the first.
 */
export class Deadlines {
  readonly tickMs: number;
  readonly #slots: Expirable[][] = Array.from({ length: SLOTS }, () => []);
  #size = 0;
  #turned: number; // the last tick whose slot was emptied
  #now: number;
  /** What of `#now` the thread was held up, in ms. */
  #lost = 0;
  #wasLate = false;

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

  /** In ms, as `now`, less what the thread was held up. */
  get time(): number {
    return this.#now - this.#lost;
  }

  /** What of `now` does not count, in ms. */
  protected get lost(): number {
    return this.#lost;
  }

  /** How long a waiting `entry` has left, in ms. */
  remaining(entry: Expirable): number {
    return entry.deadline - this.time;
  }

  /** Sets the deadline of `entry` to `ms` from `now`, in place of any it had. */
  set(entry: Expirable, ms: number, now: number = this.#now): void {
    this.clear(entry);
    this.#size++;
    entry.deadline = now - this.#lost + ms;
    this.#place(entry);
  }

  /** Puts off the deadline of a waiting `entry` to `ms` from the last `advance`; never brings it forward. */
  extend(entry: Expirable, ms: number): void {
    entry.deadline = Math.max(entry.deadline, this.#now - this.#lost + ms);
  }

  /** Forgets `entry`; nothing happens where it does not wait. */
  clear(entry: Expirable): void {
    if (entry.slot < 0) return;
    this.#leave(entry);
    this.#size--;
  }

  /**
   * Turns the wheel to `now`, as {@linkcode Deadlines.advance} does, for a thread that may have been held up since the
   * last turn: that time does not count. The first late turn expires nothing, so that what has come is heard first; of
   * one late turn after the other, each counts for 250 ms, so that a thread that is always late still ends whoever is
   * silent.
   */
  turnTo(now: number): void {
    const gap = now - this.#now;
    const isLate = this.#size > 0 && gap > LATE_MS;
    if (isLate) this.#lost += this.#wasLate ? gap - LATE_MS : gap;
    this.#wasLate = isLate;
    this.advance(now);
  }

  /** Turns the wheel to `now` and expires whatever is due. */
  advance(now: number): void {
    this.#now = now;
    const until = Math.floor((now - this.#lost) / this.tickMs);
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
    if (entry.deadline > this.#now - this.#lost) {
      this.#leave(entry);
      this.#place(entry);
      return;
    }
    this.clear(entry);
    entry.expire();
  }
}
