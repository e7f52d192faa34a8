/**
 * HTTP/1.1 for a few clients: scrapers, health checks and browsers, over connections of which there is a bound.
 *
 * @module
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AcceptEvents, AcceptLoop } from "../accept_loop.ts";
import { ConnStream } from "../conn_stream.ts";
import { DescriptorReserve } from "../descriptor_reserve.ts";

/** How many connections are open at once; a new one beyond that ends the one that was idle for the longest time. */
export const MAX_CONNECTIONS = 128;

/** How many can be served at once when the process has no other descriptor. */
const RESERVED = 8;

/** How long a connection may be idle, and how long a client may take to take its answer: scrapes come every minute. */
const IDLE_MS = 75_000;

/** An answer, whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** What of a request an answer depends on. */
export interface Question {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly accept: string | undefined;
  /** The Host field as it was sent. */
  readonly host: string | undefined;
}

/** What answers. */
export interface HttpServerOptions extends AcceptEvents {
  /** Never rejects. */
  answer(question: Question): Promise<Answer>;
}

/** A connection: idle, or with a request that is being answered. */
interface Open {
  readonly stream: ConnStream;
  isIdle: boolean;
  deadline: ReturnType<typeof setTimeout>;
}

/** See the module. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #reserve = new DescriptorReserve(RESERVED);
  /** In the order in which they became idle or busy. */
  readonly #open = new Map<ConnStream, Open>();
  #loop: AcceptLoop<Deno.TcpConn> | undefined;
  #isClosed = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      this.#serve(request, response).catch(() => request.destroy()); // it has left
    });
    // Idle connections have their deadline here: those of node:http are for sockets of its own.
    // One that does not listen itself takes itself for closed, and ends a connection behind its first answer.
    Object.defineProperty(this.#server, "listening", { get: () => !this.#isClosed });
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  /** Why the system refuses to accept; `undefined` while it does not. */
  get acceptProblem(): string | undefined {
    return this.#loop?.problem;
  }

  /** Serves what comes from a listener. */
  listen(listener: Deno.TcpListener): void {
    this.#loop = new AcceptLoop(listener, this.#reserve, (conn) => this.#take(conn), this.#options);
  }

  /** Accepts no more, and ends what is idle; what is being answered is finished. */
  close(): void {
    this.#isClosed = true;
    this.#loop?.close();
    this.#reserve[Symbol.dispose]();
    for (const { stream, isIdle } of this.#open.values()) if (isIdle) stream.destroy();
  }

  async #take(conn: Deno.TcpConn): Promise<void> {
    if (this.#open.size >= MAX_CONNECTIONS && !await this.#endOneIdle()) return conn.close();
    const stream = new ConnStream(conn);
    this.#open.set(stream, { stream, isIdle: true, deadline: this.#deadlineOf(stream) });
    stream.on("error", () => stream.destroy());
    stream.on("close", () => {
      clearTimeout(this.#open.get(stream)?.deadline);
      this.#open.delete(stream);
      this.#reserve.returned();
    });
    this.#server.emit("connection", stream);
  }

  /** Whether a connection could be ended; resolves when it is. */
  async #endOneIdle(): Promise<boolean> {
    const idle = this.#open.values().find(({ isIdle }) => isIdle)?.stream;
    if (idle === undefined) return false;
    idle.destroy();
    if (!idle.closed) await once(idle, "close");
    return true;
  }

  #deadlineOf(stream: ConnStream): ReturnType<typeof setTimeout> {
    return setTimeout(() => stream.destroy(), IDLE_MS);
  }

  async #serve({ method = "", url = "", headers, socket }: IncomingMessage, response: ServerResponse): Promise<void> {
    const stream: unknown = socket;
    const open = stream instanceof ConnStream ? this.#open.get(stream) : undefined;
    if (open === undefined) return;
    this.#turn(open, false);
    response.on("close", () => {
      this.#turn(open, true);
      if (this.#isClosed) open.stream.destroy();
    });
    const [path = ""] = url.replace(/^[a-z]+:\/\/[^/?#]*/i, "").split("?", 1);
    const answer = await this.#options.answer({
      method,
      path: path || "/",
      accept: headers.accept,
      host: headers.host,
    });
    const body = typeof answer.body === "string" ? new TextEncoder().encode(answer.body) : answer.body;
    response.writeHead(answer.status, { ...answer.headers, "content-length": body.length });
    // RFC 9110 §8.6: the length is that of the body which GET would get.
    response.end(method === "HEAD" ? undefined : body);
  }

  #turn(open: Open, isIdle: boolean): void {
    if (!this.#open.delete(open.stream)) return;
    clearTimeout(open.deadline);
    open.isIdle = isIdle;
    open.deadline = this.#deadlineOf(open.stream);
    this.#open.set(open.stream, open);
  }
}
