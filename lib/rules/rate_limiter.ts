/**
 * How many connections one source address may open within a sliding window.
 *
 * @module
 */

import { type IpAddress, ipWord, isIpv4 } from "../wire/ip_address.ts";

const DEFAULT_CAPACITY = 524_288;
const MAX_LIMIT = 65_535; // what the counter of one slice holds
const MAX_WORD = 0xffff_ffff;

const WAYS = 8; // entries of a set: they share a hash value, and are all the places where a source may be
const SLICES = 8; // the window's seven and the one under way

// The buffer, in 32-bit words: the entries, set by set; the lock of each set; the seed.
const UNLOCKED = 0; // else the owner
const UNSEEDED = 0;

// One entry, in 32-bit words; its slice counters are 16-bit, slice n in counter n modulo SLICES.
const ENTRY_WORDS = 8;
const KEY_HIGH = 0;
const KEY_LOW = 1;
const LATEST_SLICE = 2; // modulo 2^32
const FAMILY = 3;
const COUNTERS = 4;

const FREE = 0; // a FAMILY that is neither 4 nor 6: no source has been put there yet

/** Options of a {@linkcode RateLimiter}. */
export interface RateLimiterOptions {
  /** Connections that a source may open within the window, 1-65535. */
  readonly limit: number;
  /** Length of the window in whole milliseconds, at least 1. */
  readonly windowMs: number;
  /** How many sources are remembered, a power of two of at least 8; 524,288 (16 MiB) by default. */
  readonly capacity?: number;
  /**
   * Where the counts are kept: {@linkcode RateLimiter.byteLength} octets, zero at first. Limiters over one buffer, with
   * the same limit, window, capacity and clock, are one limiter; in several threads of one process too, where the
   * buffer is a SharedArrayBuffer.
   */
  readonly buffer?: ArrayBufferLike;
  /**
   * Which thread this is, 1-4,294,967,295 and 1 by default: each thread that calls {@linkcode RateLimiter.allow} over
   * one SharedArrayBuffer needs its own, say the number of the worker plus one.
   */
  readonly owner?: number;
  /**
   * What the hash starts from, 1-4,294,967,295; random by default, for clients choose their addresses and must not
   * choose their place. The first limiter over a buffer leaves its seed there, and all others take that one; so only
   * what must be reproducible, such as a test, has a reason to give it.
   */
  readonly seed?: number;
}

/**
 * A sliding-window limit on connections by source: an IPv4 address, or the /64 of an IPv6 address, which is what one
 * subscriber has at the least.
 *
 * The window is divided into seven slices of ⌈`windowMs` / 7⌉ ms, and all of the slice in which it begins still counts.
 * So no window of `windowMs` ever passes more than `limit` connections of a source, and a connection that passed is
 * forgotten at most eight slices (8/7 of the window) after. A refused connection does not count.
 *
 * Memory is bounded by `capacity` and nothing is allocated per call. A source hashes to eight places. When they are all
 * taken, an expired source gives way, else the one with the fewest connections, the longest silent of several; it starts
 * from zero when it is back. So a flood of new addresses displaces other newcomers, but a source at its limit only with
 * seven others that have reached theirs.
 *
 * Over a SharedArrayBuffer each call holds a spinlock on the eight places, for about 0.1 µs, so the limit is exact across
 * threads. A thread that is terminated within a call leaves its lock behind, and others that need it spin, without end:
 * the supervising thread, which itself must not call `allow`, ends that with {@linkcode RateLimiter.releaseLocksOf}.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ipv4 } from "../wire/ip_address.ts";
 * const limiter = new RateLimiter({ limit: 2, windowMs: 7000, capacity: 1024 });
 * const client = ipv4(192, 0, 2, 1);
 * assert.deepEqual([0, 0, 0, 7999, 8000].map((now) => limiter.allow(client, now)), [true, true, false, false, true]);
 * ```
 */
export class RateLimiter {
  readonly #limit: number;
  readonly #sliceMs: number;
  readonly #seed: number;
  readonly #words: Uint32Array;
  readonly #counters: Uint16Array; // the same memory
  readonly #lastSet: number;
  readonly #firstLock: number; // in #words, as are all offsets of locks and entries
  readonly #owner: number;
  readonly #shared: boolean; // without other threads the locks would only cost time

