/**
 * The threads that serve HTTP beside the epoll engine's workers.
 *
 * They are ordinary event loops, and hold the parts of Deno and Node that a blocking worker cannot use. There is none as
 * long as there is no L7 route.
 *
 * @module
 */

import type { EdgeChange, LivingSnapshot } from "../change.ts";
import type { Counters } from "../counters.ts";
import type { EngineEvents, ThreadCounts } from "../engine.ts";
import type { EdgeSnapshot, HttpRoute, RouteSnapshot } from "../snapshot.ts";
import { Libc } from "./libc.ts";
import type { FromHttpWorker, HandedOver, SharedMemory, ToHttpWorker } from "./messages.ts";

/** A worker that fails again within this time of its start is replaced only after a pause of as long. */
const RESTART_PAUSE_MS = 500;

interface Place {
  /** Its number among all who write into the counters. */
  readonly writer: number;
  thread: Worker | undefined;
  isUp: boolean;
  startedAt: number;
  ready: PromiseWithResolvers<void>;
  drained: PromiseWithResolvers<void>;
}

/** See the module. */
export class HttpWorkers {
  readonly #snapshot: LivingSnapshot;
  readonly #shared: SharedMemory;
  readonly #owners: Uint16Array;
  readonly #counters: Counters;
  readonly #events: EngineEvents;
  readonly #libc = new Libc();
  readonly #places: readonly Place[];
  readonly #acknowledgements = new Map<number, { waiting: Set<Place>; done: PromiseWithResolvers<void> }>();
  #sequence = 0;
  #next = 0;
  #running = false;
  #stopping = false;

