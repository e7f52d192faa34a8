/**
 * `grpc.health.v1.Health`: what the program itself says of its health.
 *
 * @module
 */

import type { handleUnaryCall, Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { Health } from "../control/health.ts";
import { ProxyAdminService } from "./gen/mc_proxy/v1/admin_pb.ts";

/** The names under which the program is asked for: as a whole, and its one service. */
const SERVICES = ["", ProxyAdminService.typeName];

/** See the module. Not serving at first. */
export class HealthService {
  readonly #implementation = new HealthImplementation(
    Object.fromEntries(SERVICES.map((service) => [service, "NOT_SERVING"])),
  );
  #isOver = false;

  constructor(health: Pick<Health, "problems" | "watch">, server: Server) {
    health.watch((isServing) => {
      if (!this.#isOver) this.#setStatus(isServing ? "SERVING" : "NOT_SERVING");
    });
    this.#implementation.addToServer({
      addService: (service, implementation) => {
        const check = implementation["check"] as handleUnaryCall<unknown, unknown>;
        const checkNow: handleUnaryCall<unknown, unknown> = (call, callback) => {
          health.problems(); // what it finds is told above
          check(call, callback);
        };
        server.addService(service, { ...implementation, check: checkNow });
      },
    });
  }

  /** Says from now on that the program does not serve. */
  end(): void {
    this.#isOver = true;
    this.#setStatus("NOT_SERVING");
  }

  #setStatus(status: "SERVING" | "NOT_SERVING"): void {
    for (const service of SERVICES) this.#implementation.setStatus(service, status);
  }
}
