/**
 * How many connections one source address may open within a sliding window.
 *
 * @module
 */

import { type IpAddress, ipWord, isIpv4 } from "../wire/ip_address.ts";

const DEFAULT_CAPACITY = 524_288;
const MAX_LIMIT = 65_535; // what the counter of one slice holds

const WAYS = 8; // entries that share a hash value, and thus all places where a source may be
const SLICES = 8; // the window's seven and the one under way

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
   * the same options, seed and clock, are one limiter, though threads that count one source at the same moment may
   * count it once: entries are not locked.
   */
  readonly buffer?: ArrayBufferLike;
  /** What the hash starts from, random by default: clients choose their addresses, and must not choose their place. */
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

  /** @throws {RangeError} An option is out of its range, or the buffer is not of the size that the capacity needs. */
  constructor(options: RateLimiterOptions) {
    const { limit, windowMs, capacity = DEFAULT_CAPACITY } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
      throw new RangeError(`rate limit must be a whole number from 1 to ${MAX_LIMIT}, not ${limit}`);
    }
    if (!Number.isSafeInteger(windowMs) || windowMs < 1) {
      throw new RangeError(`rate window must be a whole number of milliseconds, at least 1, not ${windowMs}`);
    }
    const byteLength = RateLimiter.byteLength(capacity);
    const buffer = options.buffer ?? new ArrayBuffer(byteLength);
    if (buffer.byteLength !== byteLength) {
      throw new RangeError(`rate limiter of ${capacity} sources needs ${byteLength} octets, not ${buffer.byteLength}`);
    }
    this.#limit = limit;
    this.#sliceMs = Math.ceil(windowMs / (SLICES - 1));
    this.#seed = options.seed ?? crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
    this.#words = new Uint32Array(buffer);
    this.#counters = new Uint16Array(buffer);
    this.#lastSet = capacity / WAYS - 1;
  }

  /**
   * The octets that a limiter of `capacity` sources occupies: 32 each.
   *
   * @throws {RangeError} `capacity` is not a power of two of at least 8.
   */
  static byteLength(capacity: number = DEFAULT_CAPACITY): number {
    if (!Number.isSafeInteger(capacity) || capacity < WAYS || !Number.isInteger(Math.log2(capacity))) {
      throw new RangeError(`rate limiter capacity must be a power of two of at least ${WAYS}, not ${capacity}`);
    }
    return capacity * ENTRY_WORDS * Uint32Array.BYTES_PER_ELEMENT;
  }

  /**
   * Whether `ip` may open a connection now; if so, the connection is counted.
   *
   * @param nowMs A monotonic clock in milliseconds. Where it steps back by less than a window, a source's time stands
   * still until it has caught up; where by more, the source starts from zero.
   */
  allow(ip: IpAddress, nowMs: number): boolean {
    // Whole milliseconds divide without rounding, which could put two connections of one window nine slices apart.
    const slice = Math.floor(Math.floor(nowMs) / this.#sliceMs) >>> 0;
    const entry = isIpv4(ip)
      ? this.#entryOf(ipWord(ip, 12), 0, 4, slice)
      : this.#entryOf(ipWord(ip, 0), ipWord(ip, 4), 6, slice);
    this.#expire(entry, slice);
    if (this.#total(entry) >= this.#limit) return false;
    const counter = this.#counterOf(entry, this.#words[entry + LATEST_SLICE] ?? 0);
    this.#counters[counter] = (this.#counters[counter] ?? 0) + 1;
    return true;
  }

  /** The offset of the source's entry in `#words`, which is made where there is none. */
  #entryOf(high: number, low: number, family: 4 | 6, slice: number): number {
    const words = this.#words;
    const first = (this.#hash(high, low, family) & this.#lastSet) * WAYS * ENTRY_WORDS;
    for (let entry = first; entry < first + WAYS * ENTRY_WORDS; entry += ENTRY_WORDS) {
      if (words[entry + FAMILY] === FREE) break;
      if (words[entry + KEY_HIGH] === high && words[entry + KEY_LOW] === low && words[entry + FAMILY] === family) {
        return entry;
      }
    }
    const entry = this.#leastOf(first, slice);
    words[entry + KEY_HIGH] = high;
    words[entry + KEY_LOW] = low;
    words[entry + FAMILY] = family;
    words[entry + LATEST_SLICE] = slice;
    this.#counters.fill(0, 2 * (entry + COUNTERS), 2 * (entry + ENTRY_WORDS));
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
