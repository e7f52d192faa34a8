/**
 * `grpc.health.v1.Health`: what the program itself says of its health.
 *
 * @module
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type sendUnaryData,
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import type { Health } from "../control/health.ts";
import {
  Health as HealthRpc,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as ServingStatus,
  type HealthCheckResponseSchema,
  type HealthListRequest,
  type HealthListResponseSchema,
} from "./gen/grpc/health/v1/health_pb.ts";
import { ProxyAdminService } from "./gen/mc_proxy/v1/admin_pb.ts";
import { serviceDefinition } from "./grpc.ts";

/** The names under which the program is asked for: as a whole, and its one service. */
const SERVICES: readonly string[] = ["", ProxyAdminService.typeName];

type CheckResponse = MessageInitShape<typeof HealthCheckResponseSchema>;
type ListResponse = MessageInitShape<typeof HealthListResponseSchema>;
type Watch = ServerWritableStream<HealthCheckRequest, CheckResponse>;

/** See the module. Not serving at first. */
export class HealthService {
  readonly #health: Pick<Health, "problems" | "watch">;
  readonly #watches = new Set<Watch>();
  #status = ServingStatus.NOT_SERVING;
  #isOver = false;

  /** Adds the service to `server`. */
  constructor(health: Pick<Health, "problems" | "watch">, server: Pick<Server, "addService">) {
    this.#health = health;
    health.watch((isServing) => {
      if (!this.#isOver) this.#setStatus(isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
    });
    server.addService(serviceDefinition(HealthRpc), {
      check: (call: ServerUnaryCall<HealthCheckRequest, CheckResponse>, callback: sendUnaryData<CheckResponse>) =>
        this.#check(call.request, callback),
      list: (_call: ServerUnaryCall<HealthListRequest, ListResponse>, callback: sendUnaryData<ListResponse>) =>
        callback(null, { statuses: Object.fromEntries(SERVICES.map((name) => [name, { status: this.#status }])) }),
      watch: (call: Watch) => this.#watch(call),
    });
  }

  /** Says from now on that the program does not serve. */
  end(): void {
    this.#isOver = true;
    this.#setStatus(ServingStatus.NOT_SERVING);
  }

  #check({ service }: HealthCheckRequest, callback: sendUnaryData<CheckResponse>): void {
    this.#health.problems(); // what it finds is told to the watcher above
    if (SERVICES.includes(service)) callback(null, { status: this.#status });
    else callback({ code: status.NOT_FOUND, details: `Health status unknown for service ${service}` });
  }

  #watch(call: Watch): void {
    if (!SERVICES.includes(call.request.service)) {
      call.write({ status: ServingStatus.SERVICE_UNKNOWN }); // and it stays so: no service is added later
      return;
    }
    this.#watches.add(call);
    call.on("cancelled", () => this.#watches.delete(call));
    call.write({ status: this.#status });
  }

  #setStatus(status: ServingStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    for (const call of this.#watches) call.write({ status });
  }
}
