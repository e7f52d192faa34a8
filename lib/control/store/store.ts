/**
 * The database, which holds all that may change at run time.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../edge/thrown.ts";
import type { FirewallRule } from "../../rules/firewall.ts";
import type { FirewallRules, RouteConfig, StoredState } from "../config_types.ts";
import { fileExists, fileIdentity } from "../file_access.ts";
import type { Plan } from "../plan.ts";
import { ensurePrivate, restrictToOwner } from "../private_file.ts";
import { migrate, SCHEMA_VERSION, schemaVersion } from "./migrations.ts";
import { folderProblem, StoreError, storeErrorOf, withStoreErrors } from "./store_error.ts";
import { memoryDatabase, readUnwritable } from "./stored_copy.ts";
import {
  applyPlan,
  deleteRoute,
  deleteRule,
  insertRule,
  insertState,
  isSameState,
  putRoute,
  replaceState,
  selectRoute,
  selectRoutes,
  selectRules,
  selectState,
  updateMaxConnections,
} from "./stored_state.ts";

export { StoreError } from "./store_error.ts";

/** How long to wait for another process's lock before giving up, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/** The same once there is traffic. */
const BUSY_TIMEOUT_WHILE_SERVING_MS = 250;

/** How a database is opened. */
export interface StoreOptions {
  /** How long to wait for another process's lock before giving up, in milliseconds. */
  readonly busyTimeoutMs?: number;
  /** Takes the right to write, where it is not this process's yet; throws a `StoreError` where it cannot be had. */
  readonly claim?: () => void;
}

/** What {@linkcode Store.prepare} found or made. */
export interface PreparedState {
  readonly state: StoredState;
  /** Whether the database was new, so that `state` is the seed. */
  readonly seeded: boolean;
  /** Whether `state` serves otherwise than the seed would. */
  readonly differs: boolean;
}

