/**
 * One request of a client and what becomes of it.
 *
 * @module
 */

import type { FieldList } from "../../wire/field_list.ts";
import { type HttpPolicy, refusingPolicy } from "../../rules/http_policy.ts";
import { fieldValue } from "../../wire/http_fields.ts";
import { type Expirable, Timer } from "../deadlines.ts";
import type { EndReason, HttpProtocol, RequestEnd } from "../engine.ts";
import type { EdgeTimeouts } from "../snapshot.ts";
import { readAuthority } from "./authority.ts";
import type { BackendPool, Requester, Waiter } from "./backend/pool.ts";
import type { ClientShare } from "./backend/room.ts";
import type { NoPool } from "./backend/pool_table.ts";
import type { DialError } from "./backend/dial_error.ts";
import { ALLOWED_METHODS, answerWithError, type ErrorStatus, grpcStatusOf, isGrpc } from "./error_page.ts";
import { forwardedRequest, forwardedResponse, forwardedTrailers, requestIdOf } from "./forwarding.ts";
import { countForward } from "./max_forwards.ts";
import type { HttpStream, RequestHead, ResponseHead, ServerStream, StreamEvents, StreamFailure } from "./message.ts";
import { hasNoContent, opensTunnel, soundHead } from "./response_content.ts";
import type { ServedRoute } from "./served_route.ts";
import type { Turn } from "./turn.ts";

/** What is told of a client that left before it was answered, as in nginx's log. */
const CLIENT_LEFT = 499;

/** How often a request is sent, at the most, where a connection broke off. */
const ATTEMPTS = 2;

/** How long a request waits that was refused a second time; twice as long each time after. */
const FIRST_PAUSE_MS = 50;

/** RFC 9110 §9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

/** Those of our answers that are a client's doing alone. */
const PROVOKED: ReadonlySet<ErrorStatus> = new Set([400, 403, 405, 421, 431, 501]);

/** What of a client's own words goes into the log, in characters. */
const MAX_LOGGED_PATH = 1_024;
const MAX_LOGGED_USER_AGENT = 256;

/** What a request needs of the connection that it came on. */
export interface ExchangeClient {
  readonly turn: Turn;
  readonly timeouts: EdgeTimeouts;
  /** The real client's IP address. */
  readonly address: string;
  /** What tells the client from others: its IPv4 address, or the /64 of its IPv6 address. */
  readonly network: string;
  readonly protocol: HttpProtocol;
  /** Why we cut the connection, with the requests that were under way; `undefined` where we did not. */
  readonly cutFor: EndReason | undefined;
  /** The connection's route as it is now, where `hostname` is one of its names (RFC 9110 §7.4). */
  routeFor(hostname: string | undefined): ServedRoute | undefined;
  /** Where requests of `route` are sent. */
  poolFor(route: ServedRoute, hostname: string | undefined): BackendPool | NoPool;
  policyBlocked(route: ServedRoute, policy: HttpPolicy): void;
  /** Counts a request that nobody is told of. @returns Whether that is so. */
  onlyCounted(status: number, durationMs: number): boolean;
  requestEnded(end: Omit<RequestEnd, "listener" | "route" | "client" | "protocol">): void;
  /** Does something that is this connection's alone: a fault in it ends it, and no other. */
  contain(action: () => void): void;
  /** A fault of ours that {@linkcode contain} would catch: for what is called too often to be given a function. */
  fault(thrown: unknown): void;
}

/**
 * See the module. It is itself what the client's stream tells of the request's body; `Answer` is what the backend's tells.
 *
 * Flow control is end to end: bytes of either side are credited to it once they have left for the other.
 */
