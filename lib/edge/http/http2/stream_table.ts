/**
 * The open streams of a connection by their number.
 *
 * @module
 */

/** How many places a table begins with. */
const FIRST_LENGTH = 16;

/**
 * Finds streams without hashing, and without the garbage that a `Map` makes where entries come and go: numbers of one side
 * rise by two (RFC 9113 §5.1.1), so those that are open at once mostly have places of their own in a short array. The few
 * that do not are in a map, so that a peer that chooses its numbers badly gains nothing.
 */
export class StreamTable<Stream extends { readonly id: number }> {
  /** The stream with number `id` is at `(id >> 1) % length`; the length is a power of two. */
  #places: (Stream | undefined)[] = [];
  /** Those whose place was taken. */
  #others: Map<number, Stream> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    const stream = this.#places[(id >> 1) & (this.#places.length - 1)];
    if (stream !== undefined && stream.id === id) return stream;
    return this.#others?.get(id);
  }

  /** Adds a stream, whose number must not be there yet. */
  add(stream: Stream): void {
    if (this.#size >= this.#places.length / 2) this.#grow();
    this.#size++;
    this.#put(stream);
  }

  /** Takes a stream out; nothing happens where it is not there. */
  delete(stream: Stream): void {
    const place = (stream.id >> 1) & (this.#places.length - 1);
    if (this.#places[place] === stream) this.#places[place] = undefined;
    else if (this.#others?.delete(stream.id) !== true) return;
    this.#size--;
  }

  /** All of them, in no order that means anything. */
  values(): Stream[] {
    const placed = this.#places.filter((stream) => stream !== undefined);
    return this.#others === undefined ? placed : [...placed, ...this.#others.values()];
  }

  #put(stream: Stream): void {
    const place = (stream.id >> 1) & (this.#places.length - 1);
    if (this.#places[place] === undefined) this.#places[place] = stream;
    else (this.#others ??= new Map()).set(stream.id, stream);
  }

  #grow(): void {
    const streams = this.values();
    this.#places = new Array<Stream | undefined>(Math.max(FIRST_LENGTH, 2 * this.#places.length)).fill(undefined);
    this.#others = undefined;
    for (const stream of streams) this.#put(stream);
  }
}