/**
 * An open database; every method throws a `StoreError` where the database fails. The control plane has one; it is the
 * only writer.
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
  readonly #claim: () => void;
  #db: DatabaseSync;
  /** Which file it is. */
  #identity: string | undefined;
  #created: boolean;
  /** What was read from a disk that took no write, and why it took none: `#db` is in memory then, with the same in it. */
  #readOnly: { readonly state: StoredState; readonly problem: StoreError } | undefined;
  #failedChanges = 0;

  private constructor(path: string, db: DatabaseSync, created: boolean, claim: () => void) {
    this.path = path;
    this.#db = db;
    this.#identity = fileIdentity(path);
    this.#created = created;
    this.#claim = claim;
  }

  /**
   * Opens the database at `path`; makes an empty file where there is none. Either is the owner's alone then.
   *
   * @throws {StoreError} Where it cannot be opened: its folder is missing, or the permission.
   */
  static open(path: string, { busyTimeoutMs = BUSY_TIMEOUT_MS, claim = () => {} }: StoreOptions = {}): Store {
    return withStoreErrors(path, () => {
      const created = !fileExists(path);
      return new Store(path, openDatabase(path, busyTimeoutMs), created, claim);
    });
  }

  /**
   * Brings the schema up to date, seeds a new database from `seed`, and loads everything.
   *
   * All in one transaction, which it leaves open. New is a database without a schema: the schema and the seed are
   * committed as one, so a database that has a schema was seeded once and never is again, even with every route gone.
   *
   * Of a disk that takes no write, what is stored is read all the same, and can be changed when the disk takes writes
   * again: until then {@linkcode writeProblem} tells why not.
   *
   * @throws {StoreError} Where the file is no database of this program, is of a newer version, locked or corrupt.
   */
  prepare(seed: StoredState): PreparedState {
    try {
      this.#claim();
      return withStoreErrors(this.path, () => {
        begin(this.#db);
        // SQLite opens a file that it may not write for reading, and would stay with that. Nothing is on the disk of this.
        writePage(this.#db);
        this.#db.exec("ROLLBACK; BEGIN IMMEDIATE");
        const seeded = migrate(this.#db, this.path) === 0;
        if (seeded) insertState(this.#db, seed);
        const state = selectState(this.#db);
        return { state, seeded, differs: !isSameState(state, seed) };
      });
    } catch (error) {
      if (!(error instanceof StoreError && error.isUnwritable) || this.#created) throw error;
      return this.#prepareReadOnly(seed, error);
    }
  }

  #prepareReadOnly(seed: StoredState, problem: StoreError): PreparedState {
    this.#db.close();
    const state = readUnwritable(this.path);
    this.#readOnly = { state, problem };
    this.#db = memoryDatabase(state);
    return { state, seeded: false, differs: !isSameState(state, seed) };
  }

  /**
   * Makes the changes of a plan a part of what {@linkcode prepare} did.
   *
   * @throws {StoreError} Where the disk takes no write.
   */
  amend(plan: Plan): void {
    if (this.#readOnly !== undefined) throw this.#readOnly.problem;
    withStoreErrors(this.path, () => applyPlan(this.#db, plan));
  }

  /**
   * Makes what {@linkcode prepare} did lasting.
   *
   * @throws {StoreError} Where the disk is full, or fails.
   */
  commit(): void {
    if (this.#readOnly !== undefined) return;
    withStoreErrors(this.path, () => {
      this.#db.exec("COMMIT");
      this.#created = false;
      this.#serve();
    });
  }

  /** Makes ready for changes while there is traffic. */
  #serve(): void {
    try {
      // Not before: the switch to WAL is lasting and cannot be part of a transaction. It lets readers, `snapshot` among
      // them, and the writer work side by side. A file system without shared memory stays with the rollback journal,
      // which is as safe.
      this.#db.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      if (!storeErrorOf(this.path, error).isUnwritable) throw error; // a full disk stays with it, too
    }
    // Has SQLite open the log and its index: later there may be no descriptor for them.
    this.#db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get();
    // The event loop stands still while SQLite waits for another process's lock: from now on there is traffic in it.
    this.#db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_WHILE_SERVING_MS}`);
  }

  /** Undoes what {@linkcode prepare} did and nobody committed, and closes. A file that {@linkcode open} made is removed. */
  discard(): void {
    if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.close();
    // Only this file: it was not yet in WAL mode, and the rollback removed the journal.
    if (this.#created && fileExists(this.path)) Deno.removeSync(this.path);
    this.#created = false;
  }

  /** The routes of a listener, in the order in which they were added. */
  routes(addr: string): RouteConfig[] {
    return this.#read((db) => selectRoutes(db, addr));
  }

  /** One route, with its policies. */
  route(addr: string, hostname: string): RouteConfig | undefined {
    return this.#read((db) => selectRoute(db, addr, hostname));
  }

  /** The rules of the firewall. */
  firewallRules(): FirewallRules {
    return this.#read(selectRules);
  }

  /** Everything, as it is now. */
  state(): StoredState {
    return this.#read(selectState);
  }

  /** Makes the changes of a plan, all or none. */
  applyPlan(plan: Plan): void {
    this.#change((db) => applyPlan(db, plan));
  }

  /** Puts another state in the place of what there is. */
  putState(state: StoredState): void {
    this.#change((db) => replaceState(db, state));
  }

  /** Adds a route to a listener that is there, or replaces the one of its host name, policies and all. */
  putRoute(addr: string, route: RouteConfig): void {
    this.#change((db) => putRoute(db, addr, route));
  }

  /** Removes a route and its policies. */
  removeRoute(addr: string, hostname: string): void {
    this.#change((db) => deleteRoute(db, addr, hostname));
  }

  /** Adds a rule in canonical form; `false` where it was there. */
  addRule(rule: FirewallRule): boolean {
    return this.#change((db) => insertRule(db, rule));
  }

  /** Removes a rule in canonical form; `false` where it was not there. */
  removeRule(rule: FirewallRule): boolean {
    return this.#change((db) => deleteRule(db, rule));
  }

  /** Sets the `max_connections` of a listener. */
  setMaxConnections(addr: string, maxConnections: number): void {
    this.#change((db) => updateMaxConnections(db, addr, maxConnections));
  }

  /**
   * Why no change could be stored at this moment, in one line; `undefined` where one could: a page was written, and is on
   * the disk.
   */
  get writeProblem(): string | undefined {
    try {
      this.#read((db) => db.exec("PRAGMA busy_timeout = 0")); // whoever asks would rather know than wait
      this.#change(writePage);
      return undefined;
    } catch (error) {
      return messageOf(error);
    } finally {
      if (this.#db.isOpen) this.#db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_WHILE_SERVING_MS}`);
    }
  }

  /**
   * Opens the database anew where its disk took no write when the program started.
   *
   * @throws {StoreError} Where it still takes none, or another process changed what is stored meanwhile.
   */
  #recover(): void {
    const served = this.#readOnly?.state;
    if (served === undefined) return;
    if (!fileExists(this.path)) this.#refuseOther(); // else SQLite would make an empty one
    this.#claim();
    const db = openDatabase(this.path, 0);
    try {
      begin(db);
      if (schemaVersion(db, this.path) !== SCHEMA_VERSION || !isSameState(selectState(db), served)) {
        throw new StoreError(this.path, "was changed while its disk took no write; restart the server");
      }
      writePage(db);
      db.exec("COMMIT");
    } catch (error) {
      db.close();
      throw error;
    }
    this.#db.close();
    this.#db = db;
    this.#identity = fileIdentity(this.path);
    this.#readOnly = undefined;
    this.#serve();
  }

  #read<T>(read: (db: DatabaseSync) => T): T {
    return this.#explained(() => read(this.#db));
  }

  /** Of a file that has lost its name SQLite says this and that, an error of the disk's among it. */
  #explained<T>(action: () => T): T {
    try {
      return withStoreErrors(this.path, action);
    } catch (error) {
      if (error instanceof StoreError) this.#refuseOther();
      throw error;
    }
  }

  /** @throws {StoreError} If the file at the path is not the one that was opened. */
  #refuseOther(): void {
    const identity = withStoreErrors(this.path, () => fileIdentity(this.path));
    if (identity === this.#identity) return;
    const reason = identity === undefined
      ? "was removed while the server runs; put it back, or restart the server, which makes a new one from the file"
      : "is no longer the file that the server opened; put that back, or restart the server";
    throw new StoreError(this.path, reason);
  }

  /** How many changes failed. */
  get failedChanges(): number {
    return this.#failedChanges;
  }

  /** Makes a change that is on the disk when this returns, and not at all where it throws. */
  #change<T>(change: (db: DatabaseSync) => T): T {
    try {
      return this.#changeOrThrow(change);
    } catch (error) {
      this.#failedChanges++;
      throw error;
    }
  }

  #changeOrThrow<T>(change: (db: DatabaseSync) => T): T {
    return this.#explained(() => {
      this.#recover();
      // To a file that has lost its name SQLite would go on writing, and what it holds would be gone with this process.
      this.#refuseOther();
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = change(this.#db);
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK"); // SQLite ends some by itself, a full disk's among them
        throw error;
      }
    });
  }

  /** Closes the database. An open transaction is undone; closing twice is harmless. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

/** Opens a database, of which nothing is read yet. */
/**
 * Opens a database that its owner alone may read: it says which hosts there are behind the proxy, and who may not come.
 * SQLite gives the files that it makes beside it the rights of the database itself.
 */
function openDatabase(path: string, timeout: number): DatabaseSync {
  if (folderProblem(path) === undefined) ensurePrivate(path);
  for (const suffix of ["-wal", "-shm", "-journal"]) restrictToOwner(path + suffix);
  return new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout });
}

/** Begins to change a database that was opened. */
function begin(db: DatabaseSync): void {
  // FULL: a change is on the disk when its commit returns. NORMAL would lose the last ones with the power, after their
  // senders were told that they hold; the price is one fsync a change, and changes are rare.
  db.exec("PRAGMA synchronous = FULL");
  db.exec("BEGIN IMMEDIATE");
}

/** Changes nothing, and has a page written all the same: a commit without one writes nothing. */
function writePage(db: DatabaseSync): void {
  const { user_version: version } = db.prepare("PRAGMA user_version").get() ?? {}; // a number that nothing uses
  db.exec(`PRAGMA user_version = ${version}`);
}
