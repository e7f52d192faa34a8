/**
 * The answer of the demo backend: who asks, seen from behind the proxy, as a page for people and as text for curl.
 *
 * @module
 */

/** What a backend behind the proxy knows of one request. */
export interface Asker {
  /** The client as the PROXY header names it, `address:port`. */
  readonly client: string;
  /** Where the TCP connection comes from, which is the proxy: `address:port`. */
  readonly peer: string;
  /** The SNI host name; `undefined`: the client sent none. */
  readonly serverName: string | undefined;
  /** As `TLSv1.3`. */
  readonly tlsVersion: string;
  /** As `1.1` or `2.0`. */
  readonly httpVersion: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Names and values in the order of arrival, HTTP/2 pseudo-headers left out. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** The facts about the connection and the request line, for both forms. */
function factsOf(asker: Asker): [label: string, value: string][] {
  return [
    ["Client", asker.client],
    ["Reached through", asker.peer],
    ["SNI", asker.serverName ?? "none"],
    ["TLS", asker.tlsVersion],
    ["HTTP", asker.httpVersion],
    ["Request", `${asker.method} ${asker.path}`],
  ];
}

/**
 * The answer in plain text: one fact a line, then the request headers.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const text = textPage({
 *   client: "192.0.2.7:51000",
 *   peer: "127.0.0.1:40000",
 *   serverName: "pass.localhost",
 *   tlsVersion: "TLSv1.3",
 *   httpVersion: "2.0",
 *   method: "GET",
 *   path: "/",
 *   headers: [["accept", "*\/*"]],
 * });
 * assert.match(text, /^Client: +192\.0\.2\.7:51000$/m);
 * ```
 */
export function textPage(asker: Asker): string {
  const lines = factsOf(asker).map(([label, value]) => `${label}:`.padEnd(17) + value);
  const headers = asker.headers.map(([name, value]) => `  ${name}: ${value}`);
  return [...lines, "Headers:", ...headers, ""].join("\n");
}

const STYLE = `
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

/** The answer as a page that stands alone: nothing is fetched, no script runs, and what the client sent is escaped. */
export function htmlPage(asker: Asker): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Who is asking?</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>You are</h1>
<div class="client">${escapeHtml(asker.client)}</div>
<p>The proxy read the host name and passed the TLS stream on, still encrypted. This backend holds the certificate, and
learned your address from the PROXY header.</p>
${definitionList(factsOf(asker))}
<h2>Request headers</h2>
${definitionList(asker.headers)}
</main>
</body>
</html>
`;
}

function definitionList(entries: readonly (readonly [string, string])[]): string {
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

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
