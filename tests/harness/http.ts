import { Buffer } from "node:buffer";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { type AddressInfo, connect as connectTcp, type Server, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { AdminClient } from "../../mod.ts";
import { type Authority, createAuthority, type KeyPair } from "../../scripts/dev/certificates.ts";
import { ADDR, type Administered, administered } from "./admin.ts";
import type { Proxy, ProxyConfig } from "./proxy.ts";

/** What a backend speaks. */
export type BackendKind =
  | "h1"
  | "h2c"
  /** TLS, HTTP/1.1 alone. */
  | "h1s"
  /** TLS, HTTP/2 where the client's ALPN asks for it, else HTTP/1.1. */
  | "h2s";

/** Answers one request; those of HTTP/2 have the same interface (`node:http2`, "Compatibility API"). */
export type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void | Promise<void>;

/** An HTTP server of node's that a proxy forwards to. */
export class HttpBackend implements AsyncDisposable {
  /** Requests so far. */
  requests = 0;
  /** Open connections. */
  readonly sockets: Set<Socket> = new Set();
  /** Connections so far. */
  connections = 0;
  readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
    server.on("connection", (socket: Socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on("error", () => {}); // a proxy that breaks off is no fault of the test
      socket.on("close", () => this.sockets.delete(socket));
    });
    server.on("sessionError", () => {});
  }

  /** Starts a server on a free port, or on the one that is given. */
  static async start(
    kind: BackendKind,
    handler: Handler,
    options: { readonly port?: number; readonly tls?: KeyPair; readonly settings?: http2.Settings } = {},
  ): Promise<HttpBackend> {
    const { settings = {} } = options;
    const answer = (request: http.IncomingMessage, response: http.ServerResponse) => {
      backend.requests++;
      request.on("error", () => {});
      response.on("error", () => {});
      void handler(request, response);
    };
    const server = makeServer(kind, { ...options.tls, settings });
    const backend = new HttpBackend(server);
    server.on("request", answer);
    server.listen(options.port ?? 0, "127.0.0.1");
    await once(server, "listening");
    return backend;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** `host:port`, as a route names it. */
  get addr(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Stops listening and cuts all connections; resolves when the port is free. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function makeServer(kind: BackendKind, options: http2.SecureServerOptions): Server {
  switch (kind) {
    case "h1":
      return http.createServer();
    case "h1s":
      return https.createServer({ ...options, ALPNProtocols: ["http/1.1"] });
    case "h2c":
      return http2.createServer(options) as unknown as Server;
    case "h2s":
      return http2.createSecureServer({ ...options, allowHTTP1: true }) as unknown as Server;
  }
}

/** What the handler of {@linkcode reflect} saw of a request. */
export interface Reflected {
  readonly method: string;
  readonly path: string;
  readonly version: string;
  /** Names as they came, and values, in turn; without pseudo-header fields. */
  readonly fields: string[];
  readonly authority: string;
  readonly body: string;
  readonly trailers: Record<string, string>;
}

/** Answers with what came. */
export async function reflect(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const body = await bytesOf(request);
  const { method, url, httpVersion, rawHeaders, headers, trailers } = request;
  const fields: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!rawHeaders[i]?.startsWith(":")) fields.push(String(rawHeaders[i]), String(rawHeaders[i + 1]));
  }
  const authority = String((headers as Record<string, unknown>)[":authority"] ?? headers.host);
  const reflected = { method, path: url, version: httpVersion, fields, authority, body: body.toString(), trailers };
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(reflected));
}

/** All values of a field that a backend reflected. */
export function valuesOf({ fields }: Reflected, name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name);
}

/** All bytes of a body. */
export async function bytesOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What a client asks for. */
export interface Ask {
  readonly method?: string;
  readonly path?: string;
  /** Where it is not that of the connection. */
  readonly authority?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: Uint8Array | string;
  readonly trailers?: Readonly<Record<string, string>>;
}

/** The head of an answer, and its body as it comes. */
export interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
  /** Known when the body is over. */
  readonly trailers: () => Readonly<Record<string, string | string[] | undefined>>;
}

/** An answer. */
export interface Answer extends Omit<Head, "body" | "trailers"> {
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, string | string[] | undefined>>;
  /** The 1xx before it. */
  readonly interim: readonly { readonly status: number; readonly headers: Record<string, unknown> }[];
}

