/**
 * Whether the program serves as it should.
 *
 * @module
 */

import type { ThreadCounts } from "../../edge/engine.ts";

/** Who knows. */
export interface ReadinessSources {
  readonly supervisor: { readonly isAccepting: boolean; readonly threads: ThreadCounts };
  readonly administration: {
    readonly status: {
      readonly draining: boolean;
      readonly listeners: readonly { readonly addr: string; readonly problem: string | undefined }[];
    };
    readonly isSuspended: boolean;
  };
  readonly store: { readonly writeProblem: string | undefined };
}

/** Why the program is not ready, one reason each; none where it is. */
export function notReady({ supervisor, administration, store }: ReadinessSources): string[] {
  if (administration.status.draining) return ["shutting down"];
  // Until then the database is in the transaction of the start.
  if (!supervisor.isAccepting) return ["listeners: not open yet"];
  const reasons = administration.status.listeners.flatMap(({ addr, problem }) =>
    problem === undefined ? [] : [`listener ${addr}: not open: ${problem}`]
  );
  const { wanted, up } = supervisor.threads;
  if (up < wanted) reasons.push(`worker threads: ${up} of ${wanted} up`);
  // While the program is handed over, the database is the new process's to write; traffic does not notice.
  const problem = administration.isSuspended ? undefined : store.writeProblem;
  if (problem !== undefined) reasons.push(`database: ${problem}`);
  return reasons;
}
