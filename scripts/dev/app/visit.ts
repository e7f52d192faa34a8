/**
 * A request as it looks from behind the proxy, on an L7 route: for people, for curl, and for programs.
 *
 * @module
 */

import type { IncomingHttpHeaders } from "node:http2";
import { definitionList, escapeHtml, textLines } from "../html.ts";

/** What a backend knows of one request. */
export interface Visit {
  /** Where the TCP connection comes from, which is the proxy: `address:port`. */
  readonly peer: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Names and values, HTTP/2 pseudo-headers left out. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** The request whose head has these fields. */
export function visitOf(headers: IncomingHttpHeaders, peer: string): Visit {
  const fields = Object.entries(headers)
    .filter(([name]) => !name.startsWith(":"))
    .map(([name, value]) => [name, [value].flat().join(", ")] as const);
  return { peer, method: headers[":method"] ?? "", path: headers[":path"] ?? "", headers: fields };
}

/** The value of a header; `none` where it did not come. */
function header({ headers }: Visit, name: string): string {
  return headers.find(([each]) => each === name)?.[1] ?? "none";
}

/** What the proxy says of the client, and what can be seen without it. */
function factsOf(visit: Visit): [label: string, value: string][] {
  return [
    ["Client", header(visit, "x-real-ip")],
    ["Forwarded for", header(visit, "x-forwarded-for")],
    ["Asked for", `${header(visit, "x-forwarded-proto")}://${header(visit, "x-forwarded-host")}`],
    ["Request id", header(visit, "x-request-id")],
    ["Reached through", `${visit.peer}, HTTP/2 without TLS (h2c)`],
    ["Request", `${visit.method} ${visit.path}`],
  ];
}

/**
 * The answer in plain text.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const headers = [["x-real-ip", "192.0.2.7"]] as const;
 * const text = visitText({ peer: "127.0.0.1:40000", method: "GET", path: "/", headers });
 * assert.match(text, /^Client: +192\.0\.2\.7$/m);
 * assert.match(text, /^Request id: +none$/m);
 * ```
 */
export function visitText(visit: Visit): string {
  return textLines(factsOf(visit), visit.headers);
}

/** The answer for programs. */
export function visitJson(visit: Visit): Readonly<Record<string, unknown>> {
  return {
    client: header(visit, "x-real-ip"),
    forwarded_for: header(visit, "x-forwarded-for").split(/, */),
    scheme: header(visit, "x-forwarded-proto"),
    host: header(visit, "x-forwarded-host"),
    request_id: header(visit, "x-request-id"),
    peer: visit.peer,
    method: visit.method,
    path: visit.path,
    headers: Object.fromEntries(visit.headers),
  };
}

/** What the page has beside the demo's other one. */
export const APP_STYLE = `
section { margin-top: 2rem; }
section h2 { margin-top: 0; }
section p { margin-bottom: .75rem; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
input { flex: 1 1 12rem; min-width: 0; }
input, button { font: inherit; padding: .45rem .8rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); color: var(--ink); }
button { border-color: var(--accent); color: var(--accent); cursor: pointer; }
button:disabled { border-color: var(--line); color: var(--soft); cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
output, .log { font: .9rem/1.65 ui-monospace, monospace; overflow-wrap: anywhere; }
.log { margin: .75rem 0 0; padding: .5rem 1rem; height: 8rem; overflow-y: auto; list-style: none; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; }
details summary { cursor: pointer; font-weight: 600; margin-bottom: .5rem; }
`;

/** The answer as a page: its style and script are fetched from the same server, nothing from elsewhere. */
export function visitPage(visit: Visit): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Who is asking, over HTTP?</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/app.css">
<script type="module" src="/app.js"></script>
</head>
<body>
<main>
<h1>You are</h1>
<div class="client">${escapeHtml(header(visit, "x-real-ip"))}</div>
<p>The proxy ended TLS with this host's certificate and forwarded the request over HTTP/2. This backend holds no
certificate; it knows you by the headers that the proxy set.</p>
${definitionList(factsOf(visit))}
<noscript><p>Without JavaScript, the three parts below do nothing.</p></noscript>
<section aria-labelledby="ask-title">
<h2 id="ask-title">Ask again</h2>
<p>Each request has an id of its own, which is in the proxy's log too.</p>
<div class="row"><button type="button" id="ask">Ask</button><output id="asked" for="ask">not asked yet</output></div>
</section>
<section aria-labelledby="socket-title">
<h2 id="socket-title">WebSocket</h2>
<p>What you send comes back. State: <output id="socket-state">closed</output></p>
<form class="row" id="socket-form">
<input id="socket-text" aria-label="Message" autocomplete="off" maxlength="1000" value="there and back">
<button type="submit" id="socket-send" disabled>Send</button>
<button type="button" id="socket-toggle">Connect</button>
</form>
<ul class="log" id="socket-log" role="log" aria-label="Messages" tabindex="0"></ul>
</section>
<section aria-labelledby="events-title">
<h2 id="events-title">Server-sent events</h2>
<p>One a second, as long as this page listens.</p>
<div class="row"><button type="button" id="events-toggle">Listen</button><output id="events-last">not listening</output></div>
</section>
<section>
<details open><summary>Request headers</summary>
${definitionList(visit.headers)}
</details>
</section>
</main>
</body>
</html>
`;
}
