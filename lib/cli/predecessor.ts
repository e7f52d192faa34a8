/**
 * The process that this one replaces, as this one sees it; `lib/control/handover.ts` is that process's own part.
 *
 * @module
 */

import { join } from "node:path";
import { AdminClient, AdminError } from "../admin/client.ts";
import type { BeginHandoverResponse } from "../admin/gen/mc_proxy/v1/admin_pb.ts";
import { isServed, makePrivateFolder } from "../admin/socket.ts";
import type { HandedListener } from "../control/handover.ts";
import type { HandedTicketKeys } from "../control/ticket_keyring.ts";
import { within } from "../control/within.ts";
import type { Inheritance } from "../edge/inherited.ts";
import { DescriptorError, DescriptorSocket } from "../edge/linux/descriptors.ts";
import { messageOf } from "../edge/thrown.ts";
import { isTicketKey } from "../edge/ticket_key.ts";

/** How long the other process may take to begin: a change that is under way takes 15 s at most. */
const BEGIN_MS = 20_000;

/** A takeover that failed. Its message is one line. */
export class TakeoverError extends Error {
  override readonly name = "TakeoverError";
}

/** What this process says of itself. */
export interface Successor {
  readonly version: string;
  /** The absolute path of its database. */
  readonly database: string;
  /** Whether it can use listening sockets as descriptors: the epoll engine. */
  readonly wantsDescriptors: boolean;
}

/** A server that has begun to hand over to this process, and carries on if this one does not finish. */
export class Predecessor {
  readonly pid: number;
  readonly version: string;
  readonly listeners: Inheritance;
  /** Where it serves metrics. */
  readonly metrics: HandedListener | undefined;
  /** The interval of the service manager's watchdog, in milliseconds; 0: there is none. */
  readonly watchdogMs: number;
  /** Its keys of session tickets: none of a version that has none. */
  readonly ticketKeys: HandedTicketKeys;
  readonly #token: string;
  readonly #client: AdminClient;
  readonly #abort: AbortController;
  #end: "none" | "gone" | TakeoverError = "none";

  private constructor(
    client: AdminClient,
    abort: AbortController,
    { pid, version, token, metrics, watchdogMs, ticketKeys, ticketKeysRotateMs }: BeginHandoverResponse,
    listeners: Inheritance,
    over: Promise<unknown>,
  ) {
    this.pid = pid;
    this.version = version;
    this.listeners = listeners;
    this.metrics = metrics;
    this.watchdogMs = watchdogMs;
    this.ticketKeys = { keys: ticketKeys.filter(isTicketKey), rotateMs: ticketKeysRotateMs };
    this.#token = token;
    this.#client = client;
    this.#abort = abort;
    over.catch((error) =>
      this.#end = error instanceof AdminError ? errorOf(error) : new TakeoverError(messageOf(error))
    );
  }

  /**
   * Has the server at `path` begin to hand over to this process.
   *
   * From now on the database is this process's to write.
   *
   * @param path Of its admin socket.
   * @returns `undefined` where no server runs there.
   * @throws {TakeoverError | AdminSocketError} If it refuses.
   */
  static async meet(path: string, successor: Successor): Promise<Predecessor | undefined> {
    if (!await isServed(path)) return undefined;
    const client = new AdminClient(path);
    const abort = new AbortController();
    const folder = makePrivateFolder(path);
    try {
      refuseOther(path, folder);
      using socket = successor.wantsDescriptors ? new DescriptorSocket(join(folder, "d")) : undefined;
      return await Predecessor.#begin(client, abort, successor, socket);
    } catch (error) {
      abort.abort();
      client.close();
      throw error instanceof DescriptorError ? new TakeoverError(error.message, { cause: error }) : error;
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }

  static async #begin(
    client: AdminClient,
    abort: AbortController,
    { version, database }: Successor,
    socket: DescriptorSocket | undefined,
  ): Promise<Predecessor> {
    const request = { pid: Deno.pid, version, database, descriptorsPath: socket?.path ?? "" };
    const offers = client.beginHandover(request, abort.signal);
    const answered = offers.next();
    if (!await within(BEGIN_MS, answered.then(() => {})).catch(rethrow)) {
      throw new TakeoverError(`it has not answered within ${BEGIN_MS / 1000} s`);
    }
    const { value: offer } = await answered;
    if (!offer) throw new TakeoverError("it ended the handover before it began");
    return new Predecessor(client, abort, offer, inherit(offer, socket), offers.next());
  }

  /**
   * Whether it is still there: a process that died has no need of being told.
   *
   * @throws {TakeoverError} If it does not wait any more.
   */
  get isThere(): boolean {
    if (this.#end instanceof TakeoverError) throw this.#end;
    return this.#end === "none";
  }

  /**
   * Tells it that this process serves: it stops accepting, and its connections may go on for `drainMs`, for 0 as long as
   * its `shutdown_timeout`.
   *
   * @throws {TakeoverError} If it does not wait any more.
   */
  async finish(drainMs: number): Promise<void> {
    try {
      if (this.isThere) await this.#client.finishHandover(this.#token, drainMs);
    } catch (error) {
      const end = error instanceof TakeoverError ? error : errorOf(error);
      if (end instanceof TakeoverError) throw end;
      this.#end = end;
    } finally {
      this.#client.close();
    }
  }

  /** Gives up: it carries on. */
  abandon(): void {
    this.#abort.abort();
    this.#client.close();
  }
}

/**
 * Refuses to take over from a server of another user: it could not reach our folder, and the files that root makes beside
 * the database would be in that user's way for ever.
 *
 * @param own A folder that this process has made.
 */
function refuseOther(path: string, own: string): void {
  const { uid } = Deno.lstatSync(path);
  if (uid !== Deno.lstatSync(own).uid) throw new TakeoverError(`it runs as user ${uid}; run this as the same user`);
}

/** Takes the descriptors that were sent, and says whose each is. */
function inherit({ listeners }: BeginHandoverResponse, socket: DescriptorSocket | undefined): Inheritance {
  const fds = socket?.take(listeners.reduce((sum, { sockets }) => sum + sockets, 0)) ?? [];
  let at = 0;
  return new Map(
    listeners.map(({ addr, boundAddr, sockets }) => [addr, { boundAddr, fds: fds.slice(at, at += sockets) }]),
  );
}

function rethrow(error: unknown): never {
  const end = errorOf(error);
  throw end === "gone" ? new TakeoverError("it ended meanwhile") : end;
}

/** What an error of a call means. @throws What is no error of a call. */
function errorOf(error: unknown): "gone" | TakeoverError {
  if (!(error instanceof AdminError)) throw error;
  if (error.isBrokenOff || error.message.startsWith("no admin API")) return "gone";
  const reason = error.code === "UNIMPLEMENTED"
    ? "it is of a version that cannot be taken over; stop it, then start this one"
    : error.message;
  return new TakeoverError(reason, { cause: error });
}