  /**
   * @throws {RangeError} An option is out of its range, the buffer is not of the size that the capacity needs, or it was
   * begun with another seed than the one given.
   */
  constructor(options: RateLimiterOptions) {
    const { limit, windowMs, capacity = DEFAULT_CAPACITY, owner = 1, seed = randomSeed() } = options;
    requireWhole("rate limit", limit, MAX_LIMIT);
    requireWhole("rate window in milliseconds", windowMs, Number.MAX_SAFE_INTEGER);
    requireWhole("rate limiter owner", owner, MAX_WORD);
    requireWhole("rate limiter seed", seed, MAX_WORD);
    const byteLength = RateLimiter.byteLength(capacity);
    const buffer = options.buffer ?? new ArrayBuffer(byteLength);
    if (buffer.byteLength !== byteLength) {
      throw new RangeError(`rate limiter of ${capacity} sources needs ${byteLength} octets, not ${buffer.byteLength}`);
    }
    this.#limit = limit;
    this.#sliceMs = Math.ceil(windowMs / (SLICES - 1));
    this.#words = new Uint32Array(buffer);
    this.#counters = new Uint16Array(buffer);
    this.#lastSet = capacity / WAYS - 1;
    this.#firstLock = capacity * ENTRY_WORDS;
    this.#owner = owner;
    this.#shared = buffer instanceof SharedArrayBuffer;
    // Of threads that come at once, one leaves its seed.
    const earlier = Atomics.compareExchange(this.#words, this.#words.length - 1, UNSEEDED, seed);
    this.#seed = earlier === UNSEEDED ? seed : earlier;
    if (options.seed !== undefined && options.seed !== this.#seed) {
      throw new RangeError("rate limiter buffer was begun with another seed");
    }
  }

  /**
   * The octets that a limiter of `capacity` sources occupies: 32 each, 4 for the lock of every eight, and 4 for the seed.
   *
   * @throws {RangeError} `capacity` is not a power of two of at least 8.
   */
  static byteLength(capacity: number = DEFAULT_CAPACITY): number {
    if (!Number.isSafeInteger(capacity) || capacity < WAYS || !Number.isInteger(Math.log2(capacity))) {
      throw new RangeError(`rate limiter capacity must be a power of two of at least ${WAYS}, not ${capacity}`);
    }
    return (capacity * ENTRY_WORDS + capacity / WAYS + 1) * Uint32Array.BYTES_PER_ELEMENT;
  }

  /**
   * Whether `ip` may open a connection now; if so, the connection is counted.
   *
   * @param nowMs A monotonic clock in milliseconds, the same one in all threads, such as CLOCK_MONOTONIC; not
   * `performance.now()`, which starts with its thread. Where it steps back by less than a window, or one thread read it
   * that much earlier than another, a source's time stands still until it has caught up; where by more, the source
   * starts from zero.
   */
  allow(ip: IpAddress, nowMs: number): boolean {
    // Whole milliseconds divide without rounding, which could put two connections of one window nine slices apart.
    const slice = Math.floor(Math.floor(nowMs) / this.#sliceMs) >>> 0;
    return isIpv4(ip) ? this.#allow(ipWord(ip, 12), 0, 4, slice) : this.#allow(ipWord(ip, 0), ipWord(ip, 4), 6, slice);
  }

  /**
   * Frees what a thread held when it was terminated, so that others stop waiting for it; at worst the one source that it
   * was counting starts from zero. Any limiter over the same buffer will do, in any thread.
   *
   * @param owner The `owner` of that thread, which must have ended (`Worker.terminate()` does not wait for that), and
   * whose number no new thread may have yet.
   * @returns How many locks it had left behind: one or none, as a call takes one.
   * @throws {RangeError} `owner` is out of its range.
   */
  releaseLocksOf(owner: number): number {
    requireWhole("rate limiter owner", owner, MAX_WORD);
    let released = 0;
    for (let lock = this.#firstLock; lock <= this.#firstLock + this.#lastSet; lock++) {
      if (Atomics.compareExchange(this.#words, lock, owner, UNLOCKED) === owner) released++;
    }
    return released;
  }

  /** `#count` in the source's set, with the set locked where other threads may be in it. */
  #allow(high: number, low: number, family: 4 | 6, slice: number): boolean {
    const set = this.#hash(high, low, family) & this.#lastSet;
    const first = set * WAYS * ENTRY_WORDS;
    if (!this.#shared) return this.#count(first, high, low, family, slice);
    const lock = this.#firstLock + set;
    // No Atomics.wait: the lock is held for less time than going to sleep and being woken takes.
    while (Atomics.compareExchange(this.#words, lock, UNLOCKED, this.#owner) !== UNLOCKED) Atomics.pause();
    try {
      return this.#count(first, high, low, family, slice);
    } finally {
      Atomics.store(this.#words, lock, UNLOCKED);
    }
  }

  /** Counts a connection of the source whose set begins at `first`, unless it is at its limit. */
  #count(first: number, high: number, low: number, family: 4 | 6, slice: number): boolean {
    const entry = this.#entryOf(first, high, low, family, slice);
    this.#expire(entry, slice);
    if (this.#total(entry) >= this.#limit) return false;
    const counter = this.#counterOf(entry, this.#words[entry + LATEST_SLICE] ?? 0);
    this.#counters[counter] = (this.#counters[counter] ?? 0) + 1;
    return true;
  }

  /** The offset of the source's entry in the set at `first`, which is made where there is none. */
  #entryOf(first: number, high: number, low: number, family: 4 | 6, slice: number): number {
    const words = this.#words;
    for (let entry = first; entry < first + WAYS * ENTRY_WORDS; entry += ENTRY_WORDS) {
      if (words[entry + FAMILY] === FREE) break;
      if (words[entry + KEY_HIGH] === high && words[entry + KEY_LOW] === low && words[entry + FAMILY] === family) {
        return entry;
      }
    }
    const entry = this.#leastOf(first, slice);
    // First, so that a thread terminated further down leaves no source with the counts of another.
    this.#counters.fill(0, 2 * (entry + COUNTERS), 2 * (entry + ENTRY_WORDS));
    words[entry + KEY_HIGH] = high;
    words[entry + KEY_LOW] = low;
    words[entry + FAMILY] = family;
    words[entry + LATEST_SLICE] = slice;
    return entry;
  }

  /** The entry to give to a new source: a free or an expired one, else that with the smallest total, the oldest first. */
  #leastOf(first: number, slice: number): number {
    let least = first;
    let leastTotal = Infinity;
    for (let entry = first; entry < first + WAYS * ENTRY_WORDS; entry += ENTRY_WORDS) {
      if (this.#words[entry + FAMILY] === FREE || this.#age(entry, slice) >= SLICES) return entry;
      const total = this.#total(entry);
      if (total < leastTotal || (total === leastTotal && this.#age(entry, slice) > this.#age(least, slice))) {
        least = entry;
        leastTotal = total;
      }
    }
    return least;
  }

  /** How many slices ago the entry was last up to date: SLICES or more where all of it has expired. */
  #age(entry: number, slice: number): number {
    const age = (slice - (this.#words[entry + LATEST_SLICE] ?? 0)) >>> 0;
    return age > 0xffff_ffff - SLICES ? 0 : age; // the clock, or that of another thread, is a little behind
  }

  /** Brings the entry up to date: clears the counters of the slices that have begun since. */
  #expire(entry: number, slice: number): void {
    const latest = this.#words[entry + LATEST_SLICE] ?? 0;
    const age = this.#age(entry, slice);
    if (age === 0) return;
    for (let i = 1; i <= Math.min(age, SLICES); i++) this.#counters[this.#counterOf(entry, latest + i)] = 0;
    this.#words[entry + LATEST_SLICE] = slice;
  }

  #counterOf(entry: number, slice: number): number {
    return 2 * (entry + COUNTERS) + slice % SLICES;
  }

  #total(entry: number): number {
    let total = 0;
    const first = 2 * (entry + COUNTERS);
    for (let counter = first; counter < first + SLICES; counter++) total += this.#counters[counter] ?? 0;
    return total;
  }

  /** Mixes a key into 32 bits, each of which depends on all of the key and the seed; the steps are MurmurHash3's. */
  #hash(high: number, low: number, family: number): number {
    let hash = Math.imul(this.#seed ^ high, 0xcc9e2d51);
    hash = Math.imul(hash ^ (hash >>> 15) ^ low, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ family ^ this.#seed, 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] || 1;
}

function requireWhole(what: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${what} must be a whole number from 1 to ${max}, not ${value}`);
  }
}
