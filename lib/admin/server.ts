/**
 * The gRPC server of the admin API, on its Unix socket.
 *
 * @module
 */

import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  logVerbosity,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { AcceptEvents } from "../control/accept_loop.ts";
import { isUnwritable } from "../control/file_access.ts";
import { orAborted } from "../control/metrics/intervals.ts";
import { Refusal } from "../control/refusal.ts";
import { Connections } from "./connections.ts";
import { statusOf } from "./errors.ts";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "./gen/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "./gen/grpc/health/v1/health_pb.ts";
import { file_mc_proxy_v1_admin, ProxyAdminService } from "./gen/mc_proxy/v1/admin_pb.ts";
import { type ServedMethod, servedMethods, serviceDefinition } from "./grpc.ts";
import { HealthService } from "./health_service.ts";
import { Reflection } from "./reflection.ts";
import { type Administered, makeHandlers } from "./service.ts";
import { AdminSocket, type SocketRights } from "./socket.ts";

/** A request may hold every route, which the documentation says a limit of; answers have none. */
const MAX_REQUEST = 32 * 1024 * 1024;

/**
 * How long clients may stay once the server is closed. Changes are finished by then, and a watched health never is; that
 * it closes is not told by GOAWAY, over which a client on Deno may fail as a server does: see `goaway_filter.ts`.
 */
const CLOSE_MS = 100;

/** What reflection tells of: the API, and what its errors and health are made of. */
const REFLECTED = [
  file_mc_proxy_v1_admin,
  file_grpc_health_v1_health,
  file_google_rpc_status,
  file_google_rpc_error_details,
];

/** How soon to try again to make the socket. */
const RETRY_OPEN_MS = 2_000;

/** What the server reports. */
export interface AdminServerEvents extends AcceptEvents {
  /** The socket cannot be made for now; said once until it can. */
  openFailed(reason: string): void;
  /** It could. */
  openRecovered(): void;
  /** A fault of ours in a call. */
  internalError(method: string, thrown: unknown): void;
}

/** See the module. */
export class AdminServer {
  readonly path: string;
  readonly #rights: SocketRights | undefined;
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #events: AdminServerEvents;
  readonly #health: HealthService;
  readonly #started = Promise.withResolvers<void>();
  /** Each ends a stream. */
  readonly #streams = new Set<AbortController>();
  #isDraining = false;
  #isClosed = false;
  #openProblem: string | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #socket: AdminSocket | undefined;

