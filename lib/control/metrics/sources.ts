/**
 * Where what is measured comes from.
 *
 * @module
 */

import type { ListenerCounts } from "../../edge/counters.ts";
import type { ThreadCounts } from "../../edge/engine.ts";
import type { CertificateStatus } from "../certificate_files.ts";
import type { RouteCounts } from "../route_counts.ts";
import type { Faults } from "../supervisor.ts";

/** What a scrape reads, each only when there is one. */
export interface MetricSources {
  /** That of the program. */
  readonly version: string;
  readonly commit: string;
  readonly supervisor: {
    readonly threads: ThreadCounts;
    readonly faults: Faults;
    readonly routeCounts: Pick<RouteCounts, "backends" | "hostnames">;
  };
  readonly administration: { readonly status: MeasuredStatus };
  readonly certificates: {
    readonly counts: { readonly reloads: number; readonly failures: number };
    status(): readonly Pick<CertificateStatus, "notAfter" | "hostnames">[];
  };
  readonly log: { readonly dropped: number };
}

/** What of a program's status is measured. */
export interface MeasuredStatus {
  readonly engine: string;
  readonly workerFailures: number;
  readonly listeners: readonly {
    readonly addr: string;
    /** Why it is not open. */
    readonly problem: string | undefined;
    readonly maxConnections: number;
    readonly counts: ListenerCounts;
    readonly routeCount: number;
  }[];
  readonly firewall: {
    readonly ruleCount: number;
    readonly geoip: { readonly path: string; readonly builtAt: Date; readonly reloadFailures: number } | undefined;
  };
}
