/**
 * The RPCs of the admin API.
 *
 * @module
 */

import type { Administration } from "../control/administration.ts";
import type { Handover } from "../control/handover.ts";
import type { Health } from "../control/health.ts";
import { intervals } from "../control/metrics/intervals.ts";
import type { Stats } from "../control/metrics/stats.ts";
import { readWatchInterval } from "../control/requests.ts";
import {
  policyInputOf,
  policyMessage,
  routeInputOf,
  routeMessage,
  ruleInputOf,
  ruleMessage,
  statusMessage,
} from "./convert.ts";
import { applyResponse, stateInputOf } from "./convert_apply.ts";
import { millisecondsOf, statsMessage } from "./convert_stats.ts";
import type { ProxyAdminService } from "./gen/mc_proxy/v1/admin_pb.ts";
import type { Handlers } from "./grpc.ts";
import type { GenService } from "@bufbuild/protobuf/codegenv2";

/** What is asked and changed, and by whom what is counted is read. */
export interface Administered {
  readonly administration: Administration;
  /** What GetStatus says. */
  readonly version: string;
  /** Reads what was counted so far. */
  stats(): Stats;
  readonly handover: Pick<Handover, "begin" | "finish">;
  readonly health: Pick<Health, "problems" | "known" | "watch">;
}

type MethodsOf<Service> = Service extends GenService<infer Methods> ? Methods : never;

/** Answers each RPC; what a handler throws is the call's error. */
export function makeHandlers(
  { administration, version, stats, handover, health }: Administered,
): Handlers<MethodsOf<typeof ProxyAdminService>> {
  return {
    listRoutes: ({ listenerAddr }) => ({ routes: administration.routes(listenerAddr).map(routeMessage) }),
    addRoute: async ({ listenerAddr, route }) => {
      const added = await administration.addRoute(listenerAddr, routeInputOf(route));
      return {
        route: routeMessage(added.route),
        ...added.replaced && { replaced: routeMessage(added.replaced) },
        warnings: [...added.warnings],
      };
    },
    removeRoute: async ({ listenerAddr, hostname }) => ({
      route: routeMessage(await administration.removeRoute(listenerAddr, hostname)),
    }),

    listL7Policies: ({ listenerAddr, hostname }) => ({
      policies: administration.policies(listenerAddr, hostname).map(policyMessage),
    }),
    addL7Policy: async ({ listenerAddr, hostname, policy }) => ({
      added: await administration.addPolicy(listenerAddr, hostname, policyInputOf(policy)),
    }),
    removeL7Policy: async ({ listenerAddr, hostname, policy }) => {
      await administration.removePolicy(listenerAddr, hostname, policyInputOf(policy));
      return {};
    },

    getFirewallRules: () => ({ rules: administration.firewallRules().map(ruleMessage) }),
    addFirewallRule: async ({ rule }) => {
      const { rule: canonical, added } = await administration.addRule(ruleInputOf(rule));
      return { rule: ruleMessage(canonical), added };
    },
    removeFirewallRule: async ({ rule }) => {
      await administration.removeRule(ruleInputOf(rule));
      return {};
    },

    setListenerMaxConnections: async ({ listenerAddr, maxConnections }) => ({
      previous: await administration.setMaxConnections(listenerAddr, maxConnections),
    }),

    apply: async (request) => applyResponse(await administration.apply(stateInputOf(request), request)),
    export: () => ({ toml: administration.exportToml() }),

    getStatus: ({ omitRoutes }) => {
      const status = administration.status;
      const listeners = status.listeners.map((listener) => ({
        ...listener,
        routes: omitRoutes ? [] : administration.routes(listener.addr),
      }));
      return statusMessage({ ...status, version, problems: health.known(), listeners });
    },
    watchStats: async function* ({ interval }, signal) {
      const intervalMs = readWatchInterval(interval && millisecondsOf(interval));
      for await (const _ of intervals(intervalMs, signal)) yield statsMessage(stats());
    },

    beginHandover: async function* (request, signal) {
      for await (const { listeners, metrics, ticketKeys, ...offer } of handover.begin(request, signal)) {
        yield {
          ...offer,
          version,
          listeners: [...listeners],
          ...metrics && { metrics },
          ticketKeys: ticketKeys.keys.map(({ name, hmac, aes }) => ({ name, hmac, aes })),
          ticketKeysRotateMs: ticketKeys.rotateMs,
        };
      }
    },
    finishHandover: (request) => {
      handover.finish(request);
      return {};
    },
  };
}
