/**
 * How a connection ended, and why.
 *
 * @module
 */

import type { BlockReason } from "../rules/firewall.ts";
import type { RejectReason } from "./counters.ts";
import type { ConnectionEnd, EndReason } from "./engine.ts";

/** How a connection ended, and which rule was broken or what the system said, where that tells more. */
export interface End {
  readonly reason: EndReason;
  readonly detail?: string;
}

/** What a connection that the firewall blocks ends as. */
export const BLOCKED: Readonly<Record<BlockReason, RejectReason>> = {
  ip: "blocked_ip",
  cidr: "blocked_cidr",
  country: "blocked_country",
  rate_limit: "rate_limited",
};

/** How a relayed connection ended where a side has reset it. @param hadEnded Whether that side had sent FIN before. */
export function brokenOff(isClient: boolean, hadEnded: boolean): EndReason {
  if (isClient) return hadEnded ? "client_left" : "client_reset";
  return hadEnded ? "backend_left" : "backend_reset";
}

/** What is told of the route of a connection; no backend where L7 sent nothing to one in the connection's name. */
export interface ReportedRoute {
  readonly hostname: string;
  readonly backend: string | undefined;
}

/** The end of a connection that was turned away before anything was known of it but whence it came. */
export function refusal(listener: string, client: string): ConnectionEnd {
  return {
    listener,
    client,
    serverName: undefined,
    route: undefined,
    backend: undefined,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    end: "max_connections",
    detail: undefined,
  };
}
