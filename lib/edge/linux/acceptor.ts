/**
 * One worker's share of a listener.
 *
 * @module
 */

import { type ChangeableListener, routeTable } from "../change.ts";
import type { Expirable } from "../deadlines.ts";
import type { ListenerSnapshot, RouteSnapshot } from "../snapshot.ts";
import type { RouteTable } from "../../rules/route_table.ts";
import { CompactEndpoint } from "./compact_endpoint.ts";
import { Connection } from "./connection.ts";
import type { EdgeWorker } from "./edge_worker.ts";
import { EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPOLLIN, errorName } from "./libc.ts";
import type { Handler } from "./loop.ts";
import { decodeAddress, decodePort, SOCKADDR_LENGTH } from "./sockaddr.ts";

/** How many connections are accepted in a row: then others have their turn. */
const ACCEPTS = 64;

/** How long accepting rests after the system ran out of something. */
const PAUSE_MS = 100;

/** Accepts connections of one listener, and goes on until the worker stops. */
export class Acceptor implements Handler, Expirable, ChangeableListener {
  readonly worker: EdgeWorker;
  /** The listener's place in the snapshot, and in the counters. */
  readonly index: number;
  readonly addr: string;
  proxyProtocol: boolean;
  readonly routes: RouteTable<RouteSnapshot>;
  maxConnections: number;
  fd: number;
  generation = 0;
  deadline = 0;
  slot = -1;
  readonly #sockaddr = new Uint8Array(SOCKADDR_LENGTH);
  readonly #address = new Uint8Array(16); // of the connection that is being accepted
  #failing = false;
  #stopped = false;

  /** @param fd A socket that listens. It stays open when the worker ends. */
  constructor(worker: EdgeWorker, index: number, snapshot: ListenerSnapshot, fd: number) {
    this.worker = worker;
    this.index = index;
    this.addr = snapshot.addr;
    this.proxyProtocol = snapshot.proxyProtocol;
    this.routes = routeTable(snapshot.routes);
    this.maxConnections = snapshot.maxConnections;
    this.fd = fd;
  }

  start(): void {
    // Level-triggered: what is left after a round of accepts is told again.
    if (!this.worker.loop.add(this, EPOLLIN)) this.#pause(ENOMEM);
  }

  stop(): void {
    this.#stopped = true;
    this.worker.deadlines.clear(this);
    this.worker.loop.remove(this);
  }

  onEvent(): void {
    for (let i = 0; i < ACCEPTS && !this.#stopped; i++) {
      const fd = this.worker.libc.accept(this.fd, this.#sockaddr);
      if (fd >= 0) this.#admit(fd);
      else if (fd === -EAGAIN) return;
      else if (fd === -EMFILE || fd === -ENFILE || fd === -ENOBUFS || fd === -ENOMEM) return this.#pause(-fd);
      // Anything else is the fate of one connection that was over before it was taken, ECONNABORTED above all, accept(2).
    }
  }

  /** Accepting again after a pause. */
  expire(): void {
    this.start();
  }

  #admit(fd: number): void {
    const { worker, index, addr } = this;
    if (this.#failing) worker.report({ kind: "accept_recovered", listener: addr });
    this.#failing = false;
    decodeAddress(this.#sockaddr, this.#address);
    const source = new CompactEndpoint(this.#address, decodePort(this.#sockaddr));
    if (!worker.counters.open(index, this.maxConnections)) {
      worker.libc.reset(fd);
      worker.refused(addr, source);
      return;
    }
    const connection = new Connection(this, source);
    worker.own(connection.client, fd);
    worker.take(connection, this.#address);
  }

  /** Rests: with no descriptor left to give, a level-triggered event would come again and again. */
  #pause(errno: number): void {
    const { worker, addr } = this;
    if (!this.#failing) worker.report({ kind: "accept_failed", listener: addr, reason: errorName(errno) });
    this.#failing = true;
    worker.loop.remove(this);
    worker.deadlines.set(this, PAUSE_MS);
  }
}
