/**
 * What HTTP needs of the thread that it runs in: the end of its turn, time-outs, and a clock.
 *
 * @module
 */

import type { Deadlines } from "../deadlines.ts";

/** Something to do at the end of a turn. */
export interface TurnTask {
  /** Contains its own faults: whatever it throws would end the thread. */
  endTurn(): void;
}

/** A turn of a thread: the events of one round, and everything that they lead to. */
export interface Turn {
  /** The time-outs of the thread. */
  readonly deadlines: Deadlines;
  /** Monotonic time in milliseconds, the same throughout a turn. */
  readonly now: number;
  /** Runs `task` once what is under way in this turn is done. */
  atEnd(task: TurnTask): void;
  /** Runs `task` at the end of the next turn, which begins without waiting for an event. */
  atNextEnd(task: TurnTask): void;
}
