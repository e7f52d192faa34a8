/**
 * A demo gRPC server for an L7 route: an echo, with server reflection.
 *
 * @module
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Metadata,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import { serviceDefinition } from "../../../lib/admin/grpc.ts";
import { Reflection } from "../../../lib/admin/reflection.ts";
import type { Backend } from "../backend.ts";
import { Echo, file_echo, type SayRequest, type SayResponseSchema } from "./gen/echo_pb.ts";

type SayResponse = MessageInitShape<typeof SayResponseSchema>;

/** Starts the server on a free port of 127.0.0.1, without TLS. */
export async function startGrpcBackend(): Promise<Backend> {
  const server = new Server();
  server.addService(serviceDefinition(Echo), {
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
  new Reflection([file_echo]).addTo(server);
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
