/**
 * The database, which holds all that may change at run time.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import type { StoredState } from "../config_types.ts";
import { fileExists } from "../file_access.ts";
import { migrate } from "./migrations.ts";
import { withStoreErrors } from "./store_error.ts";
import { insertState, isSameState, selectState } from "./stored_state.ts";

export { StoreError } from "./store_error.ts";

/** How long to wait for another process's lock before giving up, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/** What {@linkcode Store.prepare} found or made. */
export interface PreparedState {
  readonly state: StoredState;
  /** Whether the database was new, so that `state` is the seed. */
  readonly seeded: boolean;
  /** Whether `state` serves otherwise than the seed would. */
  readonly differs: boolean;
}

/**
 * An open database. The control plane has one; it is the only writer.
 *
 * It starts in two steps, so that a program which then cannot start leaves no trace: {@linkcode prepare} does all the
 * work in a transaction, {@linkcode commit} or {@linkcode discard} ends it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const folder = Deno.makeTempDirSync();
 * const store = Store.open(`${folder}/mc-proxy.db`);
 * const firewall = { blockedIps: ["192.0.2.1"], blockedCidrs: [], blockedCountries: [] };
 * assert.equal(store.prepare({ listeners: [], firewall }).seeded, true);
 * store.commit();
 * store.close();
 * Deno.removeSync(folder, { recursive: true });
 * ```
 */
export class Store {
  readonly path: string;
  readonly #db: DatabaseSync;
  #created: boolean;

  private constructor(path: string, db: DatabaseSync, created: boolean) {
    this.path = path;
    this.#db = db;
    this.#created = created;
  }

  /**
   * Opens the database at `path`; makes an empty file where there is none.
   *
   * @throws {StoreError} Where it cannot be opened: its folder is missing, or the permission.
   */
  static open(path: string, { busyTimeoutMs = BUSY_TIMEOUT_MS }: { readonly busyTimeoutMs?: number } = {}): Store {
    return withStoreErrors(path, () => {
      const created = !fileExists(path);
      const db = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: busyTimeoutMs });
      // FULL: a change is on the disk when its commit returns. NORMAL would lose the last ones with the power, after
      // their senders were told that they hold; the price is one fsync a change, and changes are rare.
      db.exec("PRAGMA synchronous = FULL");
      return new Store(path, db, created);
    });
  }

  /**
   * Brings the schema up to date, seeds a new database from `seed`, and loads everything.
   *
   * All in one transaction, which it leaves open. New is a database without a schema: the schema and the seed are
   * committed as one, so a database that has a schema was seeded once and never is again, even with every route gone.
   *
   * @throws {StoreError} Where the file is no database of this program, is of a newer version, locked or corrupt.
   */
  prepare(seed: StoredState): PreparedState {
    return withStoreErrors(this.path, () => {
      this.#db.exec("BEGIN IMMEDIATE");
      const seeded = migrate(this.#db, this.path) === 0;
      if (seeded) insertState(this.#db, seed);
      const state = selectState(this.#db);
      return { state, seeded, differs: !isSameState(state, seed) };
    });
  }

  /**
   * Makes what {@linkcode prepare} did lasting.
   *
   * @throws {StoreError} Where the disk is full, or fails.
   */
  commit(): void {
    withStoreErrors(this.path, () => {
      this.#db.exec("COMMIT");
      this.#created = false;
      // Not before: the switch to WAL is lasting and cannot be part of a transaction. It lets readers, `snapshot` among
      // them, and the writer work side by side. A file system without shared memory stays with the rollback journal,
      // which is as safe.
      this.#db.exec("PRAGMA journal_mode = WAL");
    });
  }

  /** Undoes what {@linkcode prepare} did, and closes. A file that {@linkcode open} made is removed. */
  discard(): void {
    if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.close();
    // Only this file: it was not yet in WAL mode, and the rollback removed the journal.
    if (this.#created && fileExists(this.path)) Deno.removeSync(this.path);
    this.#created = false;
  }

  /** Closes the database. An open transaction is undone; closing twice is harmless. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}
