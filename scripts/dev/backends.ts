/**
 * Two demo TLS backends to stand behind the proxy: a page that shows who is asking, and an echo.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { incoming } from "../../lib/edge/listen.ts";
import { parseProxyHeader } from "../../lib/wire/proxy_protocol.ts";
import { formatEndpoint } from "../../lib/wire/socket_address.ts";
import { type Backend, listen, peerOf } from "./backend.ts";
import type { KeyPair } from "./certificates.ts";
import { type Asker, htmlPage, textPage } from "./who_is_asking.ts";

/** The longest wait for a whole PROXY header, in milliseconds. */
const PROXY_HEADER_TIMEOUT = 5000;

/** Starts the echo on a free port of 127.0.0.1: what comes over TLS goes back, and the end is answered by the end. */
export function startEchoBackend({ cert, key }: KeyPair): Backend {
  // Not node:tls: on Deno its server loses the client's end where that arrives behind data it has yet to read.
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const open = new Map<Deno.TlsConn, Promise<void>>();
  const accept = async () => {
    for await (const conn of incoming(listener)) {
      // A client that does not speak TLS, or goes away in the middle, ends its own connection: nobody is left to tell.
      const echoed = conn.readable.pipeTo(conn.writable).catch(() => {});
      open.set(conn, echoed.finally(() => open.delete(conn)));
    }
  };
  const accepted = accept();
  return {
    addr: `127.0.0.1:${listener.addr.port}`,
    close: async () => {
      listener.close();
      await accepted;
      const echoes = [...open.values()];
      for (const conn of open.keys()) conn.close();
      await Promise.all(echoes);
    },
  };
}

/**
 * Starts the page on a free port of 127.0.0.1, for HTTP/2 and HTTP/1.1 over TLS.
 *
 * Every connection must begin with a PROXY header, v1 or v2; one that does not is cut. A client that accepts
 * `text/html` gets a page, any other gets plain text.
 */
export function startPageBackend({ cert, key }: KeyPair): Promise<Backend> {
  const clients = new Map<string, string>(); // by the peer of the connection
  const server = createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
    answer(request, response, clients.get(peerOf(request.socket)));
  });
  // The server begins TLS in its own "connection" listener, so the PROXY header is read in front of that. Connections
  // accepted by another server and emitted here would lose keep-alive: Deno's node:http cuts an HTTP/1.1 connection
  // after each response while the server that it belongs to is not itself listening.
  const startTls = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    socket.on("close", () => clients.delete(peer));
    socket.on("error", () => socket.destroy());
    readProxyHeader(socket, (client) => {
      clients.set(peer, client ?? peer);
      for (const listener of startTls) Reflect.apply(listener, server, [socket]);
    });
  });
  return listen(server);
}

/** Reads a PROXY header, leaves what follows it unread, and hands over the source that it names, if it names one. */
function readProxyHeader(socket: Socket, done: (source: string | undefined) => void): void {
  let received = Buffer.alloc(0);
  const cut = () => socket.destroy();
  const read = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    received = Buffer.concat([received, chunk]);
    const header = parseProxyHeader(received);
    if (header.kind === "need_more") return;
    if (header.kind === "malformed") return void cut();
    socket.off("readable", read).off("timeout", cut).off("end", cut).setTimeout(0);
    if (received.length > header.length) socket.unshift(received.subarray(header.length));
    done(header.source && formatEndpoint(header.source));
  };
  socket.on("readable", read).on("timeout", cut).on("end", cut).setTimeout(PROXY_HEADER_TIMEOUT);
}

function answer(request: Http2ServerRequest, response: Http2ServerResponse, client: string | undefined): void {
  const { socket, rawHeaders } = request;
  if (!(socket instanceof TLSSocket)) throw new TypeError("a request came over a connection without TLS");
  request.resume(); // a body left unread would hold up the next request on the connection
  const headers: [string, string][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.push([rawHeaders[i] ?? "", rawHeaders[i + 1] ?? ""]);
  const asker: Asker = {
    client: client ?? "unknown",
    peer: peerOf(socket),
    serverName: serverNameOf(socket),
    tlsVersion: socket.getProtocol() ?? "unknown",
    httpVersion: request.httpVersion,
    method: request.method,
    path: request.url,
    headers: headers.filter(([name]) => !name.startsWith(":")),
  };
  const html = request.headers.accept?.includes("text/html") ?? false;
  response.writeHead(200, {
    "content-type": html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "cache-control": "no-store",
    "vary": "accept",
  });
  response.end(html ? htmlPage(asker) : textPage(asker));
}

/** The SNI host name: Node's `tlsSocket.servername`, which its types leave out. */
function serverNameOf(socket: TLSSocket): string | undefined {
  return "servername" in socket && typeof socket.servername === "string" ? socket.servername : undefined;
}
