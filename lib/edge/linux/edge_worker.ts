/**
 * One worker: a thread that owns its sockets and waits for nothing but their events.
 *
 * @module
 */

import { BufferPool } from "../buffer_pool.ts";
import { applyChange, type Serving } from "../change.ts";
import { Counters, type CounterWriter, isRejection, type RejectReason } from "../counters.ts";
import { Deadlines } from "../deadlines.ts";
import { type End, refusal } from "../end.ts";
import type { ConnectionEnd } from "../engine.ts";
import { makeFirewall } from "../firewall.ts";
import type { EdgeTimeouts, RouteSnapshot } from "../snapshot.ts";
import { Suppression } from "../suppression.ts";
import { stackOf } from "../thrown.ts";
import type { Firewall } from "../../rules/firewall.ts";
import type { IpAddress } from "../../wire/ip_address.ts";
import { type Endpoint, formatEndpoint } from "../../wire/socket_address.ts";
import { Acceptor } from "./acceptor.ts";
import type { CompactEndpoint } from "./compact_endpoint.ts";
import { type Connection, Side } from "./connection.ts";
import { Backend } from "./dial.ts";
import { EPOLLIN, Libc } from "./libc.ts";
import { type Handler, Loop } from "./loop.ts";
import type { FromWorker, ToWorker, WorkerSetup } from "./messages.ts";

/** One buffer serves every connection of the worker: bytes are in it only within one turn. */
const BUFFER_LENGTH = 256 * 1024;

/** Ended connections are reported together: when there are this many, or at the latest after this time. */
const REPORT_COUNT = 256;
const REPORT_MS = 20;

/** See the module. */
export class EdgeWorker implements Serving {
  readonly libc = new Libc();
  readonly loop = new Loop(this.libc);
  readonly deadlines = new Deadlines(this.libc.now());
  readonly buffer = new Uint8Array(BUFFER_LENGTH);
  readonly pool = new BufferPool();
  readonly counters: CounterWriter;
  readonly firewall: Firewall;
  readonly listeners: readonly Acceptor[];
  readonly timeouts: EdgeTimeouts;
  readonly backends: Map<string, Backend>;
  readonly report: (message: FromWorker) => void;
  readonly #owners: Uint16Array;
  readonly #owner: number;
  readonly #reportsEnds: boolean;
  readonly #suppression: Suppression;
  #later: Side[] = [];
  #ends: ConnectionEnd[] = [];
  #endsSince = 0;
  #open = 0;
  #stopped = false;
  #wakes = 0;

