/**
 * The turn of a worker that blocks in epoll.
 *
 * @module
 */

import type { Deadlines } from "../deadlines.ts";
import type { Turn, TurnTask } from "../http/turn.ts";

/** See the module. Promises and timers of the runtime never run in such a thread: whatever waits, waits here. */
export class LoopTurn implements Turn {
  readonly deadlines: Deadlines;
  #tasks: TurnTask[] = [];
  #spare: TurnTask[] = [];
  readonly #next: TurnTask[] = [];

  constructor(deadlines: Deadlines) {
    this.deadlines = deadlines;
  }

  get now(): number {
    return this.deadlines.now;
  }

  /** Whether the next turn has something to do that no event will tell of. */
  get isWanted(): boolean {
    return this.#next.length > 0;
  }

  atEnd(task: TurnTask): void {
    this.#tasks.push(task);
  }

  atNextEnd(task: TurnTask): void {
    this.#next.push(task);
  }

  /** Begins a turn: what was put off to it is to be done at its end. */
  begin(): void {
    for (let task = this.#next.pop(); task !== undefined; task = this.#next.pop()) this.#tasks.push(task);
  }

  /** Ends a turn: runs its tasks, and those that they lead to. */
  end(): void {
    while (this.#tasks.length > 0) {
      const tasks = this.#tasks;
      this.#tasks = this.#spare;
      for (let i = 0; i < tasks.length; i++) tasks[i]?.endTurn();
      tasks.length = 0;
      this.#spare = tasks;
    }
  }
}
