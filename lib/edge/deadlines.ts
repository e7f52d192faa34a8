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
 * A hashed timing wheel (Varghese & Lauck 1987, scheme 6) turned by one interval timer.
 *
 * Setting, clearing and expiring cost the same however many wait. An idle time-out is put off with every read, so
 * {@linkcode Deadlines.extend} only writes a number: the entry is moved when its old slot comes round. The timer runs
 * only while something waits.
 */
export class Deadlines {
  readonly #slots: Set<Expirable>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #tickMs: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #size = 0;
  #turned = 0; // the last tick whose slot was emptied
  #now = 0;

  /** @param tickMs How late an expiry may be, in ms. */
  constructor(tickMs = 50) {
    this.#tickMs = tickMs;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Sets the deadline of `entry` to `ms` from now, in place of any it had. */
  set(entry: Expirable, ms: number): void {
    this.clear(entry);
    if (this.#size++ === 0) this.#start();
    entry.deadline = performance.now() + ms;
    this.#place(entry);
  }

  /** Puts off the deadline of a waiting `entry` to `ms` from now, give or take a tick; never brings it forward. */
  extend(entry: Expirable, ms: number): void {
    entry.deadline = Math.max(entry.deadline, this.#now + ms);
  }

  /** Forgets `entry`; nothing happens where it does not wait. */
  clear(entry: Expirable): void {
    if (entry.slot < 0) return;
    this.#slots[entry.slot]?.delete(entry);
    entry.slot = -1;
    if (--this.#size === 0) this.#stop();
  }

  #place(entry: Expirable): void {
    const due = Math.ceil(entry.deadline / this.#tickMs);
    const tick = Math.min(Math.max(due, this.#turned + 1), this.#turned + SLOTS);
    entry.slot = tick % SLOTS;
    this.#slots[entry.slot]?.add(entry);
  }

  #start(): void {
    this.#now = performance.now();
    this.#turned = Math.floor(this.#now / this.#tickMs);
    this.#timer = setInterval(() => this.#turn(), this.#tickMs);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #turn(): void {
    this.#now = performance.now();
    const until = Math.floor(this.#now / this.#tickMs);
    // After a long pause of the process one round sees every slot.
    this.#turned = Math.max(this.#turned, until - SLOTS);
    while (this.#turned < until && this.#size > 0) {
      const slot = this.#slots[++this.#turned % SLOTS];
      if (slot === undefined || slot.size === 0) continue;
      for (const entry of [...slot]) this.#visit(entry, slot);
    }
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
