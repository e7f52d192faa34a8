/**
 * The Unix socket of the admin API: whose it is, and that nobody else may open it.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { fileErrorReason } from "../control/file_access.ts";
import { readGroup } from "../control/group.ts";
import { printable } from "../control/quote.ts";

const MAX_PATH = 107; // octets; unix(7): sun_path holds 108 with the NUL at its end

/** An admin socket that cannot be had. Its message is one line: the path, what is wrong, and mostly what to do. */
export class AdminSocketError extends Error {
  override readonly name = "AdminSocketError";

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`grpc.addr ${printable(path)}: ${reason}`, options);
  }
}

/** Who may use a socket. */
export interface SocketRights {
  /** As chmod(2) takes it. */
  readonly mode: number;
  /** The group that it is to have, by name or number; `""`: that of the process. */
  readonly group: string;
}

/** For the server's own user alone. */
const PRIVATE: SocketRights = { mode: 0o600, group: "" };

/** A socket of this process at its path. */
export class AdminSocket {
  readonly path: string;
  readonly #identity: string;

  private constructor(path: string, identity: string) {
    this.path = path;
    this.#identity = identity;
  }

  /**
   * Puts a listening socket at `path`. One that a dead process left is replaced.
   *
   * The socket is made in a folder that nobody else may enter, and moved to its path when it has its group and mode: so
   * at no moment can another user connect than is to, nor is there a moment without a socket where there was one. (umask(2) would do it
   * too, but Deno allows it only to a program that may ask the system anything.)
   *
   * @param listen Listens on a Unix socket at the path that it is given.
   * @param rights Who may connect; by default this user alone.
   * @param replaces Whether to take the path from a server that runs, which is to be replaced.
   * @throws {AdminSocketError} If a server that runs has it, or it cannot be made.
   */
  static async open(
    path: string,
    listen: (path: string) => void | Promise<void>,
    { replaces = false, rights = PRIVATE }: { readonly replaces?: boolean; readonly rights?: SocketRights } = {},
  ): Promise<AdminSocket> {
    if (!replaces && await isServed(path)) {
      throw new AdminSocketError(path, "a server that runs has it; stop that one, or use another path");
    }
    const folder = makePrivateFolder(path);
    try {
      const made = join(folder, "s");
      const length = new TextEncoder().encode(made).length;
      if (length > MAX_PATH) {
        const shorter = length - MAX_PATH;
        throw new AdminSocketError(path, `its folder's path is too long; use one that is ${shorter} octets shorter`);
      }
      await listen(made);
      giveTo(made, path, rights);
      Deno.chmodSync(made, rights.mode);
      const identity = identityOf(made);
      Deno.renameSync(made, path);
      return new AdminSocket(path, identity);
    } catch (error) {
      if (error instanceof AdminSocketError) throw error;
      throw new AdminSocketError(path, error instanceof Error ? error.message : String(error), { cause: error });
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }

  /** Whether it is at its path: another one may be there by now, or none. */
  get isInPlace(): boolean {
    try {
      return identityOf(this.path) === this.#identity;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Removes the socket from its path, unless another one is there by now. */
  remove(): void {
    if (this.isInPlace) Deno.removeSync(this.path);
  }
}

/**
 * Gives a socket to the group that may use it.
 *
 * @throws {AdminSocketError} If there is no such group, or this user may not: it takes to be a member, or root (chown(2)).
 */
function giveTo(made: string, path: string, { group }: SocketRights): void {
  if (group === "") return;
  const reading = readGroup(group);
  if (reading.kind === "wrong") throw new AdminSocketError(path, `group: ${reading.message}`);
  try {
    Deno.chownSync(made, null, reading.gid);
  } catch (error) {
    const reason = `may not be given to group ${printable(group)}; make the server's user a member of it`;
    throw new AdminSocketError(path, reason, { cause: error });
  }
}

/** Device and number of what is at `path`. */
function identityOf(path: string): string {
  const { dev, ino } = Deno.lstatSync(path);
  return `${dev}:${ino}`;
}

/**
 * Whether a server that runs has a socket at `path`; not where it is free, or a dead process left one.
 *
 * @throws {AdminSocketError} If that cannot be told, or there is something else.
 */
export async function isServed(path: string): Promise<boolean> {
  try {
    if (!Deno.lstatSync(path).isSocket) {
      throw new AdminSocketError(path, "there is something else that is not a socket; remove it, or use another path");
    }
    const conn = await Deno.connect({ transport: "unix", path });
    conn.close();
    return true;
  } catch (error) {
    if (error instanceof AdminSocketError) throw error;
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) return false;
    throw new AdminSocketError(path, fileErrorReason(error), { cause: error });
  }
}

/**
 * Makes a folder beside `path` for this user alone.
 *
 * @throws {AdminSocketError} If it cannot be made.
 */
export function makePrivateFolder(path: string): string {
  const parent = dirname(path);
  for (;;) {
    const name = crypto.getRandomValues(new Uint32Array(1))[0]?.toString(36) ?? "";
    const folder = join(parent, `.${name}`); // short: the path of a socket has 107 octets at most
    try {
      Deno.mkdirSync(folder, { mode: 0o700 });
      return folder;
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) continue;
      throw new AdminSocketError(path, `its folder ${printable(parent)}: ${fileErrorReason(error)}`, { cause: error });
    }
  }
}
