/**
 * The log: one event a line on standard error, as logfmt text or as JSON.
 *
 * Text: `2026-01-31T09:30:00.000Z info listening addr=:443`; a value that is not plain is quoted as a JSON string.
 * JSON: `{"time":"2026-01-31T09:30:00.000Z","level":"info","event":"listening","addr":":443"}`.
 *
 * @module
 */

import { LOG_LEVELS } from "./config_types.ts";

/** See {@linkcode LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** What an event tells; a field that is `undefined` is left out. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where finished lines go. */
export interface LogSink {
  /** Takes some of `bytes`, at least one, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** How many characters may wait for the sink: one that stands still must neither stop traffic nor eat the memory. */
const MAX_WAITING = 4 * 1024 * 1024;

const PLAIN = /^[\w.:/*@%+,[\]-]+$/;
// deno-lint-ignore no-control-regex
const NOT_PRINTABLE_ASCII = /[\u0000-\u001f\u007f-\uffff]/g;

/** Writes a value so that no input can break the line, forge a field or reach the terminal's control sequences. */
function quote(value: string): string {
  return JSON.stringify(value).replace(
    NOT_PRINTABLE_ASCII,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * One line of the log, without its line feed.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const time = new Date(0);
 * assert.equal(
 *   formatLine("text", time, "info", "hello", { sni: "a b\u001b", n: 1 }),
 *   '1970-01-01T00:00:00.000Z info hello sni="a b\\u001b" n=1',
 * );
 * ```
 */
export function formatLine(
  format: "text" | "json",
  time: Date,
  level: LogLevel,
  event: string,
  fields: LogFields,
): string {
  let line = format === "json"
    ? `{"time":"${time.toISOString()}","level":"${level}","event":${quote(event)}`
    : `${time.toISOString()} ${level} ${event}`;
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    const text = String(value);
    if (format === "json") line += `,${quote(key)}:${typeof value === "string" ? quote(text) : text}`;
    else line += ` ${key}=${PLAIN.test(text) ? text : quote(text)}`;
  }
  return format === "json" ? `${line}}` : line;
}

/** A log with a level, a format and a sink. */
export class Log {
  readonly #threshold: number;
  readonly #format: "text" | "json";
  readonly #sink: LogSink;
  #waiting: string[] = [];
  #waitingLength = 0;
  #dropped = 0;
  #droppedBefore = 0;
  #flushing: Promise<void> | undefined;

  constructor(level: LogLevel, format: "text" | "json", sink: LogSink = Deno.stderr) {
    this.#threshold = LOG_LEVELS.indexOf(level);
    this.#format = format;
    this.#sink = sink;
  }

  debug(event: string, fields: LogFields = {}): void {
    this.#log("debug", event, fields);
  }

  info(event: string, fields: LogFields = {}): void {
    this.#log("info", event, fields);
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#log("warn", event, fields);
  }

  error(event: string, fields: LogFields = {}): void {
    this.#log("error", event, fields);
  }

  /** How many lines were lost for want of room. */
  get dropped(): number {
    return this.#droppedBefore + this.#dropped;
  }

  /** Resolves once every line so far has been written, or could not be. */
  async flush(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  #log(level: LogLevel, event: string, fields: LogFields): void {
    if (LOG_LEVELS.indexOf(level) < this.#threshold) return;
    if (this.#waitingLength > MAX_WAITING) {
      this.#dropped++;
      return;
    }
    this.#enqueue(formatLine(this.#format, new Date(), level, event, fields));
    // Not awaited: traffic does not wait for the log. The lines of one turn of the event loop are written together.
    this.#flushing ??= this.#drain();
  }

  #enqueue(line: string): void {
    this.#waiting.push(line, "\n");
    this.#waitingLength += line.length + 1;
  }

  async #drain(): Promise<void> {
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const bytes = new TextEncoder().encode(this.#waiting.join(""));
      this.#waiting = [];
      this.#waitingLength = 0;
      await this.#write(bytes);
      this.#reportDropped();
    }
    this.#flushing = undefined;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let sent = 0; sent < bytes.length;) sent += await this.#sink.write(bytes.subarray(sent));
    } catch {
      // Nobody reads standard error any more (EPIPE); the proxy goes on without a log.
    }
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    const lines = this.#dropped;
    this.#dropped = 0;
    this.#droppedBefore += lines;
    this.#enqueue(formatLine(this.#format, new Date(), "warn", "log_lines_dropped", { lines }));
  }
}
