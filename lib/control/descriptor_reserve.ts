/**
 * File descriptors that are kept for those who look after the program.
 *
 * @module
 */

/** A file that every process may open, to hold a descriptor by. */
const NOTHING = Deno.build.os === "windows" ? "NUL" : "/dev/null";

/** How soon to try again to fill the reserve, in milliseconds. */
const REFILL_MS = 200;

/** How soon after a borrower's end: its descriptor is closed within the turns of the event loop that follow. */
const RETURN_MS = 1;

/**
 * Holds descriptors, and lends them when the process has no other left: a descriptor that is given up here can be had by
 * the next accept(2).
 *
 * Until the reserve is full again it tries to be, over and over: what a borrower closes, the traffic may take first.
 */
export class DescriptorReserve implements Disposable {
  readonly #size: number;
  readonly #held: Deno.FsFile[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @param size How many descriptors to hold; as many as there are, where there are fewer. */
  constructor(size: number) {
    this.#size = size;
    this.#refill();
  }

  /** How many can be lent now. */
  get available(): number {
    return this.#held.length;
  }

  /** Gives up one descriptor, for the caller to take at once; `false` where none is left. */
  lend(): boolean {
    const file = this.#held.pop();
    file?.close();
    if (this.#timer === undefined) this.#refillIn(REFILL_MS);
    return file !== undefined;
  }

  /** A borrower has closed what it had. */
  returned(): void {
    if (this.#held.length < this.#size) this.#refillIn(RETURN_MS);
  }

  #refill(): void {
    try {
      while (this.#held.length < this.#size) this.#held.push(Deno.openSync(NOTHING));
    } catch {
      this.#refillIn(REFILL_MS); // none is free, which is what the reserve is for
    }
  }

  #refillIn(ms: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#refill();
    }, ms);
    Deno.unrefTimer(Number(this.#timer)); // nothing waits for it
  }

  /** Gives up all of them. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const file of this.#held.splice(0)) file.close();
  }
}

/** Whether the process may open one more file. */
export function isDescriptorFree(): boolean {
  try {
    Deno.openSync(NOTHING).close();
    return true;
  } catch {
    return false;
  }
}
