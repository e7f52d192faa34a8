/**
 * What every engine promises to the control plane, and what it reports.
 *
 * @module
 */

import type { LogLines } from "../wire/log_line.ts";
import type { EdgeChange } from "./change.ts";
import type { RejectReason } from "./counters.ts";

/** How a connection ended: refused for a reason, or served until one of these. */
export type EndReason = RejectReason | ServedEnd;

/**
 * How a served connection ended.
 *
 * - `closed`: both sides sent all they had.
 * - `client_left`, `backend_left`: L4: that side had ended in order, and did not wait for all that the other had for it.
 * - `client_reset`, `backend_reset`: that side broke off.
 * - `protocol_error`: L7: the client broke the rules of HTTP/2, or flooded the connection, and was thrown out.
 * - `idle_timeout`: no byte in either direction for too long.
 * - `shutdown`: the program stopped before it was done.
 * - `internal_error`: a fault of ours; the log has its stack.
 */
export type ServedEnd =
  | "closed"
  | "client_left"
  | "backend_left"
  | "client_reset"
  | "backend_reset"
  | "protocol_error"
  | "idle_timeout"
  | "shutdown"
  | "internal_error";

/** A connection that is over. Text in it came from configuration or passed a parser; only `serverName` is a client's. */
export interface ConnectionEnd {
  /** The listener's `addr` as configured. */
  readonly listener: string;
  /** `host:port` of the real client. */
  readonly client: string;
  /** `undefined` where no ClientHello was read, or it had no SNI. */
  readonly serverName: string | undefined;
  /** The host name pattern of the route. */
  readonly route: string | undefined;
  readonly backend: string | undefined;
  /** Client to backend. */
  readonly bytesIn: number;
  /** Backend to client. */
  readonly bytesOut: number;
  readonly durationMs: number;
  readonly end: EndReason;
  /** Which rule the input broke, or what the system said; for `end`s that have more to tell. */
  readonly detail: string | undefined;
  /** L7: what was spoken on it, and how many requests it brought. */
  readonly http?: { readonly protocol: HttpProtocol; readonly requests: number };
}

/** What a client of an L7 route speaks. */
export type HttpProtocol = "h2" | "http/1.1";

/** A request that is over. The client chose `method`, `host`, `path`, `userAgent` and perhaps `requestId`: bounded. */
export interface RequestEnd {
  /** The listener's `addr` as configured. */
  readonly listener: string;
  /** The host name pattern of the route. */
  readonly route: string;
  /** `host:port` of the real client. */
  readonly client: string;
  readonly requestId: string;
  readonly protocol: HttpProtocol;
  readonly method: string;
  readonly host: string;
  /** Without the query, which may hold secrets; its first 1,024 characters. */
  readonly path: string;
  readonly userAgent: string | undefined;
  /** What the client was answered; 499 where it left before; of one that we cut, 503 on a shutdown, else 408 or 500. */
  readonly status: number;
  /** The outcome of a gRPC call, where one is told. */
  readonly grpcStatus: number | undefined;
  /** Bodies, as they were passed on. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** From the request's being sent to the head of the answer; `undefined` where the backend was not asked, or did not answer. */
  readonly backendMs: number | undefined;
  /** What went wrong, where something did. */
  readonly error: string | undefined;
}

/** Connections or requests that were refused alike, and are not reported one by one. Nothing in it is a client's choice. */
export interface SuppressedLines {
  /** What they would have been: a `ConnectionEnd` or a `RequestEnd` each. */
  readonly of: "connection" | "request";
  /** The listener's `addr` as configured. */
  readonly listener: string;
  /** Why; requests are those that could not be read. */
  readonly reason: RejectReason | "malformed";
  /** The host name pattern of their route; `undefined` where there is none, or there are too many. */
  readonly route: string | undefined;
  readonly backend: string | undefined;
  /** What the clients were answered, of requests. */
  readonly status: number | undefined;
  readonly lines: number;
  /** `address:port` of the first of them, the tenth, the hundredth, …: some of who they were. */
  readonly clients: readonly string[];
  /** When the first and the last of them ended, in ms since 1970. */
  readonly firstAt: number;
  readonly lastAt: number;
}

/** What an engine reports while it runs. */
export interface EngineEvents {
  /** Lines of the log, of connections and requests that ended, in the order in which they did. */
  linesWritten(lines: LogLines): void;
  /** In place of the ends above: where a flood of refusals would be one each. */
  linesSuppressed(lines: SuppressedLines): void;
  /** A dial failed or the backend has no address: it is time to resolve its name anew. */
  dialFailed(backend: string): void;
  /** The system refuses to accept (`EMFILE`, `ENFILE`, …); said once until it accepts again. */
  acceptFailed(listener: string, reason: string): void;
  acceptRecovered(listener: string): void;
  /** A fault of ours that ended one connection: its stack. */
  internalError(stack: string): void;
  /** A fault of ours that ended a worker, and with it all its connections; another one takes its place. */
  workerFailed(worker: number, stack: string): void;
}

/** The threads of a data plane. */
export interface ThreadCounts {
  /** How many there are to be. */
  readonly wanted: number;
  /** How many serve; fewer while one that died is being replaced. */
  readonly up: number;
}

/** A data plane with its listeners bound. */
export interface Engine {
  /** The addresses that are really bound, `host:port`, in the order of the snapshot's listeners; `undefined`: none is. */
  readonly addresses: readonly (string | undefined)[];
  /** Why listeners could not be bound, by their places in the snapshot. The others serve without them. */
  readonly unbound: ReadonlyMap<number, ListenError>;
  readonly threads: ThreadCounts;
  /** Does what takes time, so that `start` does not; `start` does it where this was not called. */
  prepare(): Promise<void>;
  /**
   * Starts to accept, and resolves once it does; until then connections wait in the kernel's queue.
   *
   * @throws {ListenError} If the address of an inherited listener cannot be bound after all.
   */
  start(): Promise<void>;
  /**
   * Binds a listener that is {@linkcode unbound}, and accepts on it where the others accept.
   *
   * @throws {ListenError} If it cannot be bound now either.
   */
  bindAgain(listener: number): void;
  /**
   * Makes changes, all in one go: no connection is accepted between them. Resolves once every worker goes by them.
   *
   * @throws {RangeError} If there is no such listener.
   */
  apply(changes: readonly EdgeChange[]): Promise<void>;
  /**
   * Passes the listening sockets to the process that has a `DescriptorSocket` at `path`, and stays one of their owners:
   * both may accept.
   *
   * @returns How many sockets of each listener there are, in the order of the snapshot and of the descriptors; 0 where
   * this engine cannot pass them on.
   * @throws {DescriptorError} If they cannot be passed.
   */
  passListeners(path: string): readonly number[];
  /**
   * Stops accepting; resolves once the addresses are free. Open connections go on.
   *
   * @param takesQueued Whether connections that wait in the kernel's queues are taken first: not where another process
   * was passed the sockets, and takes them.
   */
  stop(takesQueued: boolean): Promise<void>;
  /** Resolves once no connection is open; for an engine that has stopped. */
  drained(): Promise<void>;
  /** Ends every open connection at once. */
  abort(): void;
}

/** A listener that could not be bound. */
export class ListenError extends Error {
  override readonly name = "ListenError";

  /**
   * @param addr The listener's address as configured.
   * @param reason What the system said, in words that tell what to do.
   */
  constructor(readonly addr: string, readonly reason: string, options?: ErrorOptions) {
    super(`cannot listen on ${addr}: ${reason}`, options);
  }
}
