/**
 * Listeners that could not be bound: why, and trying again until they can.
 *
 * @module
 */

import { type Engine, ListenError } from "../edge/engine.ts";
import { takeSamePort } from "../edge/listen.ts";
import type { ListenerSnapshot } from "../edge/snapshot.ts";
import { messageOf } from "../edge/thrown.ts";
import type { Log } from "./log.ts";
import { quote } from "./quote.ts";

/** How long to rest between two tries. */
const REST_MS = 1_000;

/** A try is made on the main thread, and one of a host name waits for its look-up: it may take this part of the time. */
const REST_FACTOR = 50;

/** What of a listener says where it is bound. */
export type ListenPlace = Pick<ListenerSnapshot, "addr" | "hostname" | "port">;

/** Not one of the listeners can be bound: there is nothing to serve. */
export class NothingBoundError extends Error {
  override readonly name = "NothingBoundError";

  /** @param errors One for each listener. */
  constructor(readonly errors: readonly ListenError[]) {
    super(errors.map(({ message }) => message).join("\n"));
  }
}

/** See the module. */
export class UnboundListeners {
  readonly #engine: Pick<Engine, "unbound" | "addresses" | "bindAgain">;
  readonly #places: readonly ListenPlace[];
  readonly #log: Pick<Log, "info" | "error">;
  /** Why, by the listener's place, as it was last logged. */
  readonly #reasons = new Map<number, string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param places Those of all listeners, in the order of the engine's.
   * @throws {NothingBoundError} If there are listeners, and none is bound.
   */
  constructor(
    engine: Pick<Engine, "unbound" | "addresses" | "bindAgain">,
    places: readonly ListenPlace[],
    log: Pick<Log, "info" | "error">,
  ) {
    this.#engine = engine;
    this.#places = places;
    this.#log = log;
    if (engine.unbound.size > 0 && engine.unbound.size === places.length) {
      throw new NothingBoundError([...engine.unbound.values()]);
    }
    for (const [index, error] of engine.unbound) this.#reasons.set(index, this.#reasonOf(index, error));
  }

  /** Why a listener is not bound, by its place; `undefined` where it is. */
  problem(index: number): string | undefined {
    return this.#reasons.get(index);
  }

  /** Logs them, and tries them again until they can be bound. */
  start(): void {
    for (const [index, reason] of this.#reasons) this.#failed(index, reason);
    if (this.#reasons.size > 0) this.#timer = setTimeout(() => this.#tryAll(), REST_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tryAll(): void {
    const since = performance.now();
    for (const index of [...this.#reasons.keys()]) this.#try(index);
    const rest = Math.max(REST_MS, (performance.now() - since) * REST_FACTOR);
    this.#timer = this.#reasons.size === 0 ? undefined : setTimeout(() => this.#tryAll(), rest);
  }

  #try(index: number): void {
    const { addr = "" } = this.#places[index] ?? {};
    try {
      this.#engine.bindAgain(index);
      this.#reasons.delete(index);
      this.#log.info("listening", { addr: this.#engine.addresses[index] ?? addr, listener: addr });
    } catch (error) {
      const reason = error instanceof ListenError ? this.#reasonOf(index, error) : messageOf(error);
      if (reason === this.#reasons.get(index)) return;
      this.#reasons.set(index, reason);
      this.#failed(index, reason);
    }
  }

  #failed(index: number, reason: string): void {
    this.#log.error("listen_failed", { listener: this.#places[index]?.addr ?? "", reason });
  }

  /** What keeps it from being bound, in other words than the system's where another listener does. */
  #reasonOf(index: number, { reason }: ListenError): string {
    const own = this.#places[index];
    const other = own &&
      this.#places.find((place, i) => i !== index && !this.#engine.unbound.has(i) && takeSamePort(place, own));
    if (other === undefined) return reason;
    return `listener ${quote(other.addr)} of this server has the port; remove one of the two, or give one another port`;
  }
}
