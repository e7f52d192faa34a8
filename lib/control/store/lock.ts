/**
 * Who may serve from a database: one process at a time.
 *
 * @module
 */

import { fileExists } from "../file_access.ts";
import { folderProblem, StoreError, withStoreErrors } from "./store_error.ts";

const SERVED = "is served by another mc-proxy; stop that one, or use another database.path";

/**
 * The right to serve from a database, taken on the file `PATH.lock` beside it; the kernel takes it back when the process
 * is over, however it ends. Not on the database itself: to close a second descriptor of it would drop SQLite's own
 * locks (sqlite.org/howtocorrupt.html §2.2). Programs that only read, `snapshot` among them, need none.
 */
export class ServerLock implements Disposable {
  readonly #database: string;
  readonly #path: string;
  /** None while the right is another's. */
  #file: Deno.FsFile | undefined;
  readonly #created: boolean;

  private constructor(database: string, { path, file, created }: LockedFile) {
    this.#database = database;
    this.#path = path;
    this.#file = file;
    this.#created = created;
  }

  /**
   * Takes the right to serve from `database`.
   *
   * @param taken What to say where another process has it.
   * @throws {StoreError} If another process has it, or the lock file cannot be made.
   */
  static take(database: string, taken = SERVED): ServerLock {
    const locked = tryLock(database);
    if (locked !== undefined) return new ServerLock(database, locked);
    throw new StoreError(database, taken);
  }

  /** Gives the right back for another process to have. */
  release(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Takes the right again after {@linkcode release}; `false` where another process has it. */
  retake(): boolean {
    this.#file ??= tryLock(this.#database)?.file;
    return this.#file !== undefined;
  }

  /** Gives the right back, and removes the lock file if it was made here: for a start that leaves no trace. */
  discard(): void {
    if (this.#created) Deno.removeSync(this.#path);
    this.release();
  }

  /** Gives the right back. */
  [Symbol.dispose](): void {
    this.release();
  }
}

interface LockedFile {
  readonly path: string;
  readonly file: Deno.FsFile;
  readonly created: boolean;
}

/** @throws {StoreError} If the lock file cannot be made. */
function tryLock(database: string): LockedFile | undefined {
  const path = `${database}.lock`;
  return withStoreErrors(path, () => {
    const folder = folderProblem(database);
    if (folder !== undefined) throw new StoreError(database, folder);
    for (;;) {
      const created = !fileExists(path);
      const file = Deno.openSync(path, { create: true, write: true, mode: 0o600 });
      if (!file.tryLockSync(true)) {
        file.close();
        return undefined;
      }
      if (isStill(path, file)) return { path, file, created };
      file.close(); // whoever had it removed the file: the lock on what it was says nothing
    }
  });
}

/** Whether `path` is the very file that is open. */
function isStill(path: string, file: Deno.FsFile): boolean {
  if (!fileExists(path)) return false;
  const [named, open] = [Deno.statSync(path), file.statSync()];
  return named.ino === open.ino && named.dev === open.dev;
}
