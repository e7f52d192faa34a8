/**
 * Pools of connections that come and go with the names that clients ask for: never more than a table has room for.
 *
 * @module
 */

/** Why there is no pool: no name to ask for, or no room for one more. */
export type NoPool = "nameless" | "full";

/** What a table needs to know of a pool. */
export interface Giving {
  /** Whether it has no request. */
  readonly isIdle: boolean;
  close(): void;
}

/** Makes a pool. @param unused Is to be called when it has neither a connection nor a request. */
export type MakePool<Pool> = (unused: () => void) => Pool;

/** See the module. */
export class PoolTable<Pool extends Giving> {
  readonly #room: number;
  /** In the order of their last use. */
  readonly #pools = new Map<string, Pool>();

  /** @param room For so many pools. */
  constructor(room: number) {
    this.#room = room;
  }

  get size(): number {
    return this.#pools.size;
  }

  /**
   * The pool of a key, which is made where there is none. The one that was used longest ago and has no request gives way
   * to it.
   *
   * @returns `"full"` where each of the others has a request.
   */
  get(key: string, make: MakePool<Pool>): Pool | "full" {
    const known = this.#pools.get(key);
    if (known !== undefined) {
      this.#pools.delete(key);
      this.#pools.set(key, known);
      return known;
    }
    if (this.#pools.size >= this.#room && !this.#giveWay()) return "full";
    const pool: Pool = make(() => {
      if (this.#pools.get(key) === pool) this.#pools.delete(key);
    });
    this.#pools.set(key, pool);
    return pool;
  }

  [Symbol.iterator](): IterableIterator<Pool> {
    return this.#pools.values();
  }

  /** Closes the pools whose key begins so, and forgets them. */
  close(prefix: string): void {
    for (const [key, pool] of [...this.#pools]) {
      if (!key.startsWith(prefix)) continue;
      this.#pools.delete(key);
      pool.close();
    }
  }

  #giveWay(): boolean {
    for (const [key, pool] of this.#pools) {
      if (!pool.isIdle) continue;
      this.#pools.delete(key);
      pool.close();
      return true;
    }
    return false;
  }
}