  constructor(setup: WorkerSetup, report: (message: FromWorker) => void) {
    const { index, snapshot, shared, listeners } = setup;
    this.report = report;
    this.counters = new Counters(snapshot.listeners.length, shared.writers, shared.counters).writer(index);
    this.firewall = makeFirewall(snapshot.firewall, shared.rates && { buffer: shared.rates, owner: index + 1 });
    this.timeouts = snapshot.timeouts;
    this.backends = new Map(snapshot.backends.entries().map(([name, addresses]) => [name, new Backend(addresses)]));
    this.#owners = new Uint16Array(shared.owners);
    this.#owner = index + 1;
    this.#reportsEnds = snapshot.reportsConnections;
    this.#suppression = new Suppression({
      deadlines: this.deadlines,
      now: () => this.deadlines.now,
      report: (lines) => report({ kind: "suppressed", lines }),
    });
    this.#mark(this.loop.fd, this.#owner);
    this.listeners = snapshot.listeners.map((listener, i) => new Acceptor(this, i, listener, listeners[i] ?? []));
    this.loop.add(this.#waker(setup.wakeFd), EPOLLIN);
  }

  /** Begins to accept. */
  accept(): void {
    for (const acceptor of this.listeners) acceptor.start();
    this.report({ kind: "accepting" });
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
      this.deadlines.advance(this.libc.now());
      this.loop.dispatch(count);
      if (this.#later.length > 0) this.#serveLater();
      if (this.#ends.length > 0) this.#reportEnds(false);
    }
    return this.#wakes;
  }

  /** @returns Whether to go on. */
  handle(message: ToWorker): boolean {
    switch (message.kind) {
      case "change":
        for (const change of message.changes) applyChange(this, change);
        this.report({ kind: "acknowledged", sequence: message.sequence });
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
        this.report({ kind: "stopped" });
        this.#reportDrained();
        return true;
      case "abort":
        for (const handler of this.loop.handlers()) {
          if (handler instanceof Side) handler.connection.finish({ reason: "shutdown" });
        }
        return true;
      case "exit":
        return false;
      default:
        throw new TypeError(`unknown message: ${JSON.stringify(message satisfies never)}`);
    }
  }

  setBackend(name: string, addresses: readonly Endpoint[]): void {
    this.backends.set(name, new Backend(addresses));
  }

  removeBackend(name: string): void {
    this.backends.delete(name);
  }

  /** Takes up a connection that was accepted. A fault in it is its own. */
  take(connection: Connection, peer: IpAddress): void {
    this.#open++;
    try {
      connection.begin(peer);
    } catch (error) {
      this.fault(connection, error);
    }
  }

  /** Has `side` own a descriptor. Should this thread die, the others know whose it was. */
  own(side: Side, fd: number): void {
    side.fd = fd;
    this.#mark(fd, this.#owner);
  }

  /** Closes what `side` owns, with a reset in place of FIN if asked to. */
  closeSocket(side: Side, reset: boolean): void {
    if (side.fd < 0) return;
    this.loop.forget(side);
    this.#mark(side.fd, 0);
    if (reset) this.libc.reset(side.fd);
    else this.libc.close(side.fd);
    side.fd = -1;
  }

  /** Has a relay go on once others have had their turn. */
  later(from: Side): void {
    this.#later.push(from);
  }

  /** Gives a connection to whoever serves HTTP. It is counted and reported there. */
  handOver(connection: Connection, destination: string): void {
    const { client, acceptor, source, serverName, route } = connection;
    const { fd } = client;
    this.loop.remove(client);
    client.fd = -1; // its owner, should a thread die, is told by the engine
    this.#open--;
    const handed = {
      fd,
      listener: acceptor.index,
      client: formatEndpoint(source.endpoint),
      destination,
      serverName,
      route: route?.hostname ?? "",
    };
    this.report({ kind: "handed_over", connection: handed });
    this.#reportDrained();
  }

  /** Counts and reports a connection that is over. */
  ended(connection: Connection, { reason, detail }: End): void {
    const { acceptor, route } = connection;
    const isRefused = isRejection(reason);
    if (isRefused) this.counters.reject(acceptor.index, reason);
    this.counters.close(acceptor.index);
    this.#open--;
    if (this.#reportsEnds && !(isRefused && this.#suppresses(acceptor.addr, reason, route, connection.source))) {
      this.#addEnd({
        listener: acceptor.addr,
        client: formatEndpoint(connection.source.endpoint),
        serverName: connection.serverName,
        route: route?.hostname,
        backend: route?.backend,
        bytesIn: connection.bytesIn,
        bytesOut: connection.bytesOut,
        durationMs: this.deadlines.now - connection.startedAt,
        end: reason,
        detail,
      });
    }
    this.#reportDrained();
  }

  /** Reports a connection that had no place. */
  refused(listener: string, source: CompactEndpoint): void {
    if (!this.#reportsEnds || this.#suppresses(listener, "max_connections", undefined, source)) return;
    this.#addEnd(refusal(listener, formatEndpoint(source.endpoint)));
  }

  /** Whether a refusal is one of so many that it is only counted. */
  #suppresses(
    listener: string,
    reason: RejectReason,
    route: RouteSnapshot | undefined,
    source: CompactEndpoint,
  ): boolean {
    const suppressed = this.#suppression.refused(listener, reason, route);
    if (suppressed?.wantsClient) suppressed.note(formatEndpoint(source.endpoint));
    return suppressed !== undefined;
  }

  /** Ends a connection in whose turn something was thrown: it, and it alone. */
  fault(connection: Connection, error: unknown): void {
    this.report({ kind: "internal_error", stack: stackOf(error) });
    connection.finish({ reason: "internal_error" });
  }

  #waker(fd: number): Handler {
    return { fd, generation: 0, onEvent: () => this.#wakes += this.libc.takeWakes(fd) };
  }

  #patienceMs(): number {
    if (this.#later.length > 0) return 0;
    if (this.#ends.length > 0) return REPORT_MS;
    return this.deadlines.size > 0 ? this.deadlines.tickMs : -1;
  }

  #serveLater(): void {
    const sides = this.#later;
    this.#later = [];
    for (const side of sides) {
      if (side.connection.state === "relaying") side.onEvent(EPOLLIN);
    }
  }

  #addEnd(end: ConnectionEnd): void {
    if (this.#ends.length === 0) this.#endsSince = this.deadlines.now;
    this.#ends.push(end);
    if (this.#ends.length >= REPORT_COUNT) this.#reportEnds(true);
  }

  #reportEnds(now: boolean): void {
    if (!now && this.deadlines.now - this.#endsSince < REPORT_MS) return;
    this.report({ kind: "ended", ends: this.#ends });
    this.#ends = [];
  }

  #reportDrained(): void {
    if (!this.#stopped || this.#open > 0) return;
    this.#reportEnds(true);
    this.#suppression.flush();
    this.report({ kind: "drained" });
  }

  #mark(fd: number, owner: number): void {
    this.#owners[fd] = owner; // beyond the end of the table nothing is kept, and nothing is cleaned up
  }
}
