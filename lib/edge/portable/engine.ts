/**
 * The portable engine: `Deno.listen` and `Deno.Conn`, on every platform that Deno runs on.
 *
 * @module
 */

import type { Firewall } from "../../rules/firewall.ts";
import { type Endpoint, formatEndpoint, formatHostPort, parseHostPort } from "../../wire/socket_address.ts";
import { type CounterWriter, isRejection, type RejectReason } from "../counters.ts";
import { refusal, type ReportedRoute } from "../end.ts";
import { EndedLines } from "../ended_lines.ts";
import { type ConnectionEnd, type Engine, type EngineEvents, ListenError } from "../engine.ts";
import { makeFirewall } from "../firewall.ts";
import type { EdgeSnapshot, EdgeTimeouts, ListenerSnapshot, RouteSnapshot } from "../snapshot.ts";
import { STRANGER_MS, timeoutsOfStrangers } from "../strangers.ts";
import { Suppression } from "../suppression.ts";
import { messageOf, stackOf } from "../thrown.ts";
import { BufferPool } from "../buffer_pool.ts";
import { HttpService } from "../http/service.ts";
import { runtimeDial } from "./backend_dial.ts";
import { NodeTlsContext } from "./node_tls.ts";
import { EventLoopTurn } from "./turn.ts";
import { applyChange, type ChangeableListener, type EdgeChange, routeTable, type Serving } from "../change.ts";
import { Connection, type ConnectionListener, endpointOf, serveConnection } from "./connection.ts";
import { Backend } from "./dial.ts";
import { accept, listen } from "../listen.ts";
import { type Inheritance, NOTHING_INHERITED } from "../inherited.ts";
import { TimedDeadlines } from "../timed_deadlines.ts";

/** How long accepting rests after the system refused it. */
const ACCEPT_PAUSE_MS = 100;

/**
 * A queue of the kernel's is empty if nothing was taken from it in so many turns of the event loop; how long is waited for
 * that at most, in milliseconds, as connections may come as fast as they are taken.
 */
const QUIET_TURNS = 2;
const QUEUE_WAIT_MS = 500;

/** A bound listener. */
interface Listener extends ChangeableListener {
  /** Its place in the snapshot, and in the counters. */
  readonly index: number;
  readonly addr: string;
  /** `host:port` as it is bound; none where it could not be. */
  boundAddr: string | undefined;
  /** None where it is still to be bound: beside the process that has it, or because it could not be. */
  socket: Deno.TcpListener | undefined;
}

/** See the module. */
export class PortableEngine implements Engine, Serving {
  readonly unbound: Map<number, ListenError>;
  readonly threads = { wanted: 1, up: 1 };
  readonly counters: CounterWriter;
  readonly events: EngineEvents;
  timeouts: EdgeTimeouts;
  readonly firewall: Firewall;
  readonly backends: Map<string, Backend>;
  readonly deadlines = new TimedDeadlines();
  readonly pool = new BufferPool();
  readonly turn = new EventLoopTurn(this.deadlines);
  readonly http: HttpService<NodeTlsContext>;
  readonly open = new Set<Connection>();
  readonly listeners: readonly Listener[];
  readonly #reportsEnds: boolean;
  readonly #lines: EndedLines;
  readonly #suppression: Suppression;
  readonly #snapshots: readonly ListenerSnapshot[];
  #accepting: Promise<void>[] = [];
  #started = false;
  #accepted = 0;
  #stopped = false;
  #closed = false;
  readonly #drained = Promise.withResolvers<void>();