  /**
   * @param path Of the Unix socket, which {@linkcode AdminServer.open} makes.
   * @param rights Who may connect to it; by default this user alone.
   */
  constructor(path: string, administered: Administered, events: AdminServerEvents, rights?: SocketRights) {
    this.path = path;
    this.#rights = rights;
    this.#events = events;
    setLogVerbosity(logVerbosity.NONE); // its own lines on standard error are none of our log's; errors are returned too
    this.#server = new Server({ "grpc.max_receive_message_length": MAX_REQUEST });
    this.#server.addService(serviceDefinition(ProxyAdminService), this.#implementation(administered, events));
    this.#health = new HealthService(administered.health, this.#server);
    new Reflection(REFLECTED).addTo(this.#server);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#connections = new Connections((connection) => injector.injectConnection(connection), events);
  }

  /**
   * Opens the socket. Calls wait until {@linkcode AdminServer.start}.
   *
   * @param replaces Whether to take its path from a server that runs.
   * @throws {AdminSocketError} If it cannot be had.
   */
  async open({ replaces = false }: { readonly replaces?: boolean } = {}): Promise<void> {
    this.#socket = await AdminSocket.open(this.path, (made) => this.#connections.listen(made), {
      replaces,
      ...this.#rights && { rights: this.#rights },
    });
  }

  /**
   * The same, but where the socket's disk takes no write, the socket is opened when it does: until then
   * {@linkcode AdminServer.problem} says why.
   *
   * @throws {AdminSocketError} If it cannot be had for another reason.
   */
  async openEventually(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      if (!isUnwritable(error)) throw error;
      this.#openProblem = reasonOf(error);
      this.#events.openFailed(this.#openProblem);
      this.#retryOpen();
    }
  }

  #retryOpen(): void {
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.open().then(() => {
        if (this.#isClosed) return this.#socket?.remove();
        this.#openProblem = undefined;
        this.#events.openRecovered();
      }).catch((error) => {
        this.#openProblem = reasonOf(error);
        this.#retryOpen();
      });
    }, RETRY_OPEN_MS);
  }

  /** Whether clients can reach it. */
  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  /** Why clients cannot reach it, in one line; `undefined` where they can. */
  get problem(): string | undefined {
    if (this.#openProblem !== undefined) return this.#openProblem;
    const { acceptProblem } = this.#connections;
    return acceptProblem && `accepts no connections: ${acceptProblem}`;
  }

  /**
   * Makes the socket anew where another process took its path, and is gone; {@linkcode AdminServer.openEventually} says
   * when.
   *
   * @throws {AdminSocketError} If it cannot be had.
   */
  async restore(): Promise<void> {
    if (this.#socket?.isInPlace === false) await this.openEventually();
  }

  /** Answers calls from now on. */
  start(): void {
    this.#started.resolve();
  }

  /** Tells whoever asks for its health that the program is about to end, and ends what watches it. */
  drain(): void {
    this.#health.end();
    this.#isDraining = true;
    for (const stream of this.#streams) stream.abort();
  }

  /** Removes the socket; ends when every client has left, or soon. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#socket?.remove();
    await this.#connections.close(CLOSE_MS);
    this.#server.forceShutdown();
  }

  #implementation(administered: Administered, events: AdminServerEvents): UntypedServiceImplementation {
    const handlers: Readonly<Record<string, unknown>> = makeHandlers(administered);
    return Object.fromEntries(
      servedMethods(ProxyAdminService).map((method) => {
        const handler = handlers[method.localName];
        if (typeof handler !== "function") throw new TypeError(`no handler for ${method.name}`);
        return [
          method.localName,
          method.methodKind === "unary"
            ? this.#unary(method, handler as UnaryHandler, events)
            : this.#streaming(method, handler as StreamingHandler, events),
        ];
      }),
    );
  }

  #unary(
    { name }: ServedMethod,
    handler: UnaryHandler,
    events: AdminServerEvents,
  ): handleUnaryCall<unknown, unknown> {
    const answer = async (request: unknown, callback: sendUnaryData<unknown>) => {
      try {
        await this.#started.promise;
        callback(null, await handler(request));
      } catch (error) {
        if (!(error instanceof Refusal)) events.internalError(name, error);
        callback(statusOf(error));
      }
    };
    return ({ request }, callback) => {
      answer(request, callback).catch((thrown) => events.internalError(name, thrown));
    };
  }

  #streaming(
    { name }: ServedMethod,
    handler: StreamingHandler,
    events: AdminServerEvents,
  ): handleServerStreamingCall<unknown, unknown> {
    const answer = async (call: ServerWritableStream<unknown, unknown>) => {
      const ending = new AbortController();
      const { signal } = ending;
      this.#streams.add(ending);
      call.on("cancelled", () => ending.abort());
      try {
        await this.#started.promise;
        if (this.#isDraining) ending.abort();
        for await (const message of handler(call.request, signal)) await write(call, message, signal);
        call.end();
      } catch (error) {
        if (!(error instanceof Refusal)) events.internalError(name, error);
        call.emit("error", statusOf(error));
      } finally {
        this.#streams.delete(ending);
      }
    };
    return (call) => {
      answer(call).catch((thrown) => events.internalError(name, thrown));
    };
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// Deserializers made their requests, and serializers take their answers.
type UnaryHandler = (request: unknown) => unknown;
type StreamingHandler = (request: unknown, signal: AbortSignal) => AsyncIterable<unknown>;

/** Resolves when the client has taken the message, so that one waits for it at most, or when nobody wants it any more. */
function write(call: ServerWritableStream<unknown, unknown>, message: unknown, signal: AbortSignal): Promise<void> {
  const { promise: written, resolve } = Promise.withResolvers<void>();
  call.write(message, () => resolve()); // that it failed is told as a cancellation
  return orAborted(written, signal);
}
