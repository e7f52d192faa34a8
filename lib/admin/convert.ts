/**
 * The values of the control plane to and from the messages of the admin API.
 *
 * @module
 */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ListenerCounts, ListenerStatus, Status } from "../control/administration.ts";
import type { ServedCertificate } from "../control/certificate_files.ts";
import { formatDuration } from "../control/config_duration.ts";
import {
  BACKEND_MAX_CONNECTIONS,
  BACKEND_TIMEOUT_MS,
  type L7PolicyConfig,
  type RouteConfig,
} from "../control/config_types.ts";
import type { PolicyInput, RouteInput } from "../control/requests.ts";
import type { FirewallRule } from "../rules/firewall.ts";
import {
  BackendProtocol,
  type CertificateStatus,
  type FirewallRule as FirewallRuleMessage,
  FirewallRuleSchema,
  FirewallRuleType,
  type GetStatusResponse,
  type GetStatusResponseSchema,
  type L7Policy,
  L7PolicySchema,
  L7PolicyType,
  type ListenerStatus as ListenerStatusMessage,
  type Route,
  RouteMode,
  RouteSchema,
} from "./gen/mc_proxy/v1/admin_pb.ts";

const MODES = { [RouteMode.UNSPECIFIED]: "l4", [RouteMode.L4]: "l4", [RouteMode.L7]: "l7" } as const;
const PROTOCOLS = {
  [BackendProtocol.UNSPECIFIED]: "",
  [BackendProtocol.H2]: "h2",
  [BackendProtocol.HTTP1]: "http1",
} as const;
const POLICY_TYPES = {
  [L7PolicyType.UNSPECIFIED]: "",
  [L7PolicyType.BLOCK_USER_AGENT]: "block_user_agent",
  [L7PolicyType.REQUIRE_HEADER]: "require_header",
  [L7PolicyType.BLOCK_USER_AGENT_ANY_CASE]: "block_user_agent_any_case",
} as const;
const RULE_TYPES = {
  [FirewallRuleType.UNSPECIFIED]: "",
  [FirewallRuleType.IP]: "ip",
  [FirewallRuleType.CIDR]: "cidr",
  [FirewallRuleType.COUNTRY]: "country",
} as const;

const MODE_VALUES = { l4: RouteMode.L4, l7: RouteMode.L7 } as const;
const PROTOCOL_VALUES = {
  "": BackendProtocol.UNSPECIFIED,
  h2: BackendProtocol.H2,
  http1: BackendProtocol.HTTP1,
} as const;
const POLICY_VALUES = {
  block_user_agent: L7PolicyType.BLOCK_USER_AGENT,
  require_header: L7PolicyType.REQUIRE_HEADER,
  block_user_agent_any_case: L7PolicyType.BLOCK_USER_AGENT_ANY_CASE,
} as const;
const RULE_VALUES = {
  ip: FirewallRuleType.IP,
  cidr: FirewallRuleType.CIDR,
  country: FirewallRuleType.COUNTRY,
} as const;

/** A value of an enum by its name in the configuration; a number that this version does not know stays one. */
function nameOf(names: Readonly<Record<number, string>>, value: number): string {
  return names[value] ?? String(value);
}

/** The same of an answer, where an unknown value means that the server is newer than this client. */
function knownName<Name extends string>(names: Readonly<Record<number, Name>>, value: number): Name {
  const name = names[value];
  if (name === undefined) {
    throw new TypeError(`the server answered with an unknown value, ${value}; use its own version`);
  }
  return name;
}

/** A route as a client gave it. */
export function routeInputOf(route: Route | undefined): RouteInput {
  const {
    hostname,
    backend,
    mode,
    sendProxyProtocol,
    tlsCert,
    tlsKey,
    backendTls,
    backendProtocol,
    backendCa,
    backendServerName,
    backendPins,
    backendTimeout,
    backendMaxConnections,
    allowTrace,
    l7Policies,
  } = route ?? create(RouteSchema);
  return {
    hostname,
    backend,
    mode: nameOf(MODES, mode),
    send_proxy_protocol: sendProxyProtocol,
    tls_cert: tlsCert,
    tls_key: tlsKey,
    backend_tls: backendTls,
    backend_protocol: nameOf(PROTOCOLS, backendProtocol),
    backend_ca: backendCa,
    backend_server_name: backendServerName,
    backend_pins: backendPins,
    backend_timeout: durationText(millisecondsOf(backendTimeout)),
    backend_max_connections: backendMaxConnections || BACKEND_MAX_CONNECTIONS,
    allow_trace: allowTrace,
    l7_policies: l7Policies.map(policyInputOf),
  };
}

