/**
 * The streams that we have reset.
 *
 * @module
 */

/** So many are known by their number. */
const MAX_KNOWN = 256;

/** See the module. Frames that were on their way to them are no fault of the peer's (RFC 9113 §5.1). */
export class ResetStreams {
  readonly #known = new Set<number>();
  /** Of the streams up to this number, some were reset: it is forgotten which. */
  #forgottenUpTo = 0;

  add(id: number): void {
    this.#known.add(id);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known) {
      this.#known.delete(oldest);
      this.#forgottenUpTo = Math.max(this.#forgottenUpTo, oldest);
      return;
    }
  }

  /** Whether a stream that has closed may be one of them. */
  has(id: number): boolean {
    return id <= this.#forgottenUpTo || this.#known.has(id);
  }
}
