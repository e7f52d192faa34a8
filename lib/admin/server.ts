/**
 * The gRPC server of the admin API, on its Unix socket.
 *
 * @module
 */

import { type DescFile, type DescMethodUnary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  type handleUnaryCall,
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, protoPath as healthProtoPath } from "grpc-health-check";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";
import { Buffer } from "node:buffer";
import type { Administration } from "../control/administration.ts";
import { Refusal } from "../control/refusal.ts";
import { Connections } from "./connections.ts";
import { statusOf } from "./errors.ts";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "./gen/google/rpc/status_pb.ts";
import { file_mc_proxy_v1_admin, ProxyAdminService } from "./gen/mc_proxy/v1/admin_pb.ts";
import { serviceDefinition, unaryMethods } from "./grpc.ts";
import { makeHandlers } from "./service.ts";
import { AdminSocket } from "./socket.ts";

/** Requests are small; answers may hold every route. */
const MAX_REQUEST = 256 * 1024;

/**
 * How long clients may stay once the server is closed. Changes are finished by then, and a watched health never is; that
 * it closes is not told by GOAWAY, over which a client on Deno may fail as a server does: see `goaway_filter.ts`.
 */
const CLOSE_MS = 100;

/** What the server reports. */
export interface AdminServerEvents {
  /** A fault of ours in a call. */
  internalError(method: string, thrown: unknown): void;
}

/** See the module. */
export class AdminServer {
  readonly path: string;
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #health = new HealthImplementation({ "": "NOT_SERVING", [ProxyAdminService.typeName]: "NOT_SERVING" });
  readonly #started = Promise.withResolvers<void>();
  #socket: AdminSocket | undefined;

  private constructor(path: string, administration: Administration, version: string, events: AdminServerEvents) {
    this.path = path;
    setLogVerbosity(logVerbosity.NONE); // its own lines on standard error are none of our log's; errors are returned too
    this.#server = new Server({ "grpc.max_receive_message_length": MAX_REQUEST });
    this.#server.addService(
      serviceDefinition(ProxyAdminService),
      this.#implementation(administration, version, events),
    );
    this.#health.addToServer(this.#server);
    new ReflectionService(reflectedPackage()).addToServer(this.#server);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#connections = new Connections((connection) => injector.injectConnection(connection));
  }

  /**
   * Opens the socket. Calls wait until {@linkcode AdminServer.start}.
   *
   * @param path Of the Unix socket.
   * @param version What GetStatus says.
   * @throws {AdminSocketError} If it cannot be had.
   */
  static async open(
    path: string,
    administration: Administration,
    version: string,
    events: AdminServerEvents,
  ): Promise<AdminServer> {
    const server = new AdminServer(path, administration, version, events);
    try {
      server.#socket = await AdminSocket.open(path, (made) => server.#connections.listen(made));
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** Answers calls from now on. */
  start(): void {
    this.#setHealth("SERVING");
    this.#started.resolve();
  }

  /** Tells whoever asks for its health that the program is about to end. */
  drain(): void {
    this.#setHealth("NOT_SERVING");
  }

  /** Removes the socket; ends when every client has left, or soon. */
  async close(): Promise<void> {
    this.#socket?.remove();
    await this.#connections.close(CLOSE_MS);
    this.#server.forceShutdown();
  }

  #setHealth(status: "SERVING" | "NOT_SERVING"): void {
    for (const service of ["", ProxyAdminService.typeName]) this.#health.setStatus(service, status);
  }

  #implementation(
    administration: Administration,
    version: string,
    events: AdminServerEvents,
  ): UntypedServiceImplementation {
    const handlers: Readonly<Record<string, (request: never) => unknown>> = makeHandlers(administration, version);
    return Object.fromEntries(
      unaryMethods(ProxyAdminService).map((method) => {
        const handler = handlers[method.localName];
        if (handler === undefined) throw new TypeError(`no handler for ${method.name}`);
        return [method.localName, this.#unary(method, handler, events)];
      }),
    );
  }

  #unary(
    { name }: DescMethodUnary,
    handler: (request: never) => unknown,
    events: AdminServerEvents,
  ): handleUnaryCall<unknown, unknown> {
    return async ({ request }, callback) => {
      try {
        await this.#started.promise;
        callback(null, await handler(request as never)); // its deserializer made it
      } catch (error) {
        if (!(error instanceof Refusal)) events.internalError(name, error);
        callback(statusOf(error));
      }
    };
  }
}

/** Every service and message, as the reflection service wants them: in the shape in which proto-loader gives them. */
function reflectedPackage(): PackageDefinition {
  const files = [file_mc_proxy_v1_admin, file_google_rpc_status, file_google_rpc_error_details];
  const fileDescriptorProtos = [...withDependencies(files)].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto))
  );
  const format = "Protocol Buffer 3 EnumDescriptorProto"; // of these entries, only the files are looked at
  return { ...loadSync(healthProtoPath), [ProxyAdminService.typeName]: { format, type: {}, fileDescriptorProtos } };
}

function withDependencies(files: readonly DescFile[], found = new Set<DescFile>()): Set<DescFile> {
  for (const file of files) {
    withDependencies(file.dependencies, found);
    found.add(file);
  }
  return found;
}