export class Exchange implements StreamEvents, Expirable {
  readonly client: ExchangeClient;
  readonly stream: ServerStream;
  readonly head: RequestHead;
  readonly #requestId: string;
  readonly #startedAt: number;
  #answer: Answer | undefined;
  /** Of the backend, where the request was sent. */
  #pool: BackendPool | undefined;
  #share: ClientShare | undefined;
  /** What came of the body before there was a stream to send it on, or while what had come before was sent. */
  #kept: Uint8Array[] = [];
  /** Where the body goes as it comes: set once all that was kept has gone there. */
  #bodyStream: HttpStream | undefined;
  #trailers: FieldList | undefined;
  #requestEnded: boolean;
  #attempts = 0;
  /** Before it is sent again. */
  #pause: Timer | undefined;
  #status = 0;
  /** Of the answer to a gRPC call. */
  #grpcStatus: number | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #sentAt = 0;
  #backendMs: number | undefined;
  /** Of the answer: came and has not left. */
  #unsent = 0;
  #answerEnded = false;
  /** The answer has no content, and so the client has all of it, whatever the backend adds. */
  #isContentless = false;
  #isTunnel = false;
  #over = false;
  #backendTimeoutMs = 0;
  /** The request has come whole, and the head of its answer has not: `backend_timeout` runs, unless `idle_timeout` is less. */
  #awaitsAnswer = false;
  deadline = 0;
  slot = -1;

  constructor(client: ExchangeClient, stream: ServerStream, head: RequestHead, end: boolean) {
    this.client = client;
    this.stream = stream;
    this.head = head;
    this.#requestEnded = end;
    this.#requestId = requestIdOf(head.fields);
    this.#startedAt = this.client.turn.now;
    stream.events = this;
  }

