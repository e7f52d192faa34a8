/**
 * A client of the admin API.
 *
 * @module
 */

import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  Client,
  type ClientReadableStream,
  credentials,
  type MethodDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { Applied, ApplyOptions } from "../control/administration.ts";
import type { L7PolicyConfig, RouteConfig, StoredState } from "../control/config_types.ts";
import { printable } from "../control/quote.ts";
import { ROUTE_DEFAULTS } from "../control/route_document.ts";
import type { Stats } from "../control/metrics/stats.ts";
import type { FieldViolation } from "../control/refusal.ts";
import type { FirewallRule } from "../rules/firewall.ts";
import {
  policyMessage,
  policyOf,
  routeMessage,
  routeOf,
  ruleMessage,
  ruleOf,
  type ServerStatus,
  statusOfMessage,
} from "./convert.ts";
import { appliedOf, applyRequest } from "./convert_apply.ts";
import { durationOf, statsOfMessage } from "./convert_stats.ts";
import { violationsOf } from "./errors.ts";
import type { HandoverRequest } from "../control/handover.ts";
import { Health, HealthCheckResponse_ServingStatus } from "./gen/grpc/health/v1/health_pb.ts";
import { type BeginHandoverResponse, ProxyAdminService } from "./gen/mc_proxy/v1/admin_pb.ts";
import { methodDefinition } from "./grpc.ts";

export type { Applied, ApplyOptions } from "../control/administration.ts";
export type {
  Changed,
  ListenerChange,
  ListenerSettings,
  Plan,
  PlanCounts,
  RouteChange,
  RuleChange,
} from "../control/plan.ts";
export type { CertifiedRoute, ServedCertificate } from "../control/certificate_files.ts";
export type {
  BackendStats,
  CertificateExpiry,
  Durations,
  HostnameStats,
  ListenerStats,
  Stats,
} from "../control/metrics/stats.ts";
export type { FieldViolation } from "../control/refusal.ts";
export type { FirewallRule } from "../rules/firewall.ts";
export type { ServedListener, ServerStatus } from "./convert.ts";

/** The longest that a call may take, by default: a new route waits 5 s for its backend's name, and 5 s for the workers. */
const TIMEOUT_MS = 15_000;

/** The same of a call that may change every route, and look at the files of each. */
const APPLY_TIMEOUT_MS = 120_000;

/** What WatchStats has for an interval that is left out. */
const WATCH_INTERVAL_MS = 1_000;

/** How long to wait for a socket that exists to answer. */
const CONNECT_MS = 2_000;

/** Why a call failed: the name of its gRPC status. */
export type AdminErrorCode = keyof typeof status;

/** A call that failed. Nothing has changed; only after `DEADLINE_EXCEEDED`, `CANCELLED` or `INTERNAL` that is not sure. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly code: AdminErrorCode;
  /** The fields at fault, where the code is `INVALID_ARGUMENT`: `route.backend`, and what would be right. */
  readonly violations: readonly FieldViolation[];

  constructor(
    code: AdminErrorCode,
    message: string,
    violations: readonly FieldViolation[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.violations = violations;
  }

  /** The first field at fault. */
  get field(): string | undefined {
    return this.violations[0]?.field;
  }

  /** Whether the connection ended under the call. */
  get isBrokenOff(): boolean {
    return /^Connection dropped|\bRST_STREAM\b|\bECONNRESET\b|\bEPIPE\b/.test(this.message); // grpc-js's words
  }
}

/** A route to add: what is left out has the default of the configuration file. */
export type NewRoute = Pick<RouteConfig, "hostname" | "backend"> & Partial<RouteConfig>;

/** What {@linkcode AdminClient.addRoute} did. */
export interface AddRouteResult {
  /** The route as it is stored and served. */
  readonly route: RouteConfig;
  /** The route that it took the place of; equal to `route` where it was there already. */
  readonly replaced: RouteConfig | undefined;
  /** What is right but may not be meant: a backend whose name has no address at this moment. */
  readonly warnings: readonly string[];
}