/** The versions of HTTP that clients speak. */
export const VERSIONS = ["h2", "h1"] as const;
export type Version = typeof VERSIONS[number];

/** One connection of a client. */
export interface HttpPeer extends Disposable {
  readonly version: Version;
  /** Asks, and reads all of the answer. */
  ask(ask?: Ask): Promise<Answer>;
  /** Begins a request whose body the test writes. @param end Whether there is none. */
  begin(ask?: Ask, end?: boolean): Begun;
}

/** A request under way. */
export interface Begun {
  readonly stream: http.ClientRequest | http2.ClientHttp2Stream;
  readonly head: Promise<Head>;
  readonly interim: { status: number; headers: Record<string, unknown> }[];
  /** Breaks it off. */
  abort(): void;
}

abstract class Peer implements HttpPeer {
  abstract readonly version: Version;
  abstract begin(ask?: Ask, end?: boolean): Begun;
  abstract [Symbol.dispose](): void;

  async ask(ask: Ask = {}): Promise<Answer> {
    const { body: content, trailers: sent } = ask;
    const end = content === undefined && sent === undefined;
    const { stream, head, interim } = this.begin(ask, end);
    if (content !== undefined) stream.write(content);
    if (sent !== undefined) {
      if (stream instanceof http.ClientRequest) stream.addTrailers(sent);
      else stream.on("wantTrailers", () => stream.sendTrailers(sent));
    }
    if (!end) stream.end();
    const { status, headers, body, trailers } = await head;
    const bytes = await bytesOf(body);
    return { status, headers, body: bytes, trailers: trailers(), interim };
  }
}

class Http2Peer extends Peer {
  readonly version = "h2";
  readonly session: http2.ClientHttp2Session;
  readonly #authority: string;

  constructor(session: http2.ClientHttp2Session, authority: string) {
    super();
    this.session = session;
    this.#authority = authority;
    session.on("error", () => {}); // the streams tell
  }

  begin(ask: Ask = {}, end = false): Begun {
    const stream = this.session.request({
      ":method": ask.method ?? "GET",
      ":path": ask.path ?? "/",
      ":authority": ask.authority ?? this.#authority,
      ...ask.headers,
    }, { endStream: end, ...ask.trailers && { waitForTrailers: true } });
    const interim: Begun["interim"] = [];
    stream.on("headers", (headers) => interim.push({ status: Number(headers[":status"]), headers }));
    let trailers = {};
    stream.on("trailers", (fields) => trailers = fields);
    const head = new Promise<Head>((resolve, reject) => {
      stream.on("error", reject);
      stream.on("close", () => reject(new Error(`the stream was closed: code ${stream.rstCode}`)));
      stream.on(
        "response",
        (headers) => resolve({ status: Number(headers[":status"]), headers, body: stream, trailers: () => trailers }),
      );
    });
    head.catch(() => {});
    return { stream, head, interim, abort: () => stream.close(http2.constants.NGHTTP2_CANCEL) };
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }
}

class Http1Peer extends Peer {
  readonly version = "h1";
  readonly #agent: https.Agent;
  readonly #options: https.RequestOptions;
  readonly #authority: string;

  constructor(options: https.RequestOptions, authority: string, connection: (() => TLSSocket) | undefined) {
    super();
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    if (connection !== undefined) this.#agent.createConnection = connection;
    this.#options = options;
    this.#authority = authority;
  }

  begin(ask: Ask = {}, end = false): Begun {
    // node frames a body by itself for some methods only
    const length = ask.body === undefined || ask.trailers
      ? {}
      : { "content-length": String(Buffer.byteLength(ask.body)) };
    const request = https.request({
      ...this.#options,
      agent: this.#agent,
      method: ask.method ?? "GET",
      path: ask.path ?? "/",
      headers: { host: ask.authority ?? this.#authority, ...length, ...ask.headers },
    });
    if (end) request.end();
    const interim: Begun["interim"] = [];
    request.on(
      "information",
      ({ statusCode, headers }) => interim.push({ status: statusCode, headers: { ...headers } }),
    );
    const head = new Promise<Head>((resolve, reject) => {
      request.on("error", reject);
      request.on("response", (response) =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: response,
          trailers: () => response.trailers,
        }));
    });
    head.catch(() => {});
    return { stream: request, head, interim, abort: () => request.destroy() };
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** A route of L7: what a test leaves out has its default. */
export interface L7Route {
  readonly hostname: string;
  readonly backend: string;
  readonly [key: string]: unknown;
}

/** A proxy with L7 routes, the admin API, and clients that trust it. */
export class L7 implements AsyncDisposable {
  readonly proxy: Proxy;
  readonly admin: AdminClient;
  readonly authority: Authority;
  readonly #administered: Administered;