/** How long a backend may take, by a message. */
function millisecondsOf(duration: Duration | undefined): number {
  if (duration === undefined) return BACKEND_TIMEOUT_MS;
  return Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
}

/** A duration as the configuration file has it; one that it cannot have stays one that it cannot have. */
function durationText(milliseconds: number): string {
  const isWhole = Number.isSafeInteger(milliseconds) && milliseconds > 0;
  return isWhole ? formatDuration(milliseconds) : `${milliseconds} ms`;
}

function durationMessage(milliseconds: number): { readonly seconds: bigint; readonly nanos: number } {
  return { seconds: BigInt(Math.trunc(milliseconds / 1000)), nanos: (milliseconds % 1000) * 1_000_000 };
}

/** A policy as a client gave it. */
export function policyInputOf(policy: L7Policy | undefined): PolicyInput {
  return { type: nameOf(POLICY_TYPES, policy?.type ?? 0), value: policy?.value ?? "" };
}

/** A firewall rule as a client gave it. */
export function ruleInputOf(rule: FirewallRuleMessage | undefined): PolicyInput {
  return { type: nameOf(RULE_TYPES, rule?.type ?? 0), value: rule?.value ?? "" };
}

/** The message of a route. */
export function routeMessage({ backendTimeoutMs, ...route }: RouteConfig): Route {
  return create(RouteSchema, {
    ...route,
    backendPins: [...route.backendPins],
    backendTimeout: durationMessage(backendTimeoutMs),
    mode: MODE_VALUES[route.mode],
    backendProtocol: PROTOCOL_VALUES[route.backendProtocol],
    l7Policies: route.l7Policies.map(policyMessage),
  });
}

/** The message of a policy. */
export function policyMessage({ type, value }: L7PolicyConfig): L7Policy {
  return create(L7PolicySchema, { type: POLICY_VALUES[type], value });
}

/** The message of a firewall rule. */
export function ruleMessage({ type, value }: FirewallRule): FirewallRuleMessage {
  return create(FirewallRuleSchema, { type: RULE_VALUES[type], value });
}

/** A route of an answer. */
export function routeOf(route: Route | undefined): RouteConfig {
  const { $typeName: _, $unknown: __, backendTimeout, ...fields } = route ?? create(RouteSchema);
  return {
    ...fields,
    // A server of before these were there names neither.
    backendTimeoutMs: millisecondsOf(backendTimeout),
    backendMaxConnections: fields.backendMaxConnections || BACKEND_MAX_CONNECTIONS,
    mode: knownName(MODES, fields.mode),
    backendProtocol: knownName(PROTOCOLS, fields.backendProtocol),
    l7Policies: fields.l7Policies.map(policyOf),
  };
}

/** A policy of an answer. */
export function policyOf({ type, value }: L7Policy): L7PolicyConfig {
  const name = knownName(POLICY_TYPES, type);
  if (name === "") throw new TypeError("the server answered with a policy without a type");
  return { type: name, value };
}

/** A firewall rule of an answer. */
export function ruleOf(rule: FirewallRuleMessage | undefined): FirewallRule {
  const name = knownName(RULE_TYPES, rule?.type ?? 0);
  if (rule === undefined || name === "") throw new TypeError("the server answered with a rule without a type");
  return { type: name, value: rule.value };
}

/** A running server at one moment. */
export interface ServerStatus extends Status {
  readonly version: string;
  /** Why it does not serve as it should, one reason each; none where it does, and of a server that does not tell. */
  readonly problems: readonly string[];
  readonly listeners: readonly ServedListener[];
}

/** One listener at one moment. */
export interface ServedListener extends ListenerStatus {
  /** Empty where they were not asked for. */
  readonly routes: readonly RouteConfig[];
}

