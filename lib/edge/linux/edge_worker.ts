/**
 * One worker: a thread that owns its sockets and waits for nothing but their events.
 *
 * @module
 */

import { applyChange, type EdgeChange, type Serving } from "../change.ts";
import { Counters, type CounterWriter, isRejection, type RejectReason } from "../counters.ts";
import { type End, refusal, type ReportedRoute } from "../end.ts";
import { makeFirewall } from "../firewall.ts";
import type { HttpEnd } from "../http/client_connection.ts";
import { isPinAlone } from "../http/backend/pins.ts";
import { HttpService } from "../http/service.ts";
import type { EdgeSnapshot, EdgeTimeouts, RouteSnapshot } from "../snapshot.ts";
import { STRANGER_MS, timeoutsOfStrangers } from "../strangers.ts";
import { Suppression } from "../suppression.ts";
import { stackOf } from "../thrown.ts";
import type { Firewall } from "../../rules/firewall.ts";
import type { IpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { Acceptor, type AcceptorWorker } from "./acceptor.ts";
import { loopDial } from "./backend_dial.ts";
import type { CompactEndpoint } from "./compact_endpoint.ts";
import { type Connection, Side } from "./connection.ts";
import { Backend } from "./dial.ts";
import { Handshakes } from "./handshakes.ts";
import { EPOLLIN } from "./libc.ts";
import type { ServerContext } from "./libssl/server_context.ts";
import type { Handler } from "./loop.ts";
import type { FromWorker, ToWorker, WorkerSetup } from "./messages.ts";
import { Reports } from "./reports.ts";
import { type ServedConnection, ServerTransport, type ServerTransportOwner } from "./server_transport.ts";
import { Thread } from "./thread.ts";
import { WorkerTls } from "./worker_tls.ts";

/** See the module. */
export class EdgeWorker extends Thread implements Serving, AcceptorWorker, ServerTransportOwner {
  readonly counters: CounterWriter;
  readonly firewall: Firewall;
  readonly listeners: readonly Acceptor[];
  timeouts: EdgeTimeouts;
  readonly backends: Map<string, Backend>;
  readonly handshakes: Handshakes;
  readonly #report: (message: FromWorker) => void;
  readonly #reportsEnds: boolean;
  readonly #reports: Reports;
  readonly #suppression: Suppression;
  readonly #tls: WorkerTls;
  readonly #http: HttpService<ServerContext>;
  #later: Side[] = [];
  #open = 0;
  #stopped = false;
  #wakes = 0;

  constructor(setup: WorkerSetup, report: (message: FromWorker) => void) {
    const { index, snapshot, shared, listeners } = setup;
    super(shared.owners, index + 1);
    this.#report = report;
    this.counters = new Counters(snapshot.listeners.length, shared.writers, shared.counters).writer(index);
    this.firewall = makeFirewall(snapshot.firewall, shared.rates && { buffer: shared.rates, owner: index + 1 });
    this.timeouts = snapshot.timeouts;
    this.backends = new Map(snapshot.backends.entries().map(([name, addresses]) => [name, new Backend(addresses)]));
    this.handshakes = new Handshakes(this.libc);
    this.#reportsEnds = snapshot.reportsConnections;
    this.#reports = new Reports(snapshot, report, () => this.deadlines.now);
    this.#suppression = new Suppression({
      deadlines: this.deadlines,
      now: () => this.deadlines.now,
      report: (lines) => report({ kind: "suppressed", lines }),
    });
    this.#tls = new WorkerTls(snapshot.tls, snapshot.ticketKeys);
    this.#http = this.#makeHttp(snapshot);
    this.listeners = snapshot.listeners.map((listener, i) => new Acceptor(this, i, listener, listeners[i] ?? []));
    this.loop.add(this.#waker(setup.wakeFd), EPOLLIN);
    for (const { routes } of snapshot.listeners) this.#prepareForBackends(routes);
  }

  #makeHttp(snapshot: EdgeSnapshot): HttpService<ServerContext> {
    return new HttpService(snapshot, {
      counters: this.counters,
      turn: this.turn,
      suppression: this.#suppression,
      dial: loopDial(this, this.#tls),
      makeContext: (pem) => this.#tls.serverContext(pem),
      requestEnded: (end) => this.#reports.requestEnded(end),
      dialFailed: (backend) => this.dialFailed(backend),
      internalError: (stack) => this.#report({ kind: "internal_error", stack }),
    });
  }

  /** Begins to accept. */
  accept(): void {
    for (const acceptor of this.listeners) acceptor.start();
    this.#report({ kind: "accepting" });
  }

  /**
   * Serves until it is woken.
   *
   * @returns How many messages are there to be read.
   */
  run(): number {
    this.#wakes = 0;
    while (this.#wakes === 0) {
      const count = this.loop.wait(this.#patienceMs());
      this.turn.begin();
      this.deadlines.turnTo(this.libc.now());
      this.loop.dispatch(count);
      if (this.handshakes.areWaiting) this.handshakes.run();
      if (this.#later.length > 0) this.#serveLater();
      this.turn.end();
      this.#reports.flushIfDue();
    }
    return this.#wakes;
  }

  /** @returns Whether to go on. */
  handle(message: ToWorker): boolean {
    switch (message.kind) {
      case "change":
        this.#apply(message.changes);
        this.turn.end();
        this.#report({ kind: "acknowledged", sequence: message.sequence });
        return true;
      case "accept":
        this.accept();
        return true;
      case "listen":
        this.listeners[message.listener]?.listen(message.fds);
        return true;
      case "stop":
        for (const acceptor of this.listeners) acceptor.stop(message.takesQueued);
        this.#stopped = true;
        this.#hurryStrangers();
        this.#http.drain();
        this.turn.end();
        this.#report({ kind: "stopped" });
        this.#reportDrained();
        return true;
      case "abort":
        for (const handler of this.loop.handlers()) {
          if (handler instanceof Side) handler.connection.finish({ reason: "shutdown" });
        }
        this.#http.abort();
        this.turn.end();
        return true;
      case "exit":
        return false;
      default:
        throw new TypeError(`unknown message: ${JSON.stringify(message satisfies never)}`);
    }
  }

  #hurryStrangers(): void {
    this.timeouts = timeoutsOfStrangers(this.timeouts);
    for (const handler of this.loop.handlers()) {
      if (handler instanceof Side) handler.connection.hurry(STRANGER_MS);
    }
  }

  #apply(changes: readonly EdgeChange[]): void {
    for (const change of changes) {
      applyChange(this, change);
      if (change.kind === "set_route") this.#prepareForBackends([change.route]);
      if (change.kind === "set_ticket_keys") this.#tls.setTicketKeys(change.keys);
    }
    this.#http.apply(changes);
  }

  #prepareForBackends(routes: readonly RouteSnapshot[]): void {
    const usesSystem = routes.some(({ http }) =>
      http?.backendTls === true && http.backendCa === "" && !isPinAlone(http)
    );
    if (usesSystem) this.#tls.prepareForSystemAuthorities();
  }

  setBackend(name: string, addresses: readonly Endpoint[]): void {
    this.backends.set(name, new Backend(addresses));
  }

  removeBackend(name: string): void {
    this.backends.delete(name);
  }

  // ---- What acceptors and connections use ----------------------------------------------------------------------------

  /** Takes up a connection that was accepted. A fault in it is its own. */
  take(connection: Connection, peer: IpAddress): void {
    this.#open++;
    try {
      connection.begin(peer);
    } catch (error) {
      this.fault(connection, error);
    }
  }

  later(from: Side): void {
    this.#later.push(from);
  }

  serve(connection: Connection, servedRoute: RouteSnapshot): void {
    const { client, listener, source, serverName, destination } = connection;
    const { fd } = client;
    client.fd = -1;
    const served = { listener, source, serverName, servedRoute };
    this.#http.take(new ServerTransport(this, fd, served, destination));
  }

  ended(connection: Connection, end: End): void {
    this.#over(connection, connection.route, end, connection);
  }

  servedEnded(connection: ServedConnection, end: HttpEnd): void {
    this.#over(connection, { hostname: connection.servedRoute.hostname, backend: undefined }, end, end);
  }

  refused(listener: string, source: CompactEndpoint): void {
    if (!this.#reportsEnds || this.#suppresses(listener, "max_connections", undefined, source)) return;
    this.#reports.connectionEnded(refusal(listener, source.text));
  }

  fault(connection: Connection, error: unknown): void {
    this.#report({ kind: "internal_error", stack: stackOf(error) });
    connection.finish({ reason: "internal_error" });
  }

  acceptFailed(listener: string, reason: string): void {
    this.#report({ kind: "accept_failed", listener, reason });
  }

  acceptRecovered(listener: string): void {
    this.#report({ kind: "accept_recovered", listener });
  }

  dialFailed(backend: string): void {
    this.#report({ kind: "dial_failed", backend });
  }

  /** Counts and reports a connection that is over. */
  #over(
    { listener, source, serverName }: Pick<ServedConnection, "listener" | "source" | "serverName">,
    route: ReportedRoute | undefined,
    { reason, detail }: End,
    { bytesIn, bytesOut, durationMs, http }: Passed,
  ): void {
    const addr = this.listeners[listener]?.addr ?? "";
    const isRefused = isRejection(reason);
    if (isRefused) this.counters.reject(listener, reason);
    this.counters.close(listener);
    this.#open--;
    if (this.#reportsEnds && !(isRefused && this.#suppresses(addr, reason, route, source))) {
      this.#reports.connectionEnded({
        listener: addr,
        client: source.text,
        serverName,
        route: route?.hostname,
        backend: route?.backend,
        bytesIn,
        bytesOut,
        durationMs,
        end: reason,
        detail,
        ...http !== undefined && { http },
      });
    }
    this.#reportDrained();
  }

  /** Whether a refusal is one of so many that it is only counted. */
  #suppresses(
    listener: string,
    reason: RejectReason,
    route: ReportedRoute | undefined,
    source: CompactEndpoint,
  ): boolean {
    const suppressed = this.#suppression.refused(listener, reason, route);
    if (suppressed?.wantsClient) suppressed.note(source.text);
    return suppressed !== undefined;
  }

  #waker(fd: number): Handler {
    return { fd, generation: 0, onEvent: () => this.#wakes += this.libc.takeWakes(fd) };
  }

  #patienceMs(): number {
    if (this.#later.length > 0 || this.turn.isWanted || this.handshakes.areWaiting) return 0;
    const { patienceMs } = this.#reports;
    if (patienceMs >= 0) return patienceMs;
    return this.deadlines.size > 0 ? this.deadlines.tickMs : -1;
  }

  #serveLater(): void {
    const sides = this.#later;
    this.#later = [];
    for (const side of sides) {
      if (side.connection.state === "relaying") side.onEvent(EPOLLIN);
    }
  }

  #reportDrained(): void {
    if (!this.#stopped || this.#open > 0) return;
    this.#reports.flush();
    this.#suppression.flush();
    this.#report({ kind: "drained" });
  }
}

/** What passed on a connection while it was open. */
type Passed = Pick<HttpEnd, "bytesIn" | "bytesOut" | "durationMs"> & Partial<Pick<HttpEnd, "http">>;