  /** Answers the request, or forwards it. */
  begin(): void {
    const { head } = this;
    this.client.turn.deadlines.set(this, this.client.timeouts.idleMs, this.#startedAt);
    if (head.method === "CONNECT" && head.protocol !== "websocket") {
      if (head.protocol === undefined) return this.#refuse(405, "CONNECT");
      return this.#refuse(501, "CONNECT with a protocol other than websocket"); // RFC 9220 §3
    }
    const route = this.#route();
    if (route === undefined) return this.#refuse(421, "the authority is not of the connection's route");
    // The backend would send back what it got: cookies, and what proxies add (RFC 9110 §9.3.8).
    if (head.method === "TRACE" && !route.http.allowTrace) return this.#refuse(405, "TRACE");
    const policy = refusingPolicy(route.http.policies, head.fields);
    if (policy !== undefined) {
      this.client.policyBlocked(route, policy);
      return this.#refuse(403, `policy ${policy.type} ${policy.value}`);
    }
    if ((head.method === "OPTIONS" || head.method === "TRACE") && !countForward(head.fields)) {
      return head.method === "OPTIONS" ? this.#answerOptions() : this.#refuse(405, "TRACE");
    }
    this.#backendTimeoutMs = route.http.backendTimeoutMs;
    if (this.#requestEnded || head.protocol !== undefined) this.#awaitAnswer();
    this.#send(route);
  }

  /** The client asks about us, and not the backend. */
  #answerOptions(): void {
    this.#status = 200;
    const fields = ["allow", ALLOWED_METHODS, "content-length", "0", "x-request-id", this.#requestId];
    this.stream.respond({ status: 200, fields, neverIndexed: undefined }, true);
    this.#finish(undefined);
  }

  /** The request is whole, or asks for a tunnel: its answer is the backend's turn. */
  #awaitAnswer(): void {
    if (this.#status !== 0 || this.#over || this.#backendTimeoutMs >= this.client.timeouts.idleMs) return;
    this.#awaitsAnswer = true;
    this.client.turn.deadlines.set(this, this.#backendTimeoutMs);
  }

  #route(): ServedRoute | undefined {
    return this.client.routeFor(this.#hostname);
  }

  /** Whom the request is for; `undefined` where that is an IP address or nobody. */
  get #hostname(): string | undefined {
    return readAuthority(this.head.authority)?.hostname;
  }

  // ---- From the client -----------------------------------------------------------------------------------------------

  data(bytes: Uint8Array): void {
    this.#progress();
    this.#bytesIn += bytes.length;
    if (this.#bodyStream !== undefined) this.#bodyStream.sendData(bytes);
    else if (this.#over || this.#answerEnded) this.stream.credit(bytes.length);
    else this.#kept.push(bytes.slice());
  }

  trailers(fields: FieldList): void {
    this.#requestEnded = true;
    this.#trailers = forwardedTrailers(fields);
    this.#awaitAnswer();
    this.#bodyStream?.sendTrailers(this.#trailers);
  }

  end(): void {
    this.#requestEnded = true;
    this.#awaitAnswer();
    this.#bodyStream?.sendEnd();
    this.#finishIfDone();
  }

  failed({ kind, detail }: StreamFailure): void {
    this.#answer?.abandon();
    const { cutFor } = this.client;
    if (this.#status === 0) this.#status = kind === "malformed" ? 400 : statusOfCut(cutFor);
    this.#finish(cutFor === undefined ? detail : `the proxy ended the connection: ${cutFor}`);
  }

  /** Bytes of the answer have left. */
  sent(bytes: number): void {
    this.#progress();
    this.#unsent -= bytes;
    this.#bytesOut += bytes;
    this.#answer?.stream?.credit(bytes);
    this.#finishIfDone();
  }

  // ---- From the backend ----------------------------------------------------------------------------------------------

  /** The request is on its way. */
  sending(answer: Answer, share: ClientShare): void {
    this.#share = share;
    this.#sentAt = this.client.turn.now;
    const stream = answer.stream;
    if (stream === undefined) return;
    // What is sent is credited at once, and then more may come before all that was kept has gone.
    for (let bytes = this.#kept.shift(); bytes !== undefined; bytes = this.#kept.shift()) stream.sendData(bytes);
    if (!this.#over) this.#bodyStream = stream;
    if (!this.#requestEnded || answer.bodiless) return;
    if (this.#trailers !== undefined) stream.sendTrailers(this.#trailers);
    else stream.sendEnd();
  }

  /** Bytes of the request have left. */
  requestSent(bytes: number): void {
    this.#progress();
    this.stream.credit(bytes);
  }

  informational(head: ResponseHead): void {
    this.#progress();
    this.stream.inform(soundHead(this.head, head));
  }

  response(head: ResponseHead, end: boolean): void {
    this.#awaitsAnswer = false;
    this.#progress();
    this.#backendMs = this.client.turn.now - this.#sentAt;
    if (head.upgradeIgnored && this.client.protocol !== "http/1.1") { // in HTTP/2 it would open a tunnel (RFC 8441 §5)
      this.#answer?.abandon();
      return this.#refuse(502, "an answer without the switch to WebSocket");
    }
    this.#status = head.status;
    this.#noteOutcome(head.fields);
    this.#isTunnel = opensTunnel(this.head, head);
    this.#isContentless = !end && !this.#isTunnel && hasNoContent(this.head.method, head.status);
    this.stream.respond(forwardedResponse(soundHead(this.head, head)), end || this.#isContentless);
    if (end) this.#answered();
  }

  answerData(bytes: Uint8Array): void {
    if (this.#isContentless) return this.#leaveRest();
    this.#progress();
    this.#unsent += bytes.length;
    this.stream.sendData(bytes);
  }

  answerEnd(trailers: FieldList | undefined): void {
    if (trailers === undefined) this.stream.sendEnd();
    else this.stream.sendTrailers(trailers);
    this.#noteOutcome(trailers);
    this.#answered();
  }

  /** The backend's stream broke off. */
  backendFailed(failure: StreamFailure, reused: boolean): void {
    if (this.#over) return;
    if (this.#isContentless) return this.#finish(undefined);
    if (this.#status !== 0) { // the client has to see that what it got is not whole
      this.stream.reset("internal_error");
      return this.#finish(failure.detail);
    }
    if (this.#mayRetry(failure, reused)) return this.#retry();
    this.#refuse(502, failure.detail);
  }

  /** There is no connection for the request. */
  unavailable(error: DialError | "overloaded"): void {
    if (error === "overloaded") return this.#refuse(503, "no connection to the backend is free");
    this.#refuse(error.kind === "timeout" ? 504 : 502, `${error.kind}: ${error.message}`);
  }

  /** Nothing has moved for too long. */
  expire(): void {
    this.client.contain(() => this.#expire());
  }

  #expire(): void {
    if (this.#isContentless) return this.#leaveRest();
    const error = this.#awaitsAnswer ? "no answer came within backend_timeout" : "nothing has moved for idle_timeout";
    this.#answer?.abandon();
    if (this.#status === 0) return this.#refuse(this.#requestEnded ? 504 : 408, error);
    this.stream.reset("cancelled");
    this.#finish(error);
  }

  #send(route: ServedRoute | undefined): void {
    if (route === undefined) return this.#refuse(421, "the route was removed");
    const pool = this.client.poolFor(route, this.#hostname);
    if (pool === "nameless") return this.#refuse(421, 'backend_server_name = "{host}" needs a host name to ask for');
    if (pool === "full") return this.#refuse(503, "too many names are asked for at once of one backend or another");
    this.#attempts++;
    this.#releaseShare();
    this.#pool = pool;
    this.#bodyStream = undefined;
    const bodiless = this.#requestEnded && this.#kept.length === 0 && this.#trailers === undefined;
    const forwarded = forwardedRequest(this.head, { address: this.client.address, requestId: this.#requestId });
    const answer = new Answer(this, forwarded, bodiless);
    this.#answer = answer;
    answer.waiter = pool.request(answer);
  }

  /** Sends it again, at once the first time: whoever refuses again is busy. */
  #retry(): void {
    if (this.#attempts === 1) return this.#send(this.#route());
    this.#answer = this.#bodyStream = undefined;
    this.#pause = new Timer(() => this.client.contain(() => this.#send(this.#route())));
    this.client.turn.deadlines.set(this.#pause, FIRST_PAUSE_MS * 2 ** (this.#attempts - 2));
  }

  /**
   * RFC 9110 §9.2.2: what was certainly not looked at may be sent again, and so may an idempotent request that met a
   * connection that had died meanwhile; but nothing of whose body has gone. A backend that refuses requests (RFC 9113
   * §8.7) is asked again for as long as one that does not accept connections.
   */
  #mayRetry({ kind }: StreamFailure, reused: boolean): boolean {
    if (this.#bytesIn > 0) return false;
    if (kind === "refused") return this.client.turn.now - this.#startedAt < this.client.timeouts.connectMs;
    return kind === "reset" && reused && this.#attempts < ATTEMPTS && IDEMPOTENT.has(this.head.method);
  }

  /** Answers by ourselves. */
  #refuse(status: ErrorStatus, error: string): void {
    if (this.#over) return;
    this.#answer = this.#bodyStream = undefined;
    for (const bytes of this.#kept.splice(0)) this.stream.credit(bytes.length);
    if (PROVOKED.has(status)) this.stream.provoked();
    const answered = answerWithError(this.stream, this.head, status, this.#requestId);
    this.#status = answered.status;
    this.#grpcStatus = answered.grpcStatus;
    this.#finish(error);
  }

  /** The outcome of a gRPC call stands behind its messages, or in the head: the status of HTTP is 200 for failures, too. */
  #noteOutcome(fields: FieldList | undefined): void {
    if (fields !== undefined && isGrpc(this.head)) this.#grpcStatus = grpcStatusOf(fields) ?? this.#grpcStatus;
  }

  /** All of the answer has come. */
  #answered(): void {
    this.#answerEnded = true;
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (!this.#answerEnded || this.#unsent > 0 || this.#over) return;
    if (this.#isTunnel && !this.#requestEnded) return; // it has two halves
    if (!this.#requestEnded) this.#answer?.abandon(); // the answer came without all of the request
    this.#finish(undefined);
  }

  /** What the backend sends is no part of the answer, which the client has already. */
  #leaveRest(): void {
    this.#answer?.abandon();
    this.#finish(undefined);
  }

  #progress(): void {
    const ms = this.#awaitsAnswer ? this.#backendTimeoutMs : this.client.timeouts.idleMs;
    this.client.turn.deadlines.extend(this, ms);
  }

  #finish(error: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#releaseShare();
    this.client.turn.deadlines.clear(this);
    if (this.#pause !== undefined) this.client.turn.deadlines.clear(this.#pause);
    if (!this.#isTunnel && this.client.onlyCounted(this.#status, this.client.turn.now - this.#startedAt)) return;
    this.client.requestEnded(this.#report(error));
  }

  /** The backend has nothing more to do for this attempt. */
  #releaseShare(): void {
    const share = this.#share;
    this.#share = undefined;
    if (share !== undefined) this.#pool?.release(share);
  }

  #report(error: string | undefined): Omit<RequestEnd, "listener" | "route" | "client" | "protocol"> {
    const { method, authority, path, protocol, fields } = this.head;
    const query = path.indexOf("?");
    const isWebSocket = protocol !== undefined;
    const isSwitched = this.#isTunnel && this.client.protocol === "http/1.1";
    return {
      requestId: this.#requestId,
      method: isWebSocket ? "GET" : method,
      host: authority,
      path: (query < 0 ? path : path.slice(0, query)).slice(0, MAX_LOGGED_PATH),
      userAgent: fieldValue(fields, "user-agent")?.slice(0, MAX_LOGGED_USER_AGENT),
      status: isSwitched ? 101 : this.#status,
      grpcStatus: this.#grpcStatus,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      durationMs: this.client.turn.now - this.#startedAt,
      backendMs: this.#backendMs,
      error,
    };
  }
}

/** What stands in place of the status of a request that was not answered before its connection ended. */
function statusOfCut(cutFor: EndReason | undefined): number {
  if (cutFor === undefined) return CLIENT_LEFT;
  if (cutFor === "shutdown") return 503;
  return cutFor === "internal_error" ? 500 : 408;
}

/** What the backend's stream tells of the answer to one attempt. */
class Answer implements Requester {
  readonly exchange: Exchange;
  /** As it is sent, and then no longer kept: what waits for its answer is what garbage collection costs. */
  head: RequestHead;
  readonly bodiless: boolean;
  stream: HttpStream | undefined;
  waiter: Waiter | undefined;
  #reused = false;
  #abandoned = false;

  constructor(exchange: Exchange, head: RequestHead, bodiless: boolean) {
    this.exchange = exchange;
    this.head = head;
    this.bodiless = bodiless;
  }

  /** Nobody wants the answer any more. */
  abandon(): void {
    this.#abandoned = true;
    this.waiter?.pool.cancel(this.waiter);
    this.stream?.reset("cancelled");
  }

  get client(): string {
    return this.exchange.client.network;
  }

  sending(stream: HttpStream, reused: boolean, share: ClientShare): void {
    this.waiter = undefined;
    this.head = this.exchange.head;
    this.stream = stream;
    this.#reused = reused;
    try {
      this.exchange.sending(this, share);
    } catch (thrown) {
      this.exchange.client.fault(thrown);
    }
  }

  unavailable(error: DialError | "overloaded"): void {
    if (!this.#abandoned) this.#contain(() => this.exchange.unavailable(error));
  }

  informational(head: ResponseHead): void {
    try {
      this.exchange.informational(head);
    } catch (thrown) {
      this.exchange.client.fault(thrown);
    }
  }

  response(head: ResponseHead, end: boolean): void {
    try {
      this.exchange.response(head, end);
    } catch (thrown) {
      this.exchange.client.fault(thrown);
    }
  }

  data(bytes: Uint8Array): void {
    try {
      this.exchange.answerData(bytes);
    } catch (thrown) {
      this.exchange.client.fault(thrown);
    }
  }

  trailers(fields: FieldList): void {
    try {
      this.exchange.answerEnd(fields);
    } catch (thrown) {
      this.exchange.client.fault(thrown);
    }
  }

  end(): void {
    try {
      this.exchange.answerEnd(undefined);
    } catch (thrown) {
      this.exchange.client.fault(thrown);
    }
  }

  failed(failure: StreamFailure): void {
    if (!this.#abandoned) this.#contain(() => this.exchange.backendFailed(failure, this.#reused));
  }

  sent(bytes: number): void {
    try {
      this.exchange.requestSent(bytes);
    } catch (thrown) {
      this.exchange.client.fault(thrown);
    }
  }

  /** A fault ends the client's connection: that to the backend may carry the requests of others. */
  #contain(action: () => void): void {
    this.exchange.client.contain(action);
  }
}