/** The message of a status. */
export function statusMessage({ firewall, ...status }: ServerStatus): MessageInitShape<typeof GetStatusResponseSchema> {
  const { geoip, rateWindowMs, ruleCount, rateLimit } = firewall;
  return {
    version: status.version,
    startedAt: timestampFromDate(status.startedAt),
    engine: status.engine,
    ...status.tls && {
      tls: {
        library: status.tls.library,
        path: status.tls.path,
        minVersion: status.tls.minVersion,
        groups: [...status.tls.groups],
      },
    },
    workers: status.workers,
    workerFailures: status.workerFailures,
    draining: status.draining,
    problems: [...status.problems],
    listeners: status.listeners.map(({ counts, routes, ...listener }) => ({
      ...listener,
      activeConnections: counts.active,
      totalConnections: BigInt(counts.accepted),
      bytesIn: BigInt(counts.bytesIn),
      bytesOut: BigInt(counts.bytesOut),
      rejected: Object.fromEntries(Object.entries(counts.rejected).map(([reason, count]) => [reason, BigInt(count)])),
      routes: routes.map(routeMessage),
    })),
    firewall: {
      ruleCount,
      rateLimit,
      rateWindow: durationMessage(rateWindowMs),
      ...geoip && {
        geoip: {
          path: geoip.path,
          builtAt: timestampFromDate(geoip.builtAt),
          loadedAt: timestampFromDate(geoip.loadedAt),
          reloadFailures: geoip.reloadFailures,
        },
      },
    },
    certificates: status.certificates.map(({ certFile, keyFile, notAfter, routes, problem, failures }) => ({
      tlsCert: certFile,
      tlsKey: keyFile,
      ...notAfter && { notAfter: timestampFromDate(notAfter) },
      routes: routes.map(({ listener, hostname }) => ({ listenerAddr: listener, hostname })),
      ...problem !== undefined && { problem },
      failures,
    })),
  };
}

/** The status of an answer. */
export function statusOfMessage(message: GetStatusResponse): ServerStatus {
  const { firewall } = message;
  const { geoip, rateWindow } = firewall ?? {};
  return {
    version: message.version,
    startedAt: dateOf(message.startedAt),
    engine: message.engine === "epoll" ? "epoll" : "portable",
    tls: message.tls && {
      library: message.tls.library,
      path: message.tls.path,
      minVersion: message.tls.minVersion,
      groups: message.tls.groups,
    },
    workers: message.workers,
    workerFailures: message.workerFailures,
    draining: message.draining,
    problems: message.problems,
    listeners: message.listeners.map(listenerOf),
    firewall: {
      ruleCount: firewall?.ruleCount ?? 0,
      rateLimit: firewall?.rateLimit ?? 0,
      rateWindowMs: Number(rateWindow?.seconds ?? 0) * 1000 + (rateWindow?.nanos ?? 0) / 1_000_000,
      geoip: geoip && {
        path: geoip.path,
        builtAt: dateOf(geoip.builtAt),
        loadedAt: dateOf(geoip.loadedAt),
        reloadFailures: geoip.reloadFailures,
      },
    },
    certificates: message.certificates.map(certificateOf),
  };
}

function certificateOf(certificate: CertificateStatus): ServedCertificate {
  return {
    certFile: certificate.tlsCert,
    keyFile: certificate.tlsKey,
    notAfter: certificate.notAfter && timestampDate(certificate.notAfter),
    routes: certificate.routes.map(({ listenerAddr, hostname }) => ({ listener: listenerAddr, hostname })),
    problem: certificate.problem,
    failures: certificate.failures,
  };
}

function listenerOf(listener: ListenerStatusMessage): ServedListener {
  return {
    addr: listener.addr,
    boundAddr: listener.boundAddr,
    problem: listener.problem,
    proxyProtocol: listener.proxyProtocol,
    maxConnections: listener.maxConnections,
    counts: {
      accepted: Number(listener.totalConnections),
      active: listener.activeConnections,
      bytesIn: Number(listener.bytesIn),
      bytesOut: Number(listener.bytesOut),
      rejected: Object.fromEntries(
        Object.entries(listener.rejected).map(([reason, count]) => [reason, Number(count)]),
      ) as ListenerCounts["rejected"],
    },
    routeCount: listener.routeCount,
    routes: listener.routes.map(routeOf),
  };
}

function dateOf(timestamp: Parameters<typeof timestampDate>[0] | undefined): Date {
  return timestamp === undefined ? new Date(0) : timestampDate(timestamp);
}
