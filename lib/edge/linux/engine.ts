/**
 * The epoll engine: workers that own their sockets through libc, on Linux.
 *
 * @module
 */

import { type EdgeChange, LivingSnapshot } from "../change.ts";
import type { Counters } from "../counters.ts";
import { type Engine, type EngineEvents, ListenError, type ThreadCounts } from "../engine.ts";
import { type Inheritance, NOTHING_INHERITED } from "../inherited.ts";
import type { EdgeSnapshot } from "../snapshot.ts";
import { RateLimiter } from "../../rules/rate_limiter.ts";
import { formatHostPort } from "../../wire/socket_address.ts";
import { bindListener, type BoundListener, inheritListener, listenOn } from "./bind.ts";
import { sendDescriptors } from "./descriptors.ts";
import { Libc } from "./libc.ts";
import type { FromWorker, SharedMemory, ToWorker } from "./messages.ts";

/** How many descriptors the table of owners has room for: the usual upper limit of a process, proc(5) nr_open. */
const DESCRIPTORS = 1024 * 1024;

/** A worker that fails again within this time of its start is replaced only after a pause of as long. */
const RESTART_PAUSE_MS = 500;

/** A worker's place: the thread in it may be another one tomorrow. */
interface Place {
  readonly index: number;
  readonly wakeFd: number;
  thread: Worker | undefined;
  isUp: boolean;
  startedAt: number;
  ready: PromiseWithResolvers<void>;
  accepting: PromiseWithResolvers<void>;
  stopped: PromiseWithResolvers<void>;
  drained: PromiseWithResolvers<void>;
}

/** See the module. */
export class EpollEngine implements Engine {
  readonly #libc = new Libc();
  readonly #workerModule: URL;
  readonly #events: EngineEvents;
  readonly #counters: Counters;
  readonly #shared: SharedMemory;
  readonly #rates: { readonly rateLimit: number; readonly rateWindowMs: number };
  /** In the order of the snapshot; one that could not be bound has no sockets. */
  readonly #bound: BoundListener[];
  readonly #unbound: Map<number, ListenError>;
  readonly #places: readonly Place[];
  readonly #acknowledgements = new Map<number, { waiting: Set<number>; done: PromiseWithResolvers<void> }>();
  /** What a worker that takes another's place begins with. */
  readonly #snapshot: LivingSnapshot;
  #prepared: Promise<void> | undefined;
  #sequence = 0;
  #accepts = false;
  #stopping = false;

