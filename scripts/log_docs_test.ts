import assert from "node:assert/strict";
import { formatLine, MAX_VALUE } from "../lib/control/log_line.ts";
import { LINES_IN_FULL, WINDOW_MS } from "../lib/edge/suppression.ts";
import { withEvents } from "./log_docs.ts";

const PAGE = Deno.readTextFileSync(new URL("../docs/LOG.md", import.meta.url));

/** Without what the formatter decides: where lines break, and how wide the columns of tables are. */
function unformatted(page: string): string {
  return page.replaceAll(/-{3,}/g, "---").replaceAll(/\s+/g, " ");
}

Deno.test("docs/LOG.md has every event of the program, with its fields, as it is (else: deno task log-docs)", () => {
  assert.equal(unformatted(PAGE), unformatted(withEvents(PAGE)));
});

Deno.test("the example lines of docs/LOG.md are what is written", () => {
  const block = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\n\`\`\``, "s").exec(PAGE)?.[1] ?? "";
  const line = (format: "text" | "json") =>
    formatLine(format, Date.UTC(2026, 0, 31, 9, 30), "listening", { addr: "0.0.0.0:443", listener: ":443" });
  assert.equal(block("text"), line("text"));
  assert.equal(JSON.stringify(JSON.parse(block("json"))), line("json"));
});

Deno.test("docs/LOG.md tells the limits that there are", () => {
  const page = unformatted(PAGE);
  assert.ok(page.includes(`writes the first ${LINES_IN_FULL} lines within ${WINDOW_MS / 1000} seconds in full`));
  assert.ok(page.includes(`more than ${MAX_VALUE.toLocaleString("en")} UTF-16 units`));
});
