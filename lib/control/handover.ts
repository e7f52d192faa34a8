/**
 * Handing the program over to a new process of it, without a connection lost.
 *
 * This is the part of the process that leaves; `lib/cli/predecessor.ts` is that of the one that comes. Until the new
 * one says that it serves, this one goes on to serve; it only changes nothing, so that what the new one reads of the
 * database is the last state of it. Whatever happens to the new one before, this one carries on.
 *
 * @module
 */

import { DescriptorError } from "../edge/linux/descriptors.ts";
import { messageOf, stackOf } from "../edge/thrown.ts";
import type { Administration } from "./administration.ts";
import { MAX_DURATION_MS } from "./config_duration.ts";
import { fileIdentity } from "./file_access.ts";
import type { Log } from "./log.ts";
import { orAborted } from "./metrics/intervals.ts";
import { quote } from "./quote.ts";
import { Refusal } from "./refusal.ts";
import type { ServerLock } from "./store/lock.ts";
import { StoreError } from "./store/store_error.ts";
import type { StopOptions, Supervisor } from "./supervisor.ts";
import type { HandedTicketKeys } from "./ticket_keyring.ts";
import { within } from "./within.ts";

/** How long the new process may take from the beginning to the end: it resolves names and starts its threads. */
const HANDOVER_MS = 60_000;

/** How often to look whether the database is free again, after a new process failed. */
const RETAKE_MS = 50;

/** After so long it is said that it is not. */
const RETAKE_PATIENCE_MS = 2_000;

const MAX_VERSION = 64; // characters, in the log

const SHUTTING_DOWN = "the server is shutting down";

/** Where the program listens. */
export interface HandedListener {
  /** As configured. */
  readonly addr: string;
  /** `host:port` as it is bound. */
  readonly boundAddr: string;
  /** How many descriptors were sent for it. */
  readonly sockets: number;
}

/** What a new process says of itself. */
export interface HandoverRequest {
  readonly pid: number;
  readonly version: string;
  readonly database: string;
  /** Of a `DescriptorSocket`; empty where it wants no descriptors. */
  readonly descriptorsPath: string;
}

/** What it is handed. */
export interface HandoverOffer {
  readonly token: string;
  /** Of this process. */
  readonly pid: number;
  readonly listeners: readonly HandedListener[];
  readonly metrics: HandedListener | undefined;
  /** The interval of the service manager's watchdog; 0: there is none. */
  readonly watchdogMs: number;
  /** The keys of session tickets. */
  readonly ticketKeys: HandedTicketKeys;
}

/** What a {@linkcode Handover} works on. */
export interface HandoverOptions {
  readonly administration: Pick<Administration, "suspend" | "resume" | "status">;
  readonly supervisor: Pick<Supervisor, "passListeners" | "handTicketKeys" | "status">;
  readonly lock: Pick<ServerLock, "release" | "retake">;
  readonly database: string;
  /** The interval of the service manager's watchdog, by default 0: there is none. */
  readonly watchdogMs?: number;
  readonly log: Pick<Log, "info" | "warn" | "error">;
  /** How long the new process may take, by default {@linkcode HANDOVER_MS}. */
  readonly timeoutMs?: number;
  /** Where metrics are served. */
  metrics(): HandedListener | undefined;
  /** Takes the admin socket's path back, if the new process had it. */
  restoreSocket(): Promise<void>;
  /** The new process serves: it is time to go. */
  leave(stop: StopOptions): void;
}

/** One that is under way. */
interface Current {
  readonly pid: number;
  readonly token: string;
  readonly finished: PromiseWithResolvers<void>;
  /** Resolves when all is as it was before. */
  readonly undone: PromiseWithResolvers<void>;
  hasPassedListeners: boolean;
  state: "begun" | "finished" | "failed";
}

/** See the module. */
export class Handover {
  readonly #options: HandoverOptions;
  #current: Current | undefined;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /**
   * Begins to hand over to another process; what is yielded once is what it is handed.
   *
   * It fails when `signal` is aborted, or the process does not finish in time.
   *
   * @throws {Refusal} If it cannot begin, or was not finished in time.
   */
  async *begin(request: HandoverRequest, signal: AbortSignal): AsyncGenerator<HandoverOffer, void> {
    const { administration, lock, log, timeoutMs = HANDOVER_MS } = this.#options;
    if (this.#current?.state === "failed") await within(RETAKE_PATIENCE_MS, this.#current.undone.promise);
    this.#refuse(request);
    const { pid, version } = request;
    const current: Current = {
      pid,
      token: crypto.randomUUID(),
      finished: Promise.withResolvers(),
      undone: Promise.withResolvers(),
      hasPassedListeners: false,
      state: "begun",
    };
    this.#current = current;
    log.info("handing_over", { to_pid: pid, to_version: version.slice(0, MAX_VERSION) });
    let reason = "the new process is gone";
    try {
      await administration.suspend(`the server is being handed over to process ${pid}; try again in a moment`);
      lock.release();
      yield this.#offer(current, request);
      const isOver = await within(timeoutMs, orAborted(current.finished.promise, signal));
      if (isFinished(current)) return;
      if (administration.status.draining) throw new Refusal("unavailable", SHUTTING_DOWN);
      if (isOver) return;
      reason = `the new process was not ready within ${timeoutMs / 1000} s`;
      throw new Refusal("precondition", reason);
    } catch (error) {
      reason = messageOf(error);
      throw error;
    } finally {
      if (current.state === "begun") {
        current.state = "failed";
        this.#carryOn(current, reason).catch((thrown) =>
          log.error("internal_error", { method: "takeover", stack: stackOf(thrown) })
        );
      }
    }
  }

