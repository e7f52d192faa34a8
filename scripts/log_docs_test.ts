import assert from "node:assert/strict";
import { Log } from "../lib/control/log.ts";
import { type LogFormat, MAX_VALUE } from "../lib/wire/log_line.ts";
import { LINES_IN_FULL, WINDOW_MS } from "../lib/edge/suppression.ts";
import { withEvents } from "./log_docs.ts";

const PAGE = Deno.readTextFileSync(new URL("../docs/LOG.md", import.meta.url));

/** Without what the formatter decides: where lines break, and how wide the columns of tables are. */
function unformatted(page: string): string {
  return page.replaceAll(/-{3,}/g, "---").replaceAll(/\s+/g, " ");
}

/** The line of `listening`, at the time of the examples. */
async function listeningLine(format: LogFormat): Promise<string> {
  let line = "";
  const log = new Log("info", format, {
    write: (bytes) => {
      line += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  });
  log.info("listening", { addr: "0.0.0.0:443", listener: ":443" });
  await log.flush();
  return line.trimEnd().replace(/\d{4}-[^Z]+Z/, "2026-01-31T09:30:00.000Z");
}

Deno.test("docs/LOG.md has every event of the program, with its fields, as it is (else: deno task log-docs)", () => {
  assert.equal(unformatted(PAGE), unformatted(withEvents(PAGE)));
});

Deno.test("the example lines of docs/LOG.md are what is written", async () => {
  const block = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\n\`\`\``, "s").exec(PAGE)?.[1] ?? "";
  assert.equal(block("text"), await listeningLine("text"));
  assert.equal(JSON.stringify(JSON.parse(block("json"))), await listeningLine("json"));
});

Deno.test("docs/LOG.md tells the limits that there are", () => {
  const page = unformatted(PAGE);
  assert.ok(page.includes(`writes the first ${LINES_IN_FULL} lines within ${WINDOW_MS / 1000} seconds in full`));
  assert.ok(page.includes(`more than ${MAX_VALUE.toLocaleString("en")} UTF-16 units`));
});
