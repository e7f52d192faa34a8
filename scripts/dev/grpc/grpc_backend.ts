/**
 * A demo gRPC server for an L7 route: an echo, with server reflection.
 *
 * @module
 */

import {
  type Metadata,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { fileURLToPath } from "node:url";
import type { Backend } from "../backend.ts";

/** See echo.proto. */
interface SayRequest {
  readonly text: string;
}

/** See echo.proto. */
interface SayResponse extends SayRequest {
  readonly client: string;
  readonly count: number;
}

/** What the server speaks. */
export const ECHO_SERVICE = "demo.v1.Echo";

/** The files' definitions, as `@grpc/grpc-js` and the reflection service take them. */
const definitions = loadSync(fileURLToPath(new URL("echo.proto", import.meta.url)));

/** How its methods are called. */
export const echoService = definitions[ECHO_SERVICE] as ServiceDefinition;

/** Starts the server on a free port of 127.0.0.1, without TLS. */
export async function startGrpcBackend(): Promise<Backend> {
  const server = new Server();
  server.addService(echoService, {
    say({ request, metadata }: ServerUnaryCall<SayRequest, SayResponse>, done: sendUnaryData<SayResponse>) {
      done(null, { text: request.text, client: clientOf(metadata), count: 1 });
    },
    chat(call: ServerDuplexStream<SayRequest, SayResponse>) {
      let count = 0;
      call.on("data", ({ text }: SayRequest) => {
        if (call.write({ text, client: clientOf(call.metadata), count: ++count })) return;
        call.pause(); // who does not read is not read from
        call.once("drain", () => call.resume());
      });
      call.on("end", () => call.end());
    },
  });
  new ReflectionService(definitions).addToServer(server);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
    if (error === null) resolve(port);
    else reject(error);
  });
  return {
    addr: `127.0.0.1:${await promise}`,
    close: () => Promise.resolve(server.forceShutdown()),
  };
}

function clientOf(metadata: Metadata): string {
  return metadata.get("x-real-ip").join(", ") || "unknown";
}