  /** @throws {Refusal} If a handover cannot begin. */
  #refuse({ database }: HandoverRequest): void {
    const { administration, database: own } = this.#options;
    const current = this.#current;
    if (administration.status.draining || current?.state === "finished") {
      throw new Refusal("unavailable", SHUTTING_DOWN);
    }
    if (current?.state === "failed") {
      const message = `process ${current.pid}, which did not finish a takeover, still has the database; end it`;
      throw new Refusal("precondition", message);
    }
    if (current !== undefined) {
      throw new Refusal("precondition", `process ${current.pid} is taking over already; wait for it, or end it`);
    }
    if (!isSameFile(database, own)) {
      const message = `database.path is ${quote(database)}, and the server's is ${quote(own)}; both must be the same`;
      throw new Refusal("precondition", message);
    }
  }

  #offer(current: Current, { descriptorsPath }: HandoverRequest): HandoverOffer {
    const { supervisor, metrics, watchdogMs = 0 } = this.#options;
    const counts = descriptorsPath === "" ? undefined : passed(() => supervisor.passListeners(descriptorsPath));
    const listeners = supervisor.status.listeners.filter(({ problem }) => problem === undefined)
      .map(({ addr, boundAddr }) => ({ addr, boundAddr, sockets: counts?.get(addr) ?? 0 }));
    current.hasPassedListeners = listeners.some(({ sockets }) => sockets > 0);
    const ticketKeys = supervisor.handTicketKeys();
    return { token: current.token, pid: Deno.pid, listeners, metrics: metrics(), watchdogMs, ticketKeys };
  }

  /**
   * The new process serves, and this one leaves.
   *
   * @throws {Refusal} If there is no such handover: the new process took too long.
   */
  finish({ token, drainMs }: { readonly token: string; readonly drainMs: number }): void {
    const { log, leave } = this.#options;
    const current = this.#current;
    if (drainMs > MAX_DURATION_MS) {
      const description = `expected a whole number from 0 to ${MAX_DURATION_MS}, got ${drainMs}`;
      throw Refusal.invalid([{ field: "drain_ms", description }]);
    }
    if (current?.state !== "begun" || current.token !== token) {
      const description = token === "" ? "is missing" : "is not that of the handover under way";
      throw Refusal.invalid([{ field: "token", description }]);
    }
    current.state = "finished";
    current.finished.resolve();
    log.info("handed_over", { to_pid: current.pid });
    leave({ takesQueued: !current.hasPassedListeners, ...drainMs > 0 && { timeoutMs: drainMs } });
  }

  /** Makes all as it was before; for as long as the failed process has the database, it cannot be changed. */
  async #carryOn(current: Current, reason: string): Promise<void> {
    const { administration, lock, log, restoreSocket } = this.#options;
    log.warn("handover_failed", { to_pid: current.pid, reason });
    const since = performance.now();
    for (let told = false; !retaken(lock);) {
      if (administration.status.draining) return;
      if (!told && performance.now() - since > RETAKE_PATIENCE_MS) {
        log.warn("database_held", { by_pid: current.pid });
        told = true;
      }
      await new Promise((resolve) => setTimeout(resolve, RETAKE_MS));
    }
    await restoreSocket().catch((error) => log.error("admin_socket_lost", { error: messageOf(error) }));
    administration.resume();
    this.#current = undefined;
    current.undone.resolve();
    log.info("carrying_on", {});
  }
}

function isFinished({ state }: Current): boolean {
  return state === "finished";
}

function isSameFile(path: string, own: string): boolean {
  try {
    return fileIdentity(path) === fileIdentity(own);
  } catch {
    return false; // no path that this process may look at is the one of its own database
  }
}

/** Whether the right to the database is this process's again. */
function retaken(lock: HandoverOptions["lock"]): boolean {
  try {
    return lock.retake();
  } catch (error) {
    if (error instanceof StoreError) return false; // its folder is not there, or not to be written, at this moment
    throw error;
  }
}

/** @throws {Refusal} If the descriptors cannot be passed. */
function passed<T>(pass: () => T): T {
  try {
    return pass();
  } catch (error) {
    if (!(error instanceof DescriptorError)) throw error;
    throw new Refusal("precondition", `the listening sockets cannot be passed: ${error.message}`, [], { cause: error });
  }
}
