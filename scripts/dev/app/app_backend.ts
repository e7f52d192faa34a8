/**
 * A demo backend for an L7 route, in HTTP/2 without TLS (h2c): a page, JSON, a WebSocket echo and server-sent events.
 *
 * @module
 */

import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { type Backend, listen, peerOf } from "../backend.ts";
import { STYLE } from "../html.ts";
import { APP_STYLE, type Visit, visitJson, visitOf, visitPage, visitText } from "./visit.ts";
import { echoWebSocket } from "./web_socket.ts";

/** Between two events, in milliseconds. */
const TICK_MS = 1_000;

const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
} as const;

/** What there is to fetch at one path. */
type Page = (visit: Visit) => { readonly type: string; readonly body: string; readonly vary?: "accept" };

/**
 * Starts the app on a free port of 127.0.0.1.
 *
 * WebSockets come by extended CONNECT (RFC 8441), whichever way the client opened them: the proxy translates. They are at
 * `/echo`.
 */
export async function startAppBackend(): Promise<Backend> {
  const script = await Deno.readTextFile(new URL("app.js", import.meta.url));
  const pages: Readonly<Record<string, Page>> = {
    "/": home,
    "/api/request": (visit) => ({ type: "application/json", body: `${JSON.stringify(visitJson(visit), null, 2)}\n` }),
    "/app.css": () => ({ type: "text/css; charset=utf-8", body: STYLE + APP_STYLE }),
    "/app.js": () => ({ type: "text/javascript; charset=utf-8", body: script }),
  };
  const server = createServer({ settings: { enableConnectProtocol: true } });
  server.on("sessionError", () => {}); // the connection is over: nobody is left to tell
  // Not "request": where somebody listens for that, node answers an extended CONNECT by itself.
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    answer(stream as ServerHttp2Stream, headers, pages); // a server's, though its types do not say so
  });
  return listen(server);
}

function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  pages: Readonly<Record<string, Page>>,
): void {
  const { ":method": method, ":path": target = "", ":protocol": protocol } = headers;
  const path = target.split("?", 1)[0] ?? "";
  if (method === "CONNECT") {
    if (protocol !== "websocket" || path !== "/echo") return refuse(stream, 404);
    stream.respond({ ":status": 200 });
    return echoWebSocket(stream);
  }
  stream.resume(); // a body that nobody reads
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (page === undefined && path !== "/events") return refuse(stream, path === "/echo" ? 426 : 404);
  if (method !== "GET" && method !== "HEAD") return refuse(stream, 405, { allow: "GET, HEAD" });
  if (page === undefined) return tell(stream, method);
  const { type, body, vary } = page(visitOf(headers, peerOfStream(stream)));
  const fields = { ":status": 200, "content-type": type, ...HEADERS, ...vary && { vary } };
  if (method === "HEAD") return stream.respond(fields, { endStream: true });
  stream.respond(fields);
  stream.end(body);
}

/** For people a page, for curl text. */
const home: Page = (visit) => {
  const html = visit.headers.some(([name, value]) => name === "accept" && value.includes("text/html"));
  return html
    ? { type: "text/html; charset=utf-8", body: visitPage(visit), vary: "accept" }
    : { type: "text/plain; charset=utf-8", body: visitText(visit), vary: "accept" };
};

/** Sends an event at once, and then one a second, until the client leaves. */
function tell(stream: ServerHttp2Stream, method: string): void {
  const fields = { ":status": 200, "content-type": "text/event-stream", ...HEADERS };
  if (method === "HEAD") return stream.respond(fields, { endStream: true });
  stream.respond(fields);
  let count = 0;
  const tick = () => {
    if (stream.writableNeedDrain) return; // a client that does not read misses some
    count++;
    stream.write(`data: ${JSON.stringify({ count, time: new Date().toISOString() })}\n\n`);
  };
  tick();
  const timer = setInterval(tick, TICK_MS);
  stream.on("close", () => clearInterval(timer));
}

function refuse(stream: ServerHttp2Stream, status: 404 | 405 | 426, fields: OutgoingHttpHeaders = {}): void {
  const messages = { 404: "there is nothing here", 405: "only GET is answered", 426: "a WebSocket is at this path" };
  stream.respond({ ":status": status, "content-type": "text/plain; charset=utf-8", ...HEADERS, ...fields });
  stream.end(`${status}: ${messages[status]}\n`);
}

function peerOfStream({ session }: ServerHttp2Stream): string {
  return session === undefined ? "unknown" : peerOf(session.socket);
}
