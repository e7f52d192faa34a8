/**
 * What the program tells the service manager that started it: sd_notify(3).
 *
 * Datagrams go through libc: those of Deno need a socket file of one's own, and know no abstract names. So where libc
 * cannot be called, nothing is told.
 *
 * @module
 */

import { EAGAIN, errorName, Libc, LibcError } from "../edge/linux/libc.ts";
import { encodeUnixSockaddr } from "../edge/linux/sockaddr.ts";
import { readVariable } from "./environment.ts";

/** How long to wait before a datagram is sent again that found the manager's socket full. */
const RETRY_MS = 100;

/** How many times in the manager's interval it is told that all is well: one that is late is no reason to be ended. */
const WATCHDOG_BEATS = 4;

/** How much longer than its connections the program may take to stop. */
const STOP_MARGIN_MS = 10_000;

/** What the manager put into the environment. */
export interface Summons {
  /** `NOTIFY_SOCKET`: a path, or `@` and an abstract name. */
  readonly socket: string;
  /** The interval of its watchdog, `WATCHDOG_USEC`; none where that is off, or meant for another process. */
  readonly watchdogMs: number | undefined;
}

/** How it is told. */
export interface Channel {
  /** Sends one datagram; a negative number is an error. */
  send(octets: Uint8Array<ArrayBuffer>): number;
  /** CLOCK_MONOTONIC in ms. */
  now(): number;
  /** The first datagram that could not be sent. */
  failed(reason: string): void;
}

/** What was told last. */
type State = "starting" | "ready" | "reloading" | "stopping";

/** The service manager, from a program's point of view. */
export class ServiceManager {
  readonly #channel: Channel;
  /** The interval of its watchdog; none where that is off. */
  readonly watchdogMs: number | undefined;
  readonly #waiting: Uint8Array<ArrayBuffer>[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #hasFailed = false;
  #isClosed = false;
  #state: State = "starting";

  /** {@linkcode ServiceManager.open} makes one that is really told. */
  constructor(channel: Channel, watchdogMs: number | undefined) {
    this.#channel = channel;
    this.watchdogMs = watchdogMs;
  }

  /**
   * The manager that started this process; `undefined` where none did, or none that wants to be told.
   *
   * @param failed Told the reason, where it cannot be reached; the program goes on.
   * @param watchdogMs The interval of the watchdog where the environment has none: the manager tells it to the process
   * that it starts as the main one, and not to one that takes its place. 0: there is none.
   */
  static open(
    failed: (reason: string) => void,
    watchdogMs = 0,
    summons = readSummons(),
  ): ServiceManager | undefined {
    if (summons === undefined) return undefined;
    const sockaddr = encodeUnixSockaddr(summons.socket);
    if (sockaddr === undefined || !/^[/@]/.test(summons.socket)) {
      failed("NOTIFY_SOCKET is neither the path of a Unix socket nor an abstract name");
      return undefined;
    }
    try {
      const libc = new Libc();
      const send = (octets: Uint8Array<ArrayBuffer>) => libc.sendDatagram(sockaddr, octets);
      return new ServiceManager(
        { send, now: () => libc.now(), failed },
        summons.watchdogMs ?? (watchdogMs || undefined),
      );
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      failed(error.message);
      return undefined;
    }
  }

  /**
   * The program serves.
   *
   * @param status In one line, for people.
   * @param isNewMain Whether this process takes the place of the one that the manager takes for the service's main one.
   */
  ready(status: string, { isNewMain = false }: { readonly isNewMain?: boolean } = {}): void {
    if (this.#state === "stopping") return; // it was told to stop before it had started
    this.#state = "ready";
    this.#tell({ READY: 1, STATUS: status, ...isNewMain ? { MAINPID: Deno.pid } : {} });
  }

  /** The program reads its files anew; {@linkcode ServiceManager.reloaded} ends it. */
  reloading(): void {
    if (this.#state !== "ready") return; // a start or a stop that is under way is what the manager waits for
    this.#state = "reloading";
    this.#tell({ RELOADING: 1, MONOTONIC_USEC: Math.round(this.#channel.now() * 1000) });
  }

  reloaded(): void {
    if (this.#state !== "reloading") return;
    this.#state = "ready";
    this.#tell({ READY: 1 });
  }

  /**
   * The program ends.
   *
   * @param drainMs How long its connections may take: the manager is asked to wait, even beyond its own patience.
   */
  stopping(status: string, drainMs: number): void {
    this.#state = "stopping";
    this.#tell({ STOPPING: 1, STATUS: status, EXTEND_TIMEOUT_USEC: (drainMs + STOP_MARGIN_MS) * 1000 });
  }

  /**
   * From now on tells the manager's watchdog, where it has one, that the program is alive, as long as `isAlive` says so.
   * Else the manager ends the program once its interval is over, and starts it anew.
   */
  watch(isAlive: () => Promise<boolean>, status: () => string): void {
    if (this.watchdogMs === undefined) return;
    const pauseMs = this.watchdogMs / WATCHDOG_BEATS;
    const beat = async () => {
      try {
        const line = await isAlive() ? status() : undefined;
        const mayTell = line !== undefined && this.#waiting.length === 0;
        if (mayTell) this.#tell({ WATCHDOG: 1, ...this.#state === "ready" ? { STATUS: line } : {} });
      } catch {
        // Whatever was thrown: the program is not as it should be, and the manager hears nothing.
      }
      if (!this.#isClosed) this.#watchdog = setTimeout(() => void beat(), pauseMs);
    };
    void beat();
  }

  /** Tells nothing more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#watchdog);
  }

  #tell(assignments: Readonly<Record<string, string | number>>): void {
    if (this.#isClosed) return;
    const lines = Object.entries(assignments).map(([name, value]) => `${name}=${value}`);
    this.#waiting.push(new TextEncoder().encode(lines.join("\n")));
    if (this.#retry === undefined) this.#flush();
  }

  /** Sends what waits, in order. */
  #flush(): void {
    this.#retry = undefined;
    for (let octets = this.#waiting[0]; octets !== undefined; octets = this.#waiting[0]) {
      const result = this.#channel.send(octets);
      if (result === -EAGAIN) {
        this.#retry = setTimeout(() => this.#flush(), RETRY_MS);
        return;
      }
      this.#waiting.shift();
      if (result >= 0 || this.#hasFailed) continue;
      this.#hasFailed = true;
      this.#channel.failed(errorName(-result));
    }
  }
}

/** What the environment says, as far as it may be read. */
export function readSummons(read: (name: string) => string | undefined = readVariable): Summons | undefined {
  const socket = read("NOTIFY_SOCKET");
  if (socket === undefined || socket === "") return undefined;
  const pid = read("WATCHDOG_PID");
  const usec = Number(read("WATCHDOG_USEC"));
  const isMeant = (pid === undefined || Number(pid) === Deno.pid) && usec > 0;
  return { socket, watchdogMs: isMeant ? usec / 1000 : undefined };
}
