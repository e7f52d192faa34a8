/**
 * How a line of the log is written.
 *
 * Text: `2026-01-31T09:30:00.000Z info listening addr=:443 message="accepts connections"`; a value that is not plain is
 * quoted as a JSON string. JSON: `{"time":"2026-01-31T09:30:00.000Z","level":"info","event":"listening","addr":":443",…}`.
 *
 * @module
 */

import { type EventSpec, LOG_EVENTS, type LogEventName } from "./log_events.ts";

/** See the module. */
export type LogFormat = "text" | "json";

/** What an event tells; a field that is `undefined` is left out. */
export type LogFields = Readonly<Record<string, string | number | undefined>>;

/** The longest value, in UTF-16 units; of a longer one its beginning is written, and `…`. */
export const MAX_VALUE = 16_384;

const PLAIN = /^[\w.:/*@%+,[\]-]+$/;
/** What JSON can have between quotes as it is. */
const PRINTABLE = /^[ !#-[\]-~]*$/;
// deno-lint-ignore no-control-regex
const NOT_PRINTABLE_ASCII = /[\u0000-\u001f\u007f-\uffff]/g;

/** Writes a value so that no input can break the line, forge a field or reach the terminal's control sequences. */
function quote(value: string): string {
  if (value.length > MAX_VALUE) value = `${value.slice(0, MAX_VALUE)}…`;
  if (PRINTABLE.test(value)) return `"${value}"`;
  return JSON.stringify(value).replace(
    NOT_PRINTABLE_ASCII,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What of every line of an event is the same. */
interface Frame {
  /** Between the time and the fields. */
  readonly head: string;
  /** Behind the fields. */
  readonly tail: string;
}

function framesOf(frameOf: (name: string, event: EventSpec) => Frame): ReadonlyMap<string, Frame> {
  return new Map(Object.entries(LOG_EVENTS).map(([name, event]) => [name, frameOf(name, event)]));
}

const TEXT_FRAMES = framesOf((name, { level, message }) => ({
  head: ` ${level} ${name}`,
  tail: message === undefined ? "" : ` message=${quote(message)}`,
}));

const JSON_FRAMES = framesOf((name, { level, message }) => ({
  head: `","level":"${level}","event":"${name}"`,
  tail: message === undefined ? "}" : `,"message":${quote(message)}}`,
}));

/**
 * One line, without its line feed.
 *
 * @param time In milliseconds since 1970.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(
 *   formatLine("text", 0, "accept_failed", { listener: ":443", reason: "a b\u001b" }),
 *   '1970-01-01T00:00:00.000Z error accept_failed listener=:443 reason="a b\\u001b" ' +
 *     'message="the system refuses to accept connections"',
 * );
 * ```
 */
export function formatLine(format: LogFormat, time: number, event: LogEventName, fields: LogFields): string {
  return format === "json" ? jsonLine(time, event, fields) : textLine(time, event, fields);
}

function textLine(time: number, event: LogEventName, fields: LogFields): string {
  const frame = TEXT_FRAMES.get(event);
  let line = formatTime(time) + (frame?.head ?? "");
  for (const key in fields) {
    const value = fields[key];
    if (typeof value === "string") {
      line += value.length <= MAX_VALUE && PLAIN.test(value) ? ` ${key}=${value}` : ` ${key}=${quote(value)}`;
    } else if (value !== undefined) line += ` ${key}=${value}`;
  }
  return line + (frame?.tail ?? "");
}

function jsonLine(time: number, event: LogEventName, fields: LogFields): string {
  const frame = JSON_FRAMES.get(event);
  let line = `{"time":"${formatTime(time)}${frame?.head ?? ""}`;
  for (const key in fields) {
    const value = fields[key];
    if (typeof value === "string") line += `,"${key}":${quote(value)}`;
    // JSON has no numbers that are not finite (RFC 8259 §6).
    else if (value !== undefined) line += `,"${key}":${Number.isFinite(value) ? value : "null"}`;
  }
  return line + (frame?.tail ?? "");
}

/** The last second that was written: a busy log has many lines in one. */
let second = NaN;
let secondText = "";

/** RFC 3339 in UTC, to the millisecond. */
function formatTime(time: number): string {
  const ms = time % 1000;
  if (time - ms !== second) {
    second = time - ms;
    secondText = new Date(second).toISOString().slice(0, -"000Z".length);
  }
  return `${secondText}${ms < 100 ? ms < 10 ? "00" : "0" : ""}${ms}Z`;
}
