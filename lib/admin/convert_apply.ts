/**
 * Whole states, and what is changed for them, to and from the messages of the admin API.
 *
 * @module
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Applied, ApplyOptions } from "../control/administration.ts";
import type { StoredState } from "../control/config_types.ts";
import type { ListenerSettings } from "../control/plan.ts";
import type { StateInput } from "../control/state_request.ts";
import { routeInputOf, routeMessage, routeOf, ruleMessage, ruleOf } from "./convert.ts";
import type {
  ApplyRequest,
  ApplyRequestSchema,
  ApplyResponse,
  ApplyResponseSchema,
  Listener,
} from "./gen/mc_proxy/v1/admin_pb.ts";

/** A state as a client asks for it. */
export function stateInputOf({ listeners, firewall }: ApplyRequest): StateInput {
  return {
    listeners: listeners.map(({ addr, proxyProtocol, maxConnections, routes }) => ({
      addr,
      proxy_protocol: proxyProtocol,
      max_connections: maxConnections,
      routes: routes.map(routeInputOf),
    })),
    firewall: {
      blocked_ips: firewall?.blockedIps ?? [],
      blocked_cidrs: firewall?.blockedCidrs ?? [],
      blocked_countries: firewall?.blockedCountries ?? [],
    },
  };
}

/** The message that asks for a state. */
export function applyRequest(
  { listeners, firewall }: StoredState,
  options: ApplyOptions,
): MessageInitShape<typeof ApplyRequestSchema> {
  const { blockedIps, blockedCidrs, blockedCountries } = firewall;
  return {
    ...options,
    listeners: listeners.map(({ routes, ...settings }) => ({ ...settings, routes: routes.map(routeMessage) })),
    firewall: {
      blockedIps: [...blockedIps],
      blockedCidrs: [...blockedCidrs],
      blockedCountries: [...blockedCountries],
    },
  };
}

/** The message of what was applied. */
export function applyResponse(
  { plan, kept, warnings, opening, closing }: Applied,
): MessageInitShape<typeof ApplyResponseSchema> {
  return {
    listeners: plan.listeners.map(({ before, after }) => ({ ...before && { before }, ...after && { after } })),
    routes: plan.routes.map(({ listener, before, after }) => ({
      listenerAddr: listener,
      ...before && { before: routeMessage(before) },
      ...after && { after: routeMessage(after) },
    })),
    rules: plan.rules.map(({ before, after }) => ({
      ...before && { before: ruleMessage(before) },
      ...after && { after: ruleMessage(after) },
    })),
    kept,
    warnings: [...warnings],
    opening: [...opening],
    closing: [...closing],
  };
}

/** What was applied, by an answer. */
export function appliedOf({ listeners, routes, rules, kept, warnings, opening, closing }: ApplyResponse): Applied {
  return {
    plan: {
      listeners: listeners.map(({ before, after }) => ({
        before: before && settingsOf(before),
        after: after && settingsOf(after),
      })),
      routes: routes.map(({ listenerAddr, before, after }) => ({
        listener: listenerAddr,
        before: before && routeOf(before),
        after: after && routeOf(after),
      })),
      rules: rules.map(({ before, after }) => ({ before: before && ruleOf(before), after: after && ruleOf(after) })),
    },
    kept,
    warnings,
    opening,
    closing,
  };
}

function settingsOf({ addr, proxyProtocol, maxConnections }: Listener): ListenerSettings {
  return { addr, proxyProtocol, maxConnections };
}
