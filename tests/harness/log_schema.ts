import { type EventSpec, type FieldSpec, LOG_EVENTS } from "../../lib/control/log_events.ts";

const EVENTS: ReadonlyMap<string, EventSpec> = new Map(Object.entries(LOG_EVENTS));

/** What each line has, beside the fields of its event. */
const COMMON: Readonly<Record<string, FieldSpec>> = Object.fromEntries(
  ["time", "level", "event"].map((name) => [name, { type: "text", optional: false, about: "" }]),
);

/** What of a JSON line is not as docs/LOG.md promises; `undefined` where all is. */
export function breachOf(line: Readonly<Record<string, unknown>>): string | undefined {
  const event = EVENTS.get(String(line["event"]));
  if (event === undefined) return `there is no event ${line["event"]}`;
  if (line["level"] !== event.level) return `${line["event"]} is not ${line["level"]}`;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(String(line["time"]))) return `the time is ${line["time"]}`;
  if (event.message !== undefined && line["message"] !== event.message) return `the message is ${line["message"]}`;
  const specs: Readonly<Record<string, FieldSpec>> = { ...COMMON, ...event.fields };
  for (const [name, { optional }] of Object.entries(specs)) {
    if (!optional && !(name in line)) return `there is no ${name}`;
  }
  for (const [name, value] of Object.entries(line)) {
    if (name === "message" && event.message !== undefined) continue;
    const type = specs[name]?.type;
    if (type === undefined) return `${line["event"]} has no field ${name}`;
    if (!isOf(type, value)) return `${name} is ${JSON.stringify(value)}`;
  }
  return undefined;
}

function isOf(type: FieldSpec["type"], value: unknown): boolean {
  switch (type) {
    case "text":
      return typeof value === "string";
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
  }
}
