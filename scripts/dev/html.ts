/**
 * What the pages of the demo have in common.
 *
 * @module
 */

/** Light and dark, for a desk and a phone. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6570; --line: #dfe3e8; --card: #fff; --page: #f4f6f8;
  --accent: #0b6e4f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #9aa5b1; --line: #30363d; --card: #1b1f24; --page: #101317; --accent: #5fd3a6; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 3rem; }
h1 { margin: 0; font-size: 1rem; font-weight: 500; color: var(--soft); }
.client { margin: .1rem 0 .75rem; font: 600 clamp(1.5rem, 7vw, 2.5rem)/1.2 ui-monospace, monospace; color: var(--accent);
  overflow-wrap: anywhere; }
p { margin: 0 0 1.5rem; color: var(--soft); }
h2 { margin: 2rem 0 .5rem; font-size: 1rem; }
dl { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
dl div { display: grid; grid-template-columns: 11rem 1fr; gap: 0 1rem; padding: .5rem 1rem; }
dl div + div { border-top: 1px solid var(--line); }
dt { color: var(--soft); overflow-wrap: anywhere; }
dd { margin: 0; font: .9rem/1.65 ui-monospace, monospace; overflow-wrap: anywhere; }
@media (max-width: 34rem) { dl div { grid-template-columns: 1fr; } }
`;

/** Facts, one a line, and the headers of a request below them, in plain text. */
export function textLines(
  facts: readonly (readonly [label: string, value: string])[],
  headers: readonly (readonly [name: string, value: string])[],
): string {
  const lines = facts.map(([label, value]) => `${label}:`.padEnd(17) + value);
  return [...lines, "Headers:", ...headers.map(([name, value]) => `  ${name}: ${value}`), ""].join("\n");
}

/** Terms and what they are. */
export function definitionList(entries: readonly (readonly [string, string])[]): string {
  const rows = entries.map(([term, value]) => `<div><dt>${escapeHtml(term)}</dt><dd>${escapeHtml(value)}</dd></div>`);
  return `<dl>\n${rows.join("\n")}\n</dl>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand anywhere in HTML, attributes included. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