  /**
   * Binds every listener that can be bound; see {@linkcode Engine.unbound} for the others.
   *
   * @param counters For as many listeners as the snapshot has.
   * @param inherited The listeners of the process that this one replaces.
   * @throws {GeoIpError} If the GeoIP file is not one.
   */
  constructor(
    snapshot: EdgeSnapshot,
    counters: CounterWriter,
    events: EngineEvents,
    inherited: Inheritance = NOTHING_INHERITED,
  ) {
    this.counters = counters;
    this.events = events;
    this.timeouts = snapshot.timeouts;
    this.firewall = makeFirewall(snapshot.firewall);
    this.backends = new Map(snapshot.backends.entries().map(([name, addresses]) => [name, new Backend(addresses)]));
    this.#reportsEnds = snapshot.reportsConnections;
    this.#lines = new EndedLines(snapshot.logFormat, { hasPriorities: snapshot.logPriorities });
    this.#suppression = new Suppression({
      deadlines: this.deadlines,
      now: () => performance.now(),
      report: (all) => {
        for (const lines of all) events.linesSuppressed(lines);
      },
    });
    this.http = new HttpService(snapshot, {
      counters,
      turn: this.turn,
      suppression: this.#suppression,
      dial: runtimeDial(this.turn, snapshot.tls),
      makeContext: (pem) => new NodeTlsContext(pem, snapshot.tls),
      requestEnded: (end) => {
        this.#lines.requestEnded(end);
        events.linesWritten(this.#lines.take());
      },
      dialFailed: (backend) => events.dialFailed(backend),
      internalError: (stack) => events.internalError(stack),
    });
    this.#snapshots = snapshot.listeners;
    ({ bound: this.listeners, unbound: this.unbound } = bindAll(snapshot.listeners, inherited));
  }

  get addresses(): readonly (string | undefined)[] {
    return this.listeners.map(({ boundAddr }) => boundAddr);
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  // deno-lint-ignore require-await -- what it throws is to be a rejection
  async start(): Promise<void> {
    this.#started = true;
    for (const listener of this.listeners) {
      if (listener.boundAddr === undefined) continue;
      listener.socket ??= listenBeside(listener.addr, listener.boundAddr);
      this.#accepting.push(this.#acceptLoop(listener, listener.socket));
    }
  }

  bindAgain(index: number): void {
    const [listener, snapshot] = [this.listeners[index], this.#snapshots[index]];
    if (listener === undefined || snapshot === undefined || !this.unbound.has(index) || this.#stopped) return;
    const socket = listen(snapshot.addr, snapshot.hostname, snapshot.port);
    listener.socket = socket;
    listener.boundAddr = formatHostPort(socket.addr.hostname, socket.addr.port);
    this.unbound.delete(index);
    if (this.#started) this.#accepting.push(this.#acceptLoop(listener, socket));
  }

  passListeners(): readonly number[] {
    return this.listeners.map(() => 0); // what a Deno.Listener stands on cannot be had
  }

  apply(changes: readonly EdgeChange[]): Promise<void> {
    for (const change of changes) applyChange(this, change);
    this.http.apply(changes);
    return Promise.resolve();
  }

  setBackend(name: string, addresses: readonly Endpoint[]): void {
    this.backends.set(name, new Backend(addresses));
  }

  removeBackend(name: string): void {
    this.backends.delete(name);
  }

  async stop(takesQueued: boolean): Promise<void> {
    if (takesQueued) await this.#takeQueued();
    this.#stopped = true;
    for (const { socket } of this.listeners) socket?.close();
    await Promise.all(this.#accepting); // the kernel's socket lives until the `accept` that waits on it is over
    this.timeouts = timeoutsOfStrangers(this.timeouts);
    for (const connection of this.open) connection.hurry(STRANGER_MS);
    this.http.drain();
    this.#closed = true;
    this.#drainedIfClear();
  }

  /** Waits until the kernel's queues are empty. What comes between that moment and the close, in the same turn, is lost. */
  async #takeQueued(): Promise<void> {
    const since = performance.now();
    for (let quiet = 0; quiet < QUIET_TURNS && performance.now() - since < QUEUE_WAIT_MS;) {
      const before = this.#accepted;
      await new Promise((resolve) => setTimeout(resolve));
      quiet = this.#accepted === before ? quiet + 1 : 0;
    }
  }

  drained(): Promise<void> {
    return this.#drained.promise;
  }

  abort(): void {
    this.http.abort();
    for (const connection of [...this.open]) connection.finish({ reason: "shutdown" });
  }

  /** Counts and reports a connection that is over. */
  ended(connection: Connection): void {
    const { listener, ended, httpEnd } = connection;
    const reason = ended?.reason ?? "internal_error";
    const isRefused = isRejection(reason);
    if (isRefused) this.counters.reject(listener.index, reason);
    this.counters.close(listener.index);
    const route = httpEnd === undefined ? connection.route : withoutBackend(connection.route);
    if (this.#reportsEnds && !(isRefused && this.#suppresses(listener, reason, route, connection.client))) {
      this.#connectionEnded({
        listener: listener.addr,
        client: formatEndpoint(connection.client),
        serverName: connection.serverName,
        route: route?.hostname,
        backend: route?.backend,
        bytesIn: httpEnd?.bytesIn ?? connection.bytesIn,
        bytesOut: httpEnd?.bytesOut ?? connection.bytesOut,
        durationMs: performance.now() - connection.startedAt,
        end: reason,
        detail: ended?.detail,
        ...httpEnd?.http && { http: httpEnd.http },
      });
    }
    this.open.delete(connection);
    this.#drainedIfClear();
  }

  #connectionEnded(end: ConnectionEnd): void {
    this.#lines.connectionEnded(end);
    this.events.linesWritten(this.#lines.take());
  }

  /** Whether a refusal is one of so many that it is only counted. */
  #suppresses(
    listener: ConnectionListener,
    reason: RejectReason,
    route: ReportedRoute | undefined,
    client: Endpoint,
  ): boolean {
    const suppressed = this.#suppression.refused(listener.addr, reason, route);
    if (suppressed?.wantsClient) suppressed.note(formatEndpoint(client));
    return suppressed !== undefined;
  }

  #drainedIfClear(): void {
    if (!this.#closed || this.open.size > 0) return;
    this.#suppression.flush();
    this.#drained.resolve();
  }

  async #acceptLoop(listener: Listener, socket: Deno.TcpListener): Promise<void> {
    let failing = false;
    while (!this.#stopped) {
      try {
        const connection = await accept(socket);
        this.#accepted++;
        this.#admit(listener, connection);
        if (failing) this.events.acceptRecovered(listener.addr);
        failing = false;
      } catch (error) {
        if (this.#stopped) return;
        // EMFILE and the like last: without a rest this loop would spin.
        if (!failing) this.events.acceptFailed(listener.addr, messageOf(error));
        failing = true;
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
  }

  #admit(listener: Listener, socket: Deno.TcpConn): void {
    if (!this.counters.open(listener.index, listener.maxConnections)) {
      socket.close();
      const client = endpointOf(socket.remoteAddr);
      if (!this.#reportsEnds || this.#suppresses(listener, "max_connections", undefined, client)) return;
      this.#connectionEnded(refusal(listener.addr, formatEndpoint(client)));
      return;
    }
    try {
      void serveConnection(new Connection(this, listener, socket));
    } catch (error) {
      socket.close();
      this.counters.close(listener.index);
      this.events.internalError(stackOf(error));
    }
  }
}

/** What is told of a route where nothing was sent to its backend in the connection's name. */
function withoutBackend(route: RouteSnapshot | undefined): ReportedRoute | undefined {
  return route && { hostname: route.hostname, backend: undefined };
}

function bindAll(
  snapshots: readonly ListenerSnapshot[],
  inherited: Inheritance,
): { bound: Listener[]; unbound: Map<number, ListenError> } {
  const unbound = new Map<number, ListenError>();
  const bound = snapshots.map(({ addr, hostname, port, proxyProtocol, maxConnections, routes }, index): Listener => {
    const common = { index, addr, proxyProtocol, maxConnections, routes: routeTable(routes) };
    const boundAddr = inherited.get(addr)?.boundAddr;
    if (boundAddr !== undefined) return { ...common, boundAddr, socket: undefined };
    try {
      const socket = listen(addr, hostname, port);
      return { ...common, boundAddr: formatHostPort(socket.addr.hostname, socket.addr.port), socket };
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      unbound.set(index, error);
      return { ...common, boundAddr: undefined, socket: undefined };
    }
  });
  return { bound, unbound };
}

/**
 * Listens beside the process that is to be replaced. Not before this one accepts: a connection that the kernel gave it
 * would be lost if it ended until then.
 */
function listenBeside(addr: string, boundAddr: string): Deno.TcpListener {
  const { host = "", port = 0 } = parseHostPort(boundAddr) ?? {};
  return listen(addr, host, port, true);
}