/** How {@linkcode AdminClient.watchStats} watches. */
export interface WatchOptions {
  /** From one to the next, in milliseconds: 100 to 60,000; by default 1,000. */
  readonly intervalMs?: number;
  /** Ends it when it is aborted. */
  readonly signal?: AbortSignal;
}

/** Settings of an {@linkcode AdminClient}. */
export interface AdminClientOptions {
  /** The longest that a call may take, in milliseconds; by default 15,000, and 120,000 for {@linkcode AdminClient.apply}. */
  readonly timeoutMs?: number;
}

/**
 * Administers a running mc-proxy through its Unix socket.
 *
 * Listeners are named by their `addr` as configured, `:443`. A method that changes something resolves when the change is
 * stored and in effect. All throw an {@linkcode AdminError} where the server refuses, or cannot be reached.
 *
 * @example A proxy without an admin API
 * ```ts
 * import assert from "node:assert/strict";
 * import { AdminClient } from "@mc-proxy/mc-proxy";
 *
 * using client = new AdminClient("/nonexistent/mc-proxy.sock");
 * await assert.rejects(client.addRoute(":443", { hostname: "git.example.net", backend: "127.0.0.1:8443" }), {
 *   code: "UNAVAILABLE",
 *   message: "no admin API at /nonexistent/mc-proxy.sock (is the server running?)",
 * });
 * ```
 */
export class AdminClient implements Disposable {
  /** The path of the socket. */
  readonly path: string;
  readonly #client: Client;
  readonly #timeoutMs: number;
  readonly #applyTimeoutMs: number;

