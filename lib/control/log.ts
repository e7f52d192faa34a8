/**
 * The log: one event a line on standard error, as logfmt text or as JSON. docs/LOG.md describes it.
 *
 * @module
 */

import { type LogFormat, type LogLines, LogLineWriter } from "../wire/log_line.ts";
import { LOG_LEVELS } from "./config_types.ts";
import {
  type EventSpec,
  LOG_EVENTS,
  type LogEventName,
  type LogEventOf,
  type LogFieldsOf,
  type LogLevel,
} from "./log_events.ts";

/** The events whose lines engines write: see {@linkcode Log.append}. */
type AppendedEvent = "connection" | "request";

type LoggedFields = Readonly<Record<string, string | number | undefined>>;

/** Where finished lines go. */
export interface LogSink {
  /** Takes some of `bytes`, at least one, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** How many bytes may wait for the sink: one that stands still must neither stop traffic nor eat the memory. */
const MAX_WAITING = 4 * 1024 * 1024;

const LF = 0x0a;
const NEWLINE = Uint8Array.of(LF);

/** The events that a log of a level leaves out. */
function hiddenEvents(level: LogLevel): Set<string> {
  const threshold = LOG_LEVELS.indexOf(level);
  const isHidden = ({ level, always }: EventSpec) => always !== true && LOG_LEVELS.indexOf(level) < threshold;
  return new Set(Object.entries(LOG_EVENTS).filter(([, event]) => isHidden(event)).map(([name]) => name));
}

/** A log with a level, a format and a sink. */
export class Log {
  readonly #hidden: ReadonlySet<string>;
  readonly #sink: LogSink;
  /** Lines that wait for the sink. */
  readonly #waiting: LogLineWriter;
  #dropped = 0;
  /** How many of these the log itself has told. */
  #droppedTold = 0;
  /** Whether the last octets that the sink took were not the end of a line. */
  #isCut = false;
  #flushing: Promise<void> | undefined;

  /** @param hasPriorities Whether each line begins with its priority: the journal of systemd reads it. */
  constructor(level: LogLevel, format: LogFormat, sink: LogSink = Deno.stderr, readonly hasPriorities = false) {
    this.#hidden = hiddenEvents(level);
    this.#waiting = new LogLineWriter(format, hasPriorities);
    this.#sink = sink;
  }

  info<N extends Exclude<LogEventOf<"info">, AppendedEvent>>(event: N, fields: LogFieldsOf<N>): void {
    this.#log(event, fields);
  }

  warn<N extends LogEventOf<"warn">>(event: N, fields: LogFieldsOf<N>): void {
    this.#log(event, fields);
  }

  error<N extends LogEventOf<"error">>(event: N, fields: LogFieldsOf<N>): void {
    this.#log(event, fields);
  }

  /** Writes lines as they are: those that an engine made, in the format of this log. */
  append(lines: LogLines): void {
    if (this.#waiting.length > MAX_WAITING) {
      this.#dropped += lines.count;
      return;
    }
    this.#waiting.append(lines);
    this.#drainSoon();
  }

  /** How many lines were lost: for want of room here, or because the sink did not take them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Resolves once every line so far has been written, or could not be. */
  async flush(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  #log(event: LogEventName, fields: LoggedFields): void {
    if (this.#hidden.has(event)) return;
    if (this.#waiting.length > MAX_WAITING) {
      this.#dropped++;
      return;
    }
    this.#writeLine(event, fields);
    this.#drainSoon();
  }

  #writeLine(event: LogEventName, fields: LoggedFields): void {
    const { level, message }: EventSpec = LOG_EVENTS[event];
    this.#waiting.begin(Date.now(), level, event);
    for (const [key, value] of Object.entries(fields)) {
      if (typeof value === "string") this.#waiting.text(key, value);
      else this.#waiting.number(key, value);
    }
    this.#waiting.end(message);
  }

  /** Not awaited: traffic does not wait for the log. The lines of one turn of the event loop are written together. */
  #drainSoon(): void {
    this.#flushing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      if (await this.#write(this.#waiting.take().bytes)) this.#reportDropped();
    }
    this.#flushing = undefined;
  }

  /** Whether the sink took all. */
  async #write(bytes: Uint8Array): Promise<boolean> {
    let sent = 0;
    try {
      // A line that was cut short stays a line of its own.
      while (this.#isCut) this.#isCut = await this.#sink.write(NEWLINE) === 0;
      while (sent < bytes.length) sent += await this.#sink.write(bytes.subarray(sent));
      return true;
    } catch {
      // Nobody reads standard error any more (EPIPE), or it is a file on a full disk (ENOSPC): the proxy goes on.
      this.#isCut ||= sent > 0 && bytes[sent - 1] !== LF;
      this.#dropped += bytes.subarray(sent).reduce((lines, octet) => octet === LF ? lines + 1 : lines, 0);
      return false;
    }
  }

  #reportDropped(): void {
    const lines = this.#dropped - this.#droppedTold;
    if (lines === 0) return;
    this.#droppedTold = this.#dropped;
    this.#writeLine("log_lines_dropped", { lines });
  }
}
