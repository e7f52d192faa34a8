/**
 * The dynamic table of HPACK (RFC 7541 §2.3.2, §4).
 *
 * @module
 */

/** What an entry counts beside its octets (RFC 7541 §4.1). */
export const ENTRY_OVERHEAD = 32;

const NONE: string[] = [];

/** Names and values, the newest first. No entry is smaller than 32, so a table of 4 KiB has at most 128. */
export class DynamicTable {
  /** A ring: the entry with serial number `n`, from 0, is at `n % length`. */
  #names: string[];
  #values: string[];
  readonly #most: number;
  readonly #onEvicted: ((serial: number, name: string, value: string) => void) | undefined;
  #inserted = 0;
  #count = 0;
  #size = 0;
  #maxSize: number;

  /** @param capacity The most that the size may ever be set to. */
  constructor(capacity: number, onEvicted?: (serial: number, name: string, value: string) => void) {
    this.#most = Math.floor(capacity / ENTRY_OVERHEAD) + 1;
    this.#names = NONE;
    this.#values = NONE;
    this.#maxSize = capacity;
    this.#onEvicted = onEvicted;
  }

  /** How many entries there are. */
  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#size;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  /** How many entries there ever were: the serial number of the next. */
  get inserted(): number {
    return this.#inserted;
  }

  resize(maxSize: number): void {
    this.#maxSize = maxSize;
    this.#makeRoom(0);
  }

  /** Adds an entry; one that is larger than the table empties it (RFC 7541 §4.4). @returns Whether it is there. */
  insert(name: string, value: string): boolean {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.#makeRoom(size);
    if (size > this.#maxSize) return false;
    if (this.#count === this.#names.length) this.#grow();
    const place = this.#inserted % this.#names.length;
    this.#names[place] = name;
    this.#values[place] = value;
    this.#inserted++;
    this.#count++;
    this.#size += size;
    return true;
  }

  /** The name of the entry `age` before the newest, which must be there. */
  name(age: number): string {
    return this.#names[(this.#inserted - 1 - age) % this.#names.length] ?? "";
  }

  value(age: number): string {
    return this.#values[(this.#inserted - 1 - age) % this.#values.length] ?? "";
  }

  #grow(): void {
    const old = this.#names;
    const oldValues = this.#values;
    const length = Math.min(Math.max(8, 2 * old.length), this.#most);
    this.#names = new Array<string>(length).fill("");
    this.#values = new Array<string>(length).fill("");
    for (let serial = this.#inserted - this.#count; serial < this.#inserted; serial++) {
      this.#names[serial % length] = old[serial % old.length] ?? "";
      this.#values[serial % length] = oldValues[serial % old.length] ?? "";
    }
  }

  #makeRoom(size: number): void {
    while (this.#count > 0 && this.#size + size > this.#maxSize) {
      const serial = this.#inserted - this.#count;
      const place = serial % this.#names.length;
      const name = this.#names[place] ?? "";
      const value = this.#values[place] ?? "";
      this.#names[place] = this.#values[place] = "";
      this.#count--;
      this.#size -= name.length + value.length + ENTRY_OVERHEAD;
      this.#onEvicted?.(serial, name, value);
    }
  }
}
