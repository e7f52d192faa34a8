/**
 * The counters of backends and host names, by their names.
 *
 * @module
 */

import {
  type BackendCounts,
  BackendReading,
  type HostnameCounts,
  HostnameReading,
  OTHER_ROW,
  type RouteCounters,
  type RouteRows,
  type Since,
} from "../edge/route_counters.ts";
import { MAX_ROWS } from "../edge/rows.ts";
import type { RouteConfig } from "./config_types.ts";
import { REST_MS, RowBook } from "./row_book.ts";

/** What of a route says where it is counted. */
export type CountedRoute = Pick<RouteConfig, "hostname" | "backend" | "mode">;

/** What names that have no counters of their own are counted under: neither a host name nor an address. */
export const OTHERS = "(other)";

/** Gives the names of routes their rows, and reads what was counted there. */
export class RouteCounts {
  readonly #counters: RouteCounters;
  readonly #backends: RowBook;
  readonly #hostnames: RowBook;

  /** @param connectMs How long a dial may take: until then a row may be written for a route that is gone. */
  constructor(counters: RouteCounters, connectMs: number) {
    const bookOf = (kind: keyof RouteRows) =>
      new RowBook({
        maxRows: MAX_ROWS,
        reserve: (row) => counters.reserve(kind, row),
        clear: (row) => counters.clear(kind, row),
        returned: (row) => counters.restart(kind, row),
        restMs: Math.max(REST_MS, 2 * connectMs),
      });
    this.#counters = counters;
    this.#backends = bookOf("backend");
    this.#hostnames = bookOf("hostname");
  }

  /** Adds a route. */
  add({ hostname, backend, mode }: CountedRoute): void {
    this.#backends.use(backend);
    if (mode === "l7") this.#hostnames.use(hostname);
  }

  /** Takes a route away, as it was added. */
  remove({ hostname, backend, mode }: CountedRoute): void {
    this.#backends.release(backend);
    if (mode === "l7") this.#hostnames.release(hostname);
  }

  /** The rows of a route that was added. */
  rows({ hostname, backend, mode }: CountedRoute): RouteRows {
    return {
      backend: this.#backends.row(backend),
      hostname: mode === "l7" ? this.#hostnames.row(hostname) : OTHER_ROW,
    };
  }

  /**
   * What was counted for each backend that a route names: in the same place each time, so who keeps it copies it.
   *
   * @param since `return` for those who take a name that was not there before for one that began at 0.
   */
  *backends(since: Since = "start"): Generator<readonly [name: string, counts: BackendCounts]> {
    const counts = new BackendReading();
    for (const [name, row] of this.#backends.names()) yield [name, this.#counters.backend(row, counts, since)];
    if (this.#backends.sharing > 0) yield [OTHERS, this.#counters.backend(OTHER_ROW, counts)];
  }

  /** Likewise for each host name pattern of an L7 route; one that was never asked for is left out. */
  *hostnames(since: Since = "start"): Generator<readonly [name: string, counts: HostnameCounts]> {
    const counts = new HostnameReading();
    for (const [name, row] of this.#hostnames.names()) {
      if (!this.#counters.hasRequests(row)) continue;
      this.#counters.hostname(row, counts, since);
      if (counts.requests.count > 0) yield [name, counts];
    }
    if (this.#hostnames.sharing > 0) yield [OTHERS, this.#counters.hostname(OTHER_ROW, counts)];
  }
}