  /** @param workers How many there are of them, and of the engine's own, which have the first numbers. */
  constructor(
    workers: number,
    snapshot: LivingSnapshot,
    shared: SharedMemory,
    counters: Counters,
    events: EngineEvents,
  ) {
    this.#snapshot = snapshot;
    this.#shared = shared;
    this.#owners = new Uint16Array(shared.owners);
    this.#counters = counters;
    this.#events = events;
    this.#places = Array.from({ length: workers }, (_, index) => ({
      writer: workers + index,
      thread: undefined,
      isUp: false,
      startedAt: 0,
      ready: Promise.withResolvers<void>(),
      drained: Promise.withResolvers<void>(),
    }));
  }

  get threads(): ThreadCounts {
    if (!this.#running) return { wanted: 0, up: 0 };
    return { wanted: this.#places.length, up: this.#places.filter(({ isUp }) => isUp).length };
  }

  /** Starts the threads, if there is a route for them. */
  async start(): Promise<void> {
    if (this.#running || !this.#snapshot.take().listeners.some(({ routes }) => routes.some(({ http }) => http))) return;
    await this.#start();
  }

  async #start(): Promise<void> {
    this.#running = true;
    for (const place of this.#places) this.#spawn(place);
    await Promise.all(this.#places.map(({ ready }) => ready.promise));
  }

  /** Makes changes, which the snapshot has already; resolves once every thread goes by them. */
  async apply(changes: readonly EdgeChange[]): Promise<void> {
    if (!this.#running) {
      if (changes.some((change) => change.kind === "set_route" && change.route.http !== undefined)) await this.#start();
      return;
    }
    const living = this.#places.filter(({ thread }) => thread !== undefined);
    if (living.length === 0) return;
    const sequence = ++this.#sequence;
    const done = Promise.withResolvers<void>();
    this.#acknowledgements.set(sequence, { waiting: new Set(living), done });
    for (const { thread } of living) send(thread, { kind: "change", sequence, changes });
    await done.promise;
  }

  /** Gives a connection to a thread; without one, as when all have just died, it is reset. */
  take(from: number, connection: HandedOver): void {
    const place = this.#nextPlace();
    if (place?.thread === undefined) {
      this.#owners[connection.fd] = 0;
      this.#libc.reset(connection.fd);
      this.#counters.handOver(from, from, connection.listener);
      this.#counters.writer(from).close(connection.listener);
      return;
    }
    this.#owners[connection.fd] = place.writer + 1; // until the thread has it in hand
    this.#counters.handOver(from, place.writer, connection.listener);
    send(place.thread, { kind: "take", connection });
  }

  #nextPlace(): Place | undefined {
    for (let i = 0; i < this.#places.length; i++) {
      const place = this.#places[this.#next++ % this.#places.length];
      if (place?.thread !== undefined) return place;
    }
    return undefined;
  }

  /** Has every connection end when its requests are answered. */
  drain(): void {
    this.#stopping = true;
    for (const { thread, drained } of this.#places) {
      if (thread === undefined) drained.resolve();
      else send(thread, { kind: "drain" });
    }
  }

  /** Resolves when no connection is open; the threads are over then. */
  async drained(): Promise<void> {
    await Promise.all(this.#places.map(({ drained }) => drained.promise));
    for (const { thread } of this.#places) send(thread, { kind: "exit" });
  }

  abort(): void {
    for (const { thread } of this.#places) send(thread, { kind: "abort" });
  }

  #spawn(place: Place): void {
    const url = new URL("./http_worker.ts", import.meta.url);
    const thread = new Worker(url, { type: "module", name: `http-${place.writer}` });
    place.thread = thread;
    place.startedAt = performance.now();
    thread.onmessage = ({ data }: MessageEvent<FromHttpWorker>) => this.#receive(place, data);
    thread.onerror = (event) => {
      event.preventDefault(); // an uncaught error in a worker would end the whole program
      this.#failed(place, event.message);
    };
    thread.postMessage({ writer: place.writer, snapshot: this.#snapshot.take(), shared: this.#shared });
  }

  #receive(place: Place, message: FromHttpWorker): void {
    switch (message.kind) {
      case "ready":
        place.isUp = true;
        return place.ready.resolve();
      case "acknowledged":
        return this.#acknowledge(message.sequence, place);
      case "drained":
        return place.drained.resolve();
      case "ended":
        for (const end of message.requests) this.#events.requestEnded(end);
        for (const end of message.ends) this.#events.connectionEnded(end);
        return;
      case "suppressed":
        for (const lines of message.lines) this.#events.linesSuppressed(lines);
        return;
      case "dial_failed":
        return this.#events.dialFailed(message.backend);
      case "internal_error":
        return this.#events.internalError(message.stack);
      case "failed":
        return this.#failed(place, message.stack);
    }
  }

  #acknowledge(sequence: number, place: Place): void {
    const acknowledgement = this.#acknowledgements.get(sequence);
    acknowledgement?.waiting.delete(place);
    if (acknowledgement?.waiting.size !== 0) return;
    this.#acknowledgements.delete(sequence);
    acknowledgement.done.resolve();
  }

  /** The sockets that a thread has in hand end with it; those on their way to it are closed here. */
  #failed(place: Place, stack: string): void {
    if (place.thread === undefined) return;
    place.thread.terminate();
    place.thread = undefined;
    place.isUp = false;
    const owner = place.writer + 1;
    for (let fd = this.#owners.indexOf(owner); fd >= 0; fd = this.#owners.indexOf(owner, fd + 1)) {
      this.#owners[fd] = 0;
      this.#libc.reset(fd);
    }
    this.#counters.abandon(place.writer);
    for (const sequence of [...this.#acknowledgements.keys()]) this.#acknowledge(sequence, place);
    this.#events.workerFailed(place.writer, stack);
    if (this.#stopping) return place.drained.resolve();
    const pause = performance.now() - place.startedAt < RESTART_PAUSE_MS ? RESTART_PAUSE_MS : 0;
    setTimeout(() => {
      if (!this.#stopping) this.#spawn(place);
    }, pause);
  }
}

function send(thread: Worker | undefined, message: ToHttpWorker): void {
  thread?.postMessage(message);
}

/** What a worker that hands connections over needs to know of HTTP: that it is. Certificates would be in each otherwise. */
const DETAILS_LEFT_OUT: HttpRoute = {
  certificate: "",
  backendTls: false,
  backendProtocol: "",
  backendCa: "",
  backendServerName: "",
  policies: [],
};

/** Changes as a worker that hands connections over needs them. */
export function withoutHttpDetails(changes: readonly EdgeChange[]): EdgeChange[] {
  return changes.filter(({ kind }) => kind !== "set_certificate" && kind !== "remove_certificate").map((change) =>
    change.kind === "set_route" ? { ...change, route: routeWithoutHttpDetails(change.route) } : change
  );
}

/** A snapshot, likewise. */
export function snapshotWithoutHttpDetails(snapshot: EdgeSnapshot): EdgeSnapshot {
  const listeners = snapshot.listeners.map((listener) => ({
    ...listener,
    routes: listener.routes.map(routeWithoutHttpDetails),
  }));
  return { ...snapshot, listeners, certificates: new Map() };
}

function routeWithoutHttpDetails(route: RouteSnapshot): RouteSnapshot {
  return route.http === undefined ? route : { ...route, http: DETAILS_LEFT_OUT };
}