  /**
   * Binds every listener that can be bound; see {@linkcode Engine.unbound} for the others.
   *
   * @param counters For as many listeners as the snapshot has.
   * @param inherited The listeners of the process that this one replaces; the sockets of those that the snapshot has not
   * are closed.
   * @param workerModule What runs in a worker's thread.
   * @throws {LibcError} Where this platform has no epoll, or Deno may not call it.
   * @throws {ListenError} If an inherited listener cannot be bound.
   */
  constructor(
    snapshot: EdgeSnapshot,
    workers: number,
    counters: Counters,
    events: EngineEvents,
    inherited: Inheritance = NOTHING_INHERITED,
    workerModule: URL = new URL("./worker.ts", import.meta.url),
  ) {
    this.#workerModule = workerModule;
    const { geoip } = snapshot.firewall;
    this.#snapshot = new LivingSnapshot(snapshot);
    if (geoip !== undefined) this.#snapshot.apply(shareGeoip({ kind: "set_geoip", geoip }));
    const { rateLimit, rateWindowMs } = snapshot.firewall;
    this.#rates = { rateLimit, rateWindowMs };
    this.#counters = counters;
    this.#events = events;
    this.#shared = {
      writers: counters.workers,
      counters: counters.memory,
      owners: new SharedArrayBuffer(DESCRIPTORS * 2),
      rates: rateLimit > 0 ? new SharedArrayBuffer(RateLimiter.byteLength()) : undefined,
    };
    ({ bound: this.#bound, unbound: this.#unbound } = bindAll(this.#libc, snapshot, workers, inherited));
    this.#places = Array.from({ length: workers }, (_, index) => ({
      index,
      wakeFd: this.#libc.eventfd(),
      thread: undefined,
      isUp: false,
      startedAt: 0,
      ready: Promise.withResolvers<void>(),
      accepting: Promise.withResolvers<void>(),
      stopped: Promise.withResolvers<void>(),
      drained: Promise.withResolvers<void>(),
    }));
  }

  get addresses(): readonly (string | undefined)[] {
    return this.#bound.map(({ hostname, port, fds }) => fds.length === 0 ? undefined : formatHostPort(hostname, port));
  }

  get unbound(): ReadonlyMap<number, ListenError> {
    return this.#unbound;
  }

  get threads(): ThreadCounts {
    return { wanted: this.#places.length, up: this.#places.filter(({ isUp }) => isUp).length };
  }

  prepare(): Promise<void> {
    return this.#prepared ??= this.#startThreads();
  }

  async #startThreads(): Promise<void> {
    for (const place of this.#places) this.#spawn(place);
    await Promise.all(this.#places.map(({ ready }) => ready.promise));
  }

  async start(): Promise<void> {
    await this.prepare();
    for (const { addr, deaf } of this.#bound) for (const fd of deaf) listenOn(this.#libc, addr, fd);
    this.#accepts = true;
    for (const place of this.#places) if (place.thread !== undefined) this.#send(place, { kind: "accept" });
    await Promise.all(this.#places.map(({ accepting }) => accepting.promise));
  }

  bindAgain(listener: number): void {
    const snapshot = this.#snapshot.take().listeners[listener];
    if (snapshot === undefined || !this.#unbound.has(listener) || this.#stopping) return;
    const count = this.#places.length;
    const bound = bindListener(this.#libc, snapshot, count);
    this.#bound[listener] = bound;
    this.#unbound.delete(listener);
    for (const place of this.#places) {
      if (place.thread === undefined) continue; // the next one there begins with them
      this.#send(place, { kind: "listen", listener, fds: bound.fds.filter((_, i) => i % count === place.index) });
    }
  }

  passListeners(path: string): readonly number[] {
    sendDescriptors(this.#libc, path, this.#bound.flatMap(({ fds }) => fds));
    return this.#bound.map(({ fds }) => fds.length);
  }

  async apply(changes: readonly EdgeChange[]): Promise<void> {
    const shared = changes.map(shareGeoip);
    for (const change of shared) this.#snapshot.apply(change);
    await this.#applyInWorkers(shared);
  }

  async #applyInWorkers(changes: readonly EdgeChange[]): Promise<void> {
    const sequence = ++this.#sequence;
    const living = this.#places.filter(({ thread }) => thread !== undefined);
    if (living.length === 0) return;
    const waiting = new Set(living.map(({ index }) => index));
    const done = Promise.withResolvers<void>();
    this.#acknowledgements.set(sequence, { waiting, done });
    for (const place of living) this.#send(place, { kind: "change", sequence, changes });
    await done.promise;
  }

  async stop(takesQueued: boolean): Promise<void> {
    this.#stopping = true;
    for (const place of this.#places) {
      if (place.thread === undefined) this.#gone(place);
      else this.#send(place, { kind: "stop", takesQueued });
    }
    await Promise.all(this.#places.map(({ stopped }) => stopped.promise));
    for (const { fds } of this.#bound) for (const fd of fds) this.#libc.close(fd);
  }

  async drained(): Promise<void> {
    await Promise.all(this.#places.map(({ drained }) => drained.promise));
    for (const place of this.#places) if (place.thread !== undefined) this.#send(place, { kind: "exit" });
  }

  abort(): void {
    for (const place of this.#places) if (place.thread !== undefined) this.#send(place, { kind: "abort" });
  }

  #spawn(place: Place): void {
    const { index, wakeFd } = place;
    const thread = new Worker(this.#workerModule, { type: "module", name: `edge-${index}` });
    place.thread = thread;
    place.startedAt = performance.now();
    thread.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(place, data);
    thread.onerror = (event) => {
      event.preventDefault(); // an uncaught error in a worker would end the whole program
      this.#failed(place, event.message);
    };
    const count = this.#places.length;
    const listeners = this.#bound.map(({ fds }) => fds.filter((_, i) => i % count === index));
    const snapshot = this.#snapshot.take();
    thread.postMessage({ index, snapshot, listeners, accepts: this.#accepts, wakeFd, shared: this.#shared });
  }

  #send(place: Place, message: ToWorker): void {
    place.thread?.postMessage(message);
    this.#libc.wake(place.wakeFd);
  }

  #receive(place: Place, message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        place.isUp = true;
        return place.ready.resolve();
      case "accepting":
        return place.accepting.resolve();
      case "acknowledged":
        return this.#acknowledge(message.sequence, place.index);
      case "stopped":
        return place.stopped.resolve();
      case "drained":
        return place.drained.resolve();
      case "lines":
        return this.#events.linesWritten(message.lines);
      case "suppressed":
        for (const lines of message.lines) this.#events.linesSuppressed(lines);
        return;
      case "dial_failed":
        return this.#events.dialFailed(message.backend);
      case "accept_failed":
        return this.#events.acceptFailed(message.listener, message.reason);
      case "accept_recovered":
        return this.#events.acceptRecovered(message.listener);
      case "internal_error":
        return this.#events.internalError(message.stack);
      case "failed":
        return this.#failed(place, message.stack);
    }
  }

  #acknowledge(sequence: number, index: number): void {
    const acknowledgement = this.#acknowledgements.get(sequence);
    acknowledgement?.waiting.delete(index);
    if (acknowledgement?.waiting.size !== 0) return;
    this.#acknowledgements.delete(sequence);
    acknowledgement.done.resolve();
  }

  /** Cleans up behind a worker that died, and puts another in its place. */
  #failed(place: Place, stack: string): void {
    if (place.thread === undefined) return;
    place.thread.terminate();
    place.thread = undefined;
    place.isUp = false;
    this.#closeDescriptorsOf(place.index);
    this.#counters.abandon(place.index);
    this.#releaseLocksOf(place.index);
    this.#libc.takeWakes(place.wakeFd);
    for (const sequence of [...this.#acknowledgements.keys()]) this.#acknowledge(sequence, place.index);
    this.#events.workerFailed(place.index, stack);
    if (this.#stopping) return this.#gone(place);
    const pause = performance.now() - place.startedAt < RESTART_PAUSE_MS ? RESTART_PAUSE_MS : 0;
    setTimeout(() => {
      if (!this.#stopping) this.#spawn(place);
    }, pause);
  }

  #releaseLocksOf(index: number): void {
    const { rateLimit: limit, rateWindowMs: windowMs } = this.#rates;
    if (this.#shared.rates === undefined) return;
    new RateLimiter({ limit, windowMs, buffer: this.#shared.rates }).releaseLocksOf(index + 1);
  }

  #gone({ stopped, drained }: Place): void {
    stopped.resolve();
    drained.resolve();
  }

  /** The sockets of a thread are the process's: they outlive it, and their peers would wait for ever. */
  #closeDescriptorsOf(index: number): void {
    const owners = new Uint16Array(this.#shared.owners);
    for (let fd = owners.indexOf(index + 1); fd >= 0; fd = owners.indexOf(index + 1, fd + 1)) {
      owners[fd] = 0;
      this.#libc.reset(fd);
    }
  }
}

/** Copies a GeoIP file to where every worker can read it: there is one copy for all. */
function shareGeoip(change: EdgeChange): EdgeChange {
  if (change.kind !== "set_geoip") return change;
  const geoip = new Uint8Array(new SharedArrayBuffer(change.geoip.length));
  geoip.set(change.geoip);
  return { ...change, geoip };
}

function bindAll(
  libc: Libc,
  { listeners }: EdgeSnapshot,
  workers: number,
  inherited: Inheritance,
): { bound: BoundListener[]; unbound: Map<number, ListenError> } {
  const bound: BoundListener[] = [];
  const unbound = new Map<number, ListenError>();
  for (const [index, listener] of listeners.entries()) {
    const { addr } = listener;
    const old = inherited.get(addr);
    try {
      bound.push(
        old === undefined ? bindListener(libc, listener, workers) : inheritListener(libc, listener, old, workers),
      );
    } catch (error) {
      // Of one that is inherited, clients wait in the queues of the process that is about to leave.
      if (!(error instanceof ListenError) || old !== undefined) {
        for (const { fds } of bound) for (const fd of fds) libc.close(fd);
        throw error;
      }
      unbound.set(index, error);
      bound.push({ addr, hostname: "", port: 0, fds: [], deaf: [] });
    }
  }
  // They would take connections that nobody accepts.
  const served = new Set(listeners.map(({ addr }) => addr));
  for (const [addr, { fds }] of inherited) if (!served.has(addr)) { for (const fd of fds) libc.close(fd); }
  return { bound, unbound };
}
