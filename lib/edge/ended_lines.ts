/**
 * The lines of the log that an engine writes itself: of connections and requests that ended.
 *
 * @module
 */

import { type LogFormat, type LogLines, LogLineWriter } from "../wire/log_line.ts";
import type { ConnectionEnd, RequestEnd } from "./engine.ts";

/** How they are written. */
export interface EndedLinesOptions {
  /** Whether each begins with its priority: the journal of systemd reads it. By default none does. */
  readonly hasPriorities?: boolean;
  /** What time it is, in whole milliseconds since 1970; by default that of this machine. */
  readonly time?: () => number;
}

/**
 * Writes these lines where the connection ended, and collects them.
 *
 * It is the only place that does: an object for each would be posted to the main thread and formatted there.
 * `LOG_EVENTS` of the control plane says what the fields are, in this order.
 */
export class EndedLines {
  readonly #writer: LogLineWriter;
  readonly #time: () => number;

  constructor(format: LogFormat, { hasPriorities = false, time = Date.now }: EndedLinesOptions = {}) {
    this.#writer = new LogLineWriter(format, hasPriorities);
    this.#time = time;
  }

  /** How many lines there are. */
  get count(): number {
    return this.#writer.count;
  }

  /** How many bytes they have. */
  get length(): number {
    return this.#writer.length;
  }

  /** Gives away the lines that there are, the oldest first. */
  take(): LogLines {
    return this.#writer.take();
  }

  connectionEnded(end: ConnectionEnd): void {
    const writer = this.#writer;
    writer.begin(this.#time(), "info", "connection");
    writer.text("listener", end.listener);
    writer.text("client", end.client);
    writer.text("sni", end.serverName);
    writer.text("route", end.route);
    writer.text("backend", end.backend);
    writer.number("bytes_in", end.bytesIn);
    writer.number("bytes_out", end.bytesOut);
    writer.number("duration_ms", Math.round(end.durationMs));
    writer.text("end", end.end);
    writer.text("detail", end.detail);
    if (end.http !== undefined) {
      writer.text("protocol", end.http.protocol);
      writer.number("requests", end.http.requests);
    }
    writer.end();
  }

  requestEnded(end: RequestEnd): void {
    const writer = this.#writer;
    writer.begin(this.#time(), "info", "request");
    writer.text("listener", end.listener);
    writer.text("client", end.client);
    writer.text("route", end.route);
    writer.text("request_id", end.requestId);
    writer.text("protocol", end.protocol);
    writer.text("method", end.method);
    writer.text("host", end.host);
    writer.text("path", end.path);
    writer.number("status", end.status);
    writer.number("grpc_status", end.grpcStatus);
    writer.number("bytes_in", end.bytesIn);
    writer.number("bytes_out", end.bytesOut);
    writer.number("duration_ms", Math.round(end.durationMs));
    writer.number("backend_ms", end.backendMs === undefined ? undefined : Math.round(end.backendMs));
    writer.text("user_agent", end.userAgent);
    writer.text("error", end.error);
    writer.end();
  }
}
