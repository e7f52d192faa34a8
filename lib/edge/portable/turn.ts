/**
 * The turn of a thread that runs the runtime's event loop.
 *
 * @module
 */

import type { Turn, TurnTask } from "../http/turn.ts";
import type { TimedDeadlines } from "../timed_deadlines.ts";

/** See the module. A turn ends with the microtasks that are due in it. */
export class EventLoopTurn implements Turn {
  readonly deadlines: TimedDeadlines;
  /** 0: not read in this turn. */
  #now = 0;
  readonly #forget = (): void => {
    this.#now = 0;
  };

  constructor(deadlines: TimedDeadlines) {
    this.deadlines = deadlines;
  }

  get now(): number {
    if (this.#now === 0) {
      this.#now = performance.now();
      queueMicrotask(this.#forget);
    }
    return this.#now;
  }

  atEnd(task: TurnTask): void {
    queueMicrotask(() => task.endTurn());
  }

  atNextEnd(task: TurnTask): void {
    setTimeout(() => task.endTurn());
  }
}
