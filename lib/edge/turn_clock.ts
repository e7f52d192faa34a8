/**
 * A clock for what happens often and is measured in milliseconds.
 *
 * @module
 */

/** 0: not read in this turn. */
let read = 0;

function forget(): void {
  read = 0;
}

/**
 * `performance.now()` as it was when it was first asked for in this turn of the event loop.
 *
 * In one turn a connection may bring a hundred requests: reading the clock several times for each, 50 ns a time, would
 * cost as much as decoding their heads.
 */
export function turnTime(): number {
  if (read === 0) {
    read = performance.now();
    queueMicrotask(forget);
  }
  return read;
}