  private constructor(authority: Authority, test: Administered) {
    this.authority = authority;
    this.#administered = test;
    this.proxy = test.proxy;
    this.admin = test.admin;
  }

  /**
   * Starts a proxy.
   *
   * @param listener What the listener of the routes says beside them; those of `config` come behind it.
   */
  static async start(
    routes: readonly L7Route[],
    { listeners: others = [], ...config }: ProxyConfig = {},
    listener: Readonly<Record<string, unknown>> = {},
    environment: Record<string, string> = {},
  ): Promise<L7> {
    const authority = await testAuthority;
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const complete = [];
    for (const route of routes) {
      complete.push(
        route["mode"] === "l4" ? route : { mode: "l7", ...await certificateFor(folder, route.hostname), ...route },
      );
    }
    const listeners = [{ addr: ADDR, routes: complete, ...listener }, ...others];
    return new L7(authority, await administered([], { listeners, ...config }, { folder, environment }));
  }

  /** Writes a certificate for a host name; the keys of a route that name it. */
  certificate(hostname: string): Promise<{ tls_cert: string; tls_key: string }> {
    return certificateFor(this.proxy.folder, hostname);
  }

  /**
   * A connection to the proxy; of HTTP/1.1 it is made with the first request.
   *
   * @param options `authority` where it is not the server name; `prefix` goes before the handshake: a PROXY header.
   */
  async connect(
    version: Version,
    serverName: string,
    options: { readonly authority?: string; readonly prefix?: Uint8Array; readonly tls?: ConnectionOptions } = {},
  ): Promise<HttpPeer> {
    const { hostname: host, port } = this.proxy.address();
    const { authority = serverName, prefix } = options;
    const tls = { host, port, servername: serverName, ca: this.authority.cert, ...options.tls };
    const socket = prefix && await connectBehind(prefix, host, port);
    const behind = (ALPNProtocols: string[]) => socket && (() => connectTls({ ...tls, socket, ALPNProtocols }));
    if (version === "h1") return new Http1Peer(tls, authority, behind(["http/1.1"]));
    const createConnection = behind(["h2"]);
    const session = http2.connect(`https://${host}:${port}`, { ...tls, ...createConnection && { createConnection } });
    await once(session, "remoteSettings");
    return new Http2Peer(session, authority);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#administered[Symbol.asyncDispose]();
  }
}

async function connectBehind(prefix: Uint8Array, host: string, port: number): Promise<Socket> {
  const socket = connectTcp({ host, port });
  await once(socket, "connect");
  socket.write(prefix);
  return socket;
}

const testAuthority = createAuthority("mc-proxy tests");

/** The authority of this file's certificates. */
export function authority(): Promise<Authority> {
  return testAuthority;
}

/** Writes a certificate of this file's authority for a host name into a folder; the keys of a route that name it. */
export async function certificateFor(
  folder: string,
  hostname: string,
): Promise<{ tls_cert: string; tls_key: string }> {
  const { cert, key } = await (await testAuthority).issue({ hostnames: [hostname === "*" ? "any.test" : hostname] });
  const name = `${folder}/${hostname.replace("*", "_")}`;
  Deno.writeTextFileSync(`${name}.pem`, cert);
  Deno.writeTextFileSync(`${name}.key`, key);
  return { tls_cert: `${name}.pem`, tls_key: `${name}.key` };
}

/** The keys of a route that reach a backend of this kind. */
export function backendKeys(kind: BackendKind): Record<string, unknown> {
  switch (kind) {
    case "h1":
      return { backend_protocol: "http1" };
    case "h2c":
      return {};
    case "h1s":
    case "h2s":
      return { backend_tls: true };
  }
}
