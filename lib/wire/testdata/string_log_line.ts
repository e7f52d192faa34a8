/**
 * A line of the log put together from strings: slow and plain, what `LogLineWriter` is held against.
 *
 * @module
 */

import { type LogFormat, MAX_VALUE } from "../log_line.ts";

/** What a line tells; a field that is `undefined` is left out. */
export type Fields = Readonly<Record<string, string | number | undefined>>;

const PLAIN = /^[\w.:/*@%+,[\]-]+$/;
// deno-lint-ignore no-control-regex
const NOT_PRINTABLE_ASCII = /[\u0000-\u001f\u007f-\uffff]/g;

function quote(value: string): string {
  const bounded = value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}…` : value;
  return JSON.stringify(bounded).replace(
    NOT_PRINTABLE_ASCII,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function textValue(value: string | number): string {
  if (typeof value === "number") return String(value);
  return value.length <= MAX_VALUE && PLAIN.test(value) ? value : quote(value);
}

function jsonValue(value: string | number): string {
  if (typeof value === "string") return quote(value);
  return Number.isFinite(value) ? String(value) : "null";
}

/** One line with its line feed. */
export function stringLogLine(
  format: LogFormat,
  time: number,
  level: string,
  event: string,
  fields: Fields,
  message?: string,
): string {
  const iso = new Date(time).toISOString();
  const told = Object.entries(fields).flatMap(([key, value]) => value === undefined ? [] : [{ key, value }]);
  if (format === "text") {
    const parts = [iso, level, event, ...told.map(({ key, value }) => `${key}=${textValue(value)}`)];
    if (message !== undefined) parts.push(`message=${quote(message)}`);
    return `${parts.join(" ")}\n`;
  }
  const members = [
    `"time":"${iso}"`,
    `"level":"${level}"`,
    `"event":"${event}"`,
    ...told.map(({ key, value }) => `"${key}":${jsonValue(value)}`),
  ];
  if (message !== undefined) members.push(`"message":${quote(message)}`);
  return `{${members.join(",")}}\n`;
}
