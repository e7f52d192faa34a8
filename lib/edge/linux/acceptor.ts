/**
 * One worker's share of a listener.
 *
 * @module
 */

import { type ChangeableListener, routeTable } from "../change.ts";
import type { Expirable } from "../deadlines.ts";
import { BACKLOG } from "../listen.ts";
import type { ListenerSnapshot, RouteSnapshot } from "../snapshot.ts";
import type { RouteTable } from "../../rules/route_table.ts";
import type { IpAddress } from "../../wire/ip_address.ts";
import { CompactEndpoint } from "./compact_endpoint.ts";
import { Connection, type ConnectionListener, type ConnectionWorker } from "./connection.ts";
import {
  EAGAIN,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  EPOLLIN,
  errorName,
  IPPROTO_TCP,
  TCP_NODELAY,
  TCP_QUICKACK,
} from "./libc.ts";
import type { Handler } from "./loop.ts";
import { decodeAddress, decodePort, SOCKADDR_LENGTH } from "./sockaddr.ts";

/** How many connections are accepted in a row: then others have their turn. */
const ACCEPTS = 16;

/** The most that are taken from the queue of a socket before it is closed: what came in meanwhile could go on for ever. */
const LAST_ACCEPTS = BACKLOG;

/** How long accepting rests after the system ran out of something. */
const PAUSE_MS = 100;

/** What an acceptor needs of its worker. */
export interface AcceptorWorker extends ConnectionWorker {
  /** Takes up a connection that was accepted. */
  take(connection: Connection, peer: IpAddress): void;
  /** Reports a connection that had no place. */
  refused(listener: string, source: CompactEndpoint): void;
  /** The system refuses to accept: said once until it accepts again. */
  acceptFailed(listener: string, reason: string): void;
  acceptRecovered(listener: string): void;
}

/** A socket that listens. It stays open when the worker ends. */
class ListeningSocket implements Handler {
  readonly fd: number;
  generation = 0;
  readonly #acceptor: Acceptor;

  constructor(acceptor: Acceptor, fd: number) {
    this.#acceptor = acceptor;
    this.fd = fd;
  }

  onEvent(): void {
    this.#acceptor.acceptFrom(this.fd, ACCEPTS);
  }
}

/** Accepts connections of one listener, and goes on until the worker stops. */
export class Acceptor implements Expirable, ChangeableListener, ConnectionListener {
  readonly worker: AcceptorWorker;
  /** The listener's place in the snapshot, and in the counters. */
  readonly index: number;
  readonly addr: string;
  readonly routes: RouteTable<RouteSnapshot>;
  maxConnections: number;
  deadline = 0;
  slot = -1;
  readonly #sockaddr = new Uint8Array(SOCKADDR_LENGTH);
  readonly #address = new Uint8Array(16); // of the connection that is being accepted
  /** One, or more of a process with more workers that was replaced; none of a listener that could not be bound. */
  #sockets: readonly ListeningSocket[];
  #proxyProtocol: boolean;
  #failing = false;
  #started = false;
  #stopped = false;

  /** @param fds Sockets that listen. */
  constructor(worker: AcceptorWorker, index: number, snapshot: ListenerSnapshot, fds: readonly number[]) {
    this.worker = worker;
    this.index = index;
    this.addr = snapshot.addr;
    this.#proxyProtocol = snapshot.proxyProtocol;
    this.routes = routeTable(snapshot.routes);
    this.maxConnections = snapshot.maxConnections;
    this.#sockets = fds.map((fd) => new ListeningSocket(this, fd));
  }

  get proxyProtocol(): boolean {
    return this.#proxyProtocol;
  }

  set proxyProtocol(isExpected: boolean) {
    this.#proxyProtocol = isExpected;
    this.#setAcknowledging();
  }

  /** Accepts from the sockets of a listener that had none so far. */
  listen(fds: readonly number[]): void {
    this.#sockets = fds.map((fd) => new ListeningSocket(this, fd));
    if (this.#started && !this.#stopped) this.start();
  }

  start(): void {
    this.#started = true;
    this.#setAcknowledging();
    // Level-triggered: what is left after a round of accepts is told again.
    if (!this.#sockets.every((socket) => this.worker.loop.add(socket, EPOLLIN))) this.#pause(ENOMEM);
  }

  /** @param takesQueued Whether what waits in the kernel's queues is taken first. */
  stop(takesQueued: boolean): void {
    if (takesQueued) {
      for (const { fd } of this.#sockets) this.acceptFrom(fd, LAST_ACCEPTS);
    }
    this.#stopped = true;
    this.worker.deadlines.clear(this);
    for (const socket of this.#sockets) this.worker.loop.remove(socket);
  }

  /** Accepts what waits, so many at most. */
  acceptFrom(listening: number, most: number): void {
    for (let i = 0; i < most && !this.#stopped; i++) {
      const fd = this.worker.libc.accept(listening, this.#sockaddr);
      if (fd >= 0) {
        this.#admit(fd);
        // It was the last one: who comes now is better off waiting in the queue than reset.
        if (fd + 1 >= this.worker.libc.descriptorLimit) return this.#pause(EMFILE);
      } else if (fd === -EAGAIN) return;
      else if (fd === -EMFILE || fd === -ENFILE || fd === -ENOBUFS || fd === -ENOMEM) return this.#pause(-fd);
      // Anything else is the fate of one connection that was over before it was taken, ECONNABORTED above all, accept(2).
    }
  }

  /** Accepting again after a pause, if there is a descriptor to do it with. */
  expire(): void {
    if (!this.worker.libc.hasDescriptor()) return this.worker.deadlines.set(this, PAUSE_MS);
    this.#recover();
    this.start();
  }

  #admit(fd: number): void {
    const { worker, index, addr } = this;
    this.#recover();
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

  #recover(): void {
    if (this.#failing) this.worker.acceptRecovered(this.addr);
    this.#failing = false;
  }

  /**
   * The first octets of a connection are acknowledged by the answer to them, which saves a segment; but a PROXY header may
   * come alone, and its sender may wait. Connections inherit this, if it was set after listen(2).
   */
  #setAcknowledging(): void {
    for (const { fd } of this.#sockets) {
      this.worker.libc.enable(fd, IPPROTO_TCP, TCP_NODELAY);
      if (this.#proxyProtocol) this.worker.libc.enable(fd, IPPROTO_TCP, TCP_QUICKACK);
      else this.worker.libc.disable(fd, IPPROTO_TCP, TCP_QUICKACK);
    }
  }

  /** Rests: with no descriptor left to give, a level-triggered event would come again and again. */
  #pause(errno: number): void {
    const { worker, addr } = this;
    if (!this.#failing) worker.acceptFailed(addr, errorName(errno));
    this.#failing = true;
    for (const socket of this.#sockets) worker.loop.remove(socket);
    worker.deadlines.set(this, PAUSE_MS);
  }
}
