/**
 * A hash table of address prefixes of one family.
 *
 * @module
 */

const MIN_SLOTS = 16;

// What a slot's octet in `#tags` holds besides a prefix's length plus one, which is 1 to 129.
const EMPTY = 0;
const DELETED = 255; // keeps a search for what was placed further on from ending here

/**
 * A set of prefixes over addresses of `words` 32-bit words, most significant word first.
 *
 * One open-addressing hash table in typed arrays holds every prefix under its masked address and its length. A lookup
 * asks it once for each distinct length there is, so its cost does not grow with the number of prefixes, and it
 * allocates nothing. Most of those questions end at a Bloom filter of 16 to 32 bits a prefix: at 100,000 prefixes it
 * fits the second-level cache, which the table does not, and its answers are easy on the branch predictor (measured: a
 * third to half of the time that probing the table alone takes).
 */
export class PrefixTable {
  /** The address in question: set before `add`, `delete` and `covers`, which cut it to the prefixes they look for. */
  readonly address: Uint32Array;
  readonly #words: number;
  readonly #countByLength: Uint32Array;
  #lengthsInUse = new Uint8Array(0); // longest first: from one to the next, an address only loses bits
  #tags = new Uint8Array(MIN_SLOTS);
  #keys: Uint32Array; // `#words` a slot
  #filter = new Int32Array(MIN_SLOTS / 4); // 8 bits a slot
  #size = 0;
  #usedSlots = 0; // by prefixes and by deleted ones, whose bits are still in the filter as well

  constructor(words: 1 | 4) {
    this.#words = words;
    this.address = new Uint32Array(words);
    this.#countByLength = new Uint32Array(32 * words + 1);
    this.#keys = new Uint32Array(MIN_SLOTS * words);
  }

  /** How many prefixes there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds the prefix of `length` bits of `address`; false where it was there. */
  add(length: number): boolean {
    this.#cut(length);
    if (this.#find(length + 1) >= 0) return false;
    if (2 * (this.#usedSlots + 1) > this.#tags.length) this.#rebuild();
    this.#place(this.address, 0, length + 1);
    this.#size++;
    this.#count(length, 1);
    return true;
  }

  /** Removes the prefix of `length` bits of `address`; false where it was not there. */
  delete(length: number): boolean {
    this.#cut(length);
    const slot = this.#find(length + 1);
    if (slot < 0) return false;
    this.#tags[slot] = DELETED;
    this.#size--;
    this.#count(length, -1);
    return true;
  }

  /** Whether some prefix covers `address`. */
  covers(): boolean {
    const lengths = this.#lengthsInUse;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i] ?? 0;
      this.#cut(length);
      if (this.#find(length + 1) >= 0) return true;
    }
    return false;
  }

  /** Clears the bits of `address` behind the first `length`. */
  #cut(length: number): void {
    for (let word = length >> 5; word < this.#words; word++) {
      const bits = length - 32 * word;
      this.address[word] = bits <= 0 ? 0 : (this.address[word] ?? 0) & (-1 << (32 - bits));
    }
  }

  /** The slot of the prefix `address` with this tag, or -1. */
  #find(tag: number): number {
    const hash = this.#hash(this.address, 0, tag);
    const bits = filterBits(hash);
    if (((this.#filter[hash & (this.#filter.length - 1)] ?? 0) & bits) !== bits) return -1;
    const last = this.#tags.length - 1;
    for (let slot = hash & last; this.#tags[slot] !== EMPTY; slot = (slot + 1) & last) {
      if (this.#tags[slot] === tag && this.#holds(slot)) return slot;
    }
    return -1;
  }

  #holds(slot: number): boolean {
    for (let word = 0; word < this.#words; word++) {
      if (this.#keys[slot * this.#words + word] !== this.address[word]) return false;
    }
    return true;
  }

  /** Mixes a key, at `keys[at]`, and its tag into 32 bits; the steps are those of MurmurHash3's finaliser. */
  #hash(keys: Uint32Array, at: number, tag: number): number {
    let hash = Math.imul(tag, 0x9e3779b1);
    for (let word = 0; word < this.#words; word++) {
      hash = Math.imul(hash ^ (keys[at + word] ?? 0), 0x85ebca6b);
      hash ^= hash >>> 13;
      hash = Math.imul(hash, 0xc2b2ae35);
      hash ^= hash >>> 16;
    }
    return hash;
  }

  #place(keys: Uint32Array, at: number, tag: number): void {
    const hash = this.#hash(keys, at, tag);
    const filterWord = hash & (this.#filter.length - 1);
    this.#filter[filterWord] = (this.#filter[filterWord] ?? 0) | filterBits(hash);
    const last = this.#tags.length - 1;
    let slot = hash & last;
    while (this.#tags[slot] !== EMPTY) slot = (slot + 1) & last;
    this.#tags[slot] = tag;
    for (let word = 0; word < this.#words; word++) this.#keys[slot * this.#words + word] = keys[at + word] ?? 0;
    this.#usedSlots++;
  }

  /** Leaves the deleted behind, with a slot in four used at most, so that the next rebuilding is as many adds away. */
  #rebuild(): void {
    const tags = this.#tags;
    const keys = this.#keys;
    let slots = MIN_SLOTS;
    while (slots < 4 * this.#size) slots *= 2;
    this.#tags = new Uint8Array(slots);
    this.#keys = new Uint32Array(slots * this.#words);
    this.#filter = new Int32Array(slots / 4);
    this.#usedSlots = 0;
    tags.forEach((tag, slot) => {
      if (tag !== EMPTY && tag !== DELETED) this.#place(keys, slot * this.#words, tag);
    });
  }

  #count(length: number, change: 1 | -1): void {
    const count = (this.#countByLength[length] ?? 0) + change;
    this.#countByLength[length] = count;
    if (count > 1 || (count === 1 && change === -1)) return; // the lengths in use are the same
    const inUse = [...this.#countByLength.keys()].filter((length) => this.#countByLength[length] !== 0);
    this.#lengthsInUse = Uint8Array.from(inUse.reverse());
  }
}

/** The two bits of one filter word that stand for a key; of the hash they take bits that do not choose the word. */
function filterBits(hash: number): number {
  return (1 << (hash >>> 27)) | (1 << (hash >>> 22));
}
