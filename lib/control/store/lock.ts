/**
 * Who may serve from a database: one process at a time.
 *
 * @module
 */

import { fileExists } from "../file_access.ts";
import { folderProblem, StoreError, withStoreErrors } from "./store_error.ts";

/**
 * The right to serve from a database, taken on the file `PATH.lock` beside it; the kernel takes it back when the process
 * is over, however it ends. Not on the database itself: to close a second descriptor of it would drop SQLite's own
 * locks (sqlite.org/howtocorrupt.html §2.2). Programs that only read, `snapshot` among them, need none.
 */
export class ServerLock implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #created: boolean;

  private constructor(path: string, file: Deno.FsFile, created: boolean) {
    this.#path = path;
    this.#file = file;
    this.#created = created;
  }

  /**
   * Takes the right to serve from `database`.
   *
   * @throws {StoreError} If another process has it, or the lock file cannot be made.
   */
  static take(database: string): ServerLock {
    const path = `${database}.lock`;
    return withStoreErrors(path, () => {
      const folder = folderProblem(database);
      if (folder !== undefined) throw new StoreError(database, folder);
      for (;;) {
        const created = !fileExists(path);
        const file = Deno.openSync(path, { create: true, write: true, mode: 0o600 });
        if (!file.tryLockSync(true)) {
          file.close();
          throw new StoreError(database, "is served by another mc-proxy; stop that one, or use another database.path");
        }
        if (isStill(path, file)) return new ServerLock(path, file, created);
        file.close(); // whoever had it removed the file: the lock on what it was says nothing
      }
    });
  }

  /** Gives the right back, and removes the lock file if it was made here: for a start that leaves no trace. */
  discard(): void {
    if (this.#created) Deno.removeSync(this.#path);
    this.#file.close();
  }

  /** Gives the right back. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Whether `path` is the very file that is open. */
function isStill(path: string, file: Deno.FsFile): boolean {
  if (!fileExists(path)) return false;
  const [named, open] = [Deno.statSync(path), file.statSync()];
  return named.ino === open.ino && named.dev === open.dev;
}
