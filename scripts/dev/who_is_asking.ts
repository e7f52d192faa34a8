/**
 * The answer of the demo backend: who asks, seen from behind the proxy, as a page for people and as text for curl.
 *
 * @module
 */

import { definitionList, escapeHtml, STYLE, textLines } from "./html.ts";

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
  return textLines(factsOf(asker), asker.headers);
}

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
