/**
 * The rows of the benchmark: what is put on whom.
 *
 * @module
 */

import type { HttpLoadKind } from "./measurement.ts";
import type { Row } from "./options.ts";
import { descriptorsFor } from "./proxies.ts";
import type { Section } from "./report.ts";
import { type Bench, loadOf, runCompared, SMALL } from "./rounds.ts";
import { runIdle, runIdleTls } from "./row_idle.ts";
import { runLatency } from "./row_latency.ts";
import { runNewLog } from "./row_log.ts";
import { runScale } from "./row_scale.ts";
import type { L7Shape } from "./setup.ts";
import { CONNECTIONS, type LoadShape } from "./stand.ts";
import { bulkValues, exchangeValues, newValues, requestValues } from "./values.ts";

/** The size to which mc-proxy's buffers grow; with 16 KiB, theirs by default, the peers take more than twice the CPU. */
const BULK_BUFFER = 256 * 1024;
const MANY_STREAMS = { connections: 8, streams: 16 };

/** How many descriptors a process of these rows needs at most. */
export function descriptorsOf(rows: readonly Row[], connections: Bench["connections"]): number {
  const counts = rows.map((row) => row === "idle" || row === "idle-tls" ? connections[row] : CONNECTIONS);
  return descriptorsFor(Math.max(...counts));
}

/** Runs a row. */
export async function runRow(bench: Bench, row: Row): Promise<Section[]> {
  switch (row) {
    case "bulk": {
      const shape = { l4: SMALL, buffer: BULK_BUFFER };
      return await runCompared(bench, row, "bulk, 8 downloads", shape, loadOf(bench, "bulk", 8), bulkValues);
    }
    case "new": {
      const load = loadOf(bench, "new", 64);
      return await runCompared(bench, row, "new connections, 64 at once", { l4: SMALL }, load, newValues);
    }
    case "new-log":
      return await runNewLog(bench);
    case "exchange": {
      const load = loadOf(bench, "exchange", 64);
      return await runCompared(bench, row, "exchanges, 64 connections", { l4: SMALL }, load, exchangeValues);
    }
    case "latency":
      return await runLatency(bench);
    case "idle":
      return await runIdle(bench);
    case "scale":
      return await runScale(bench);
    case "h2":
      return await runHttp(bench, row, "h2 over TLS to h2c, 8 connections of 16 requests", "h2", MANY_STREAMS);
    case "h1":
      return await runHttp(bench, row, "HTTP/1.1 over TLS, 64 connections", "h1", { connections: 64 });
    case "grpc":
      return await runHttp(bench, row, "gRPC, 8 connections of 16 calls", "grpc", MANY_STREAMS, { behaviour: "grpc" });
    case "tls":
      return await runHttp(bench, row, "TLS handshakes with a request each, 32 at once", "tls", { connections: 32 });
    case "body":
      return await runHttp(bench, row, "downloads of 100 MB, 4 at once", "body", { connections: 4 }, {
        behaviour: "body",
      });
    case "backend-tls":
      return [
        ...await runHttp(bench, `${row}-h2`, "h2 over TLS to h2 over TLS, 8 connections of 16", "h2", MANY_STREAMS, {
          behaviour: "small",
          backendTls: "h2",
        }),
        ...await runHttp(bench, `${row}-h1`, "HTTP/1.1 over TLS both ways, 64 connections", "h1", { connections: 64 }, {
          behaviour: "small",
          backendTls: "http1",
        }),
      ];
    case "idle-tls":
      return await runIdleTls(bench);
  }
}

function runHttp(
  bench: Bench,
  name: string,
  title: string,
  kind: HttpLoadKind,
  counts: Pick<LoadShape, "connections" | "streams">,
  l7: L7Shape = { behaviour: "small" },
): Promise<Section[]> {
  const shape = kind === "body" ? { l7, buffer: BULK_BUFFER } : { l7 };
  const load = { ...loadOf(bench, kind, counts.connections), ...counts };
  return runCompared(bench, name, title, shape, load, kind === "body" ? bulkValues : requestValues);
}