  /** @param path Of the Unix socket: `grpc.addr` of the server's configuration. */
  constructor(path: string, { timeoutMs }: AdminClientOptions = {}) {
    this.path = path;
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS;
    this.#applyTimeoutMs = timeoutMs ?? APPLY_TIMEOUT_MS;
    this.#client = new Client(`unix:${path}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1, // all routes may be a lot; the server is trusted
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": CONNECT_MS,
    });
  }

  /** Closes the connection. */
  close(): void {
    this.#client.close();
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The routes of a listener, in the order in which they were added. */
  async listRoutes(listenerAddr: string): Promise<RouteConfig[]> {
    const { routes } = await this.#call(ProxyAdminService.method.listRoutes, { listenerAddr });
    return routes.map(routeOf);
  }

  /** Adds a route, or replaces the one of its host name; one that is replaced keeps its policies where none are given. */
  async addRoute(listenerAddr: string, route: NewRoute): Promise<AddRouteResult> {
    const message = routeMessage({ ...ROUTE_DEFAULTS, ...route });
    const added = await this.#call(ProxyAdminService.method.addRoute, { listenerAddr, route: message });
    return {
      route: routeOf(added.route),
      replaced: added.replaced && routeOf(added.replaced),
      warnings: added.warnings,
    };
  }

  /** Removes a route and its policies, and returns what it was. */
  async removeRoute(listenerAddr: string, hostname: string): Promise<RouteConfig> {
    return routeOf((await this.#call(ProxyAdminService.method.removeRoute, { listenerAddr, hostname })).route);
  }

  /** The policies of an L7 route, in the order in which they are tried. */
  async listL7Policies(listenerAddr: string, hostname: string): Promise<L7PolicyConfig[]> {
    const { policies } = await this.#call(ProxyAdminService.method.listL7Policies, { listenerAddr, hostname });
    return policies.map(policyOf);
  }

  /** Adds a policy behind those of an L7 route; `false` where it was there. */
  async addL7Policy(listenerAddr: string, hostname: string, policy: L7PolicyConfig): Promise<boolean> {
    const request = { listenerAddr, hostname, policy: policyMessage(policy) };
    return (await this.#call(ProxyAdminService.method.addL7Policy, request)).added;
  }

  /** Removes a policy of an L7 route. */
  async removeL7Policy(listenerAddr: string, hostname: string, policy: L7PolicyConfig): Promise<void> {
    const request = { listenerAddr, hostname, policy: policyMessage(policy) };
    await this.#call(ProxyAdminService.method.removeL7Policy, request);
  }

  /** The rules of the firewall: addresses, prefixes, countries, each in the order in which they were added. */
  async getFirewallRules(): Promise<FirewallRule[]> {
    return (await this.#call(ProxyAdminService.method.getFirewallRules, {})).rules.map(ruleOf);
  }

  /** Adds a rule; returns its canonical form, and whether it was not there. */
  async addFirewallRule(rule: FirewallRule): Promise<{ readonly rule: FirewallRule; readonly added: boolean }> {
    const answer = await this.#call(ProxyAdminService.method.addFirewallRule, { rule: ruleMessage(rule) });
    return { rule: ruleOf(answer.rule), added: answer.added };
  }

  /** Removes a rule, in whatever spelling. */
  async removeFirewallRule(rule: FirewallRule): Promise<void> {
    await this.#call(ProxyAdminService.method.removeFirewallRule, { rule: ruleMessage(rule) });
  }

  /** Limits the open connections of a listener, 0 for no limit, and returns the limit before. */
  async setListenerMaxConnections(listenerAddr: string, maxConnections: number): Promise<number> {
    const request = { listenerAddr, maxConnections };
    return (await this.#call(ProxyAdminService.method.setListenerMaxConnections, request)).previous;
  }

  /**
   * Makes what the server has stored another state, in one change or not at all: what `state` has is added, or becomes
   * as it is there. With `prune`, what it lacks is removed; with `dryRun`, nothing is changed.
   *
   * @param state Files that its routes name are absolute paths on the server.
   * @returns What was changed, or would be.
   */
  async apply(state: StoredState, { prune = false, dryRun = false }: Partial<ApplyOptions> = {}): Promise<Applied> {
    const request = applyRequest(state, { prune, dryRun });
    return appliedOf(await this.#call(ProxyAdminService.method.apply, request, this.#applyTimeoutMs));
  }

  /** The configuration file with which a server on a new database is what this one is: TOML. */
  async exportToml(): Promise<string> {
    return (await this.#call(ProxyAdminService.method.export, {})).toml;
  }

  /** What the server is and does at this moment. */
  async getStatus({ omitRoutes = false }: { readonly omitRoutes?: boolean } = {}): Promise<ServerStatus> {
    return statusOfMessage(await this.#call(ProxyAdminService.method.getStatus, { omitRoutes }));
  }

  /**
   * What the server has counted so far, at once and then in every interval.
   *
   * It ends when the server begins to shut down, when `signal` is aborted, or when the loop over it is left. A loop that
   * is slow misses intervals. It throws, too, where nothing comes for the time-out of a call beside the interval.
   *
   * @example Connections a second, three times
   * ```ts
   * import { AdminClient } from "@mc-proxy/mc-proxy";
   *
   * async function printRates(client: AdminClient): Promise<void> {
   *   let before: { readonly uptimeMs: number; readonly total: number } | undefined;
   *   let printed = 0;
   *   for await (const { uptimeMs, listeners } of client.watchStats({ intervalMs: 500 })) {
   *     const total = listeners.reduce((sum, { counts }) => sum + counts.accepted, 0);
   *     if (before !== undefined) {
   *       console.log(`${(total - before.total) / (uptimeMs - before.uptimeMs) * 1000} connections/s`);
   *       if (++printed === 3) break;
   *     }
   *     before = { uptimeMs, total };
   *   }
   * }
   * ```
   */
  async *watchStats({ intervalMs, signal }: WatchOptions = {}): AsyncGenerator<Stats, void> {
    if (signal?.aborted) return;
    const request = { ...intervalMs !== undefined && { interval: durationOf(intervalMs) } };
    const call = this.#stream(ProxyAdminService.method.watchStats, request);
    const silence = new Silence(call, (intervalMs ?? WATCH_INTERVAL_MS) + this.#timeoutMs);
    const onAbort = () => call.cancel();
    signal?.addEventListener("abort", onAbort);
    try {
      for await (const message of call) {
        silence.stop();
        yield statsOfMessage(message);
        silence.start();
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (silence.isOver) {
        const message = `nothing from ${printable(this.path)} for ${silence.ms} ms`;
        throw new AdminError("DEADLINE_EXCEEDED", message, [], { cause: error });
      }
      throw isServiceError(error) ? this.#errorOf(error) : error;
    } finally {
      silence.stop();
      signal?.removeEventListener("abort", onAbort);
      call.cancel();
    }
  }

  /**
   * Begins to take the place of the server, for `mc-proxy server --takeover`: yields once what it hands over, and ends
   * when the handover does.
   *
   * @param signal Ends it when it is aborted: the server carries on.
   */
  async *beginHandover(request: HandoverRequest, signal: AbortSignal): AsyncGenerator<BeginHandoverResponse, void> {
    const call = this.#stream(ProxyAdminService.method.beginHandover, request);
    const onAbort = () => call.cancel();
    signal.addEventListener("abort", onAbort);
    try {
      yield* call;
    } catch (error) {
      throw isServiceError(error) ? this.#errorOf(error) : error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      call.cancel();
    }
  }

  /** Finishes a handover: the server leaves, its connections within `drainMs`, or for 0 its `shutdown_timeout`. */
  async finishHandover(token: string, drainMs: number): Promise<void> {
    await this.#call(ProxyAdminService.method.finishHandover, { token, drainMs });
  }

  /** Whether the server serves as it should; not while it shuts down. By `grpc.health.v1.Health`. */
  async isServing(): Promise<boolean> {
    const { status } = await this.#call(Health.method.check, { service: ProxyAdminService.typeName });
    return status === HealthCheckResponse_ServingStatus.SERVING;
  }

  /** Whether the server serves, and why not; of a server of an older version, no reason is told. */
  async health(): Promise<{ readonly isServing: boolean; readonly problems: readonly string[] }> {
    if (await this.isServing()) return { isServing: true, problems: [] };
    return { isServing: false, problems: (await this.getStatus({ omitRoutes: true })).problems };
  }

  #call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    timeoutMs = this.#timeoutMs,
  ): Promise<MessageShape<O>> {
    return this.#unary(methodDefinition(method), create(method.input, request), timeoutMs);
  }

  #stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
  ): ClientReadableStream<MessageShape<O>> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    const message = create(method.input, request);
    return this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, message);
  }

  #unary<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    request: Request,
    timeoutMs = this.#timeoutMs,
  ): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const deadline = Date.now() + timeoutMs;
    this.#client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      { deadline },
      (error, answer) => {
        if (error !== null) reject(this.#errorOf(error, timeoutMs));
        else if (answer === undefined) reject(new AdminError("INTERNAL", `${path} has no answer`));
        else resolve(answer);
      },
    );
    return promise;
  }

  #errorOf(error: ServiceError, timeoutMs = this.#timeoutMs): AdminError {
    const options = { cause: error };
    switch (error.code) {
      case status.UNAVAILABLE:
        if (!/^No connection established|ENOENT|ECONNREFUSED|EACCES/.test(error.details)) break;
        return new AdminError(
          "UNAVAILABLE",
          `no admin API at ${printable(this.path)} (${reasonOf(error)})`,
          [],
          options,
        );
      case status.DEADLINE_EXCEEDED:
        return new AdminError(
          "DEADLINE_EXCEEDED",
          `no answer from ${printable(this.path)} within ${timeoutMs} ms; a change may have been made all the same`,
          [],
          options,
        );
    }
    return new AdminError(codeName(error.code), error.details, violationsOf(error), options);
  }
}

/** Cancels a call that nothing comes from. */
class Silence {
  readonly ms: number;
  readonly #call: Pick<ClientReadableStream<unknown>, "cancel">;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(call: Pick<ClientReadableStream<unknown>, "cancel">, ms: number) {
    this.ms = ms;
    this.#call = call;
    this.start();
  }

  /** Whether the call was cancelled for that. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Something must come from now on. */
  start(): void {
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#call.cancel();
    }, this.ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}

function reasonOf({ details }: ServiceError): string {
  return details.includes("EACCES") || details.includes("EPERM") ? "permission denied" : "is the server running?";
}

function codeName(code: status): AdminErrorCode {
  return status[code] as AdminErrorCode;
}
